"""The labels by which our objects in a cluster are found again, and removed, and nothing else ever is."""

from __future__ import annotations

from typing import Any

from servelab.kube.kinds import Manifest
from servelab.kube.names import check_label_value

MANAGED = "app.kubernetes.io/managed-by"
OURS = "servelab"
STUDY = "servelab/study"
TRIAL = "servelab/trial"
WHOLE = "all"
"""The trial of what serves every trial of a study."""


def marked(manifest: Manifest, study: str = "", trial: str = WHOLE) -> Manifest:
    """A copy of a manifest with our labels; without a study, as what all studies share."""
    own = {MANAGED: OURS}
    if study:
        own |= {STUDY: check_label_value(study), TRIAL: check_label_value(trial)}
    metadata: dict[str, Any] = dict(manifest.get("metadata") or {})
    return {**manifest, "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), **own}}}


def label(item: Manifest, name: str) -> str:
    """The value of an object's label; empty where it has none."""
    return str((item.get("metadata", {}).get("labels") or {}).get(name, ""))
