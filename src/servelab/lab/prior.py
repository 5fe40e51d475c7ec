"""What is known before anything is measured, as a prior for the sampler."""

from __future__ import annotations

from servelab.spec.assess import Prior
from servelab.spec.study import Study


def memory_prior(study: Study) -> Prior | None:
    """Memory arithmetic as a prior: says which configurations cannot hold the model and one request.

    None when the model, the accelerator or the engine's memory use is unknown to the catalog.
    """
    return None
