"""What is served: the model, and the engine that serves it."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, PositiveInt

from servelab.spec.base import Label, ParameterName, Spec, Value


class Model(Spec):
    """The model to serve. ``path`` wins over ``id`` when the engine is started."""

    id: str = Field(min_length=1, max_length=256, description="Hugging Face id or catalog name")
    path: str | None = Field(default=None, description="local file or directory with the weights")
    revision: str | None = None
    served_name: str | None = Field(default=None, description="the name clients ask for; default: id")
    tokenizer: str | None = Field(default=None, description="id or path, when not the model's own")

    @property
    def name(self) -> str:
        """The name that requests carry."""
        return self.served_name or self.id


class Resources(Spec):
    """What one deployment of the engine may use."""

    accelerators: int = Field(default=0, ge=0, description="number of accelerators")
    accelerator: str | None = Field(default=None, description="catalog name, as h100-80gb")
    cpus: PositiveInt | None = None
    memory_gb: float | None = Field(default=None, gt=0)


_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_NAME = re.compile(r"(TOKEN|SECRET|PASSWORD|API_?KEY|CREDENTIAL)", re.IGNORECASE)


def check_environment_name(name: str) -> str:
    """Let a well-formed environment variable name through.

    Raises:
        ValueError: it is not one.
    """
    if not _ENVIRONMENT_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of an environment variable")
    return name


def is_secret_name(name: str) -> bool:
    """Whether the name of an environment variable says that it holds a secret."""
    return _SECRET_NAME.search(name) is not None


def check_not_secret(environment: dict[str, str]) -> dict[str, str]:
    """Refuse values that look like secrets, since a study is stored and shown.

    Raises:
        ValueError: a variable's name says that it holds a secret.
    """
    for name in environment:
        if is_secret_name(name):
            raise ValueError(
                f"{name} looks like a secret and a study is stored as text; "
                f"list its name under environment_from and set it in servelab's own environment"
            )
    return environment


EnvironmentName = Annotated[str, AfterValidator(check_environment_name)]


class EngineConfig(Spec):
    """The inference engine and the arguments that stay fixed in the whole study."""

    name: Label = Field(description="vllm, sglang, llamacpp, simulated, or a plug-in's name")
    version: str | None = None
    image: str | None = Field(default=None, description="container image, for platforms that use one")
    executable: str | None = Field(default=None, description="program to start, when not the engine's own")
    arguments: dict[ParameterName, Value] = Field(default_factory=dict)
    environment: Annotated[dict[EnvironmentName, str], AfterValidator(check_not_secret)] = Field(default_factory=dict)
    environment_from: tuple[EnvironmentName, ...] = Field(
        default=(), description="names passed on from servelab's own environment (secrets)"
    )
    profile: str | None = Field(default=None, description="simulated engine only: which machine to play")
    resources: Resources = Resources()
