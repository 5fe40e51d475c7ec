"""How an engine is started, where it is reached, and how its end is described."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from servelab.spec.base import Spec
from servelab.spec.model import Resources

MODEL_PATH = "$(MODEL_PATH)"
"""Stands in a command for the model's place where a cluster brings it: a variable that Kubernetes fills in, and only in
this spelling."""


class Address(Spec):
    """Where an engine listens."""

    host: str = "127.0.0.1"
    port: int = Field(ge=1, le=65535)

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://{self.host}:{self.port}"


class Mark(Spec):
    """Whose deployment it is; every process, container and object carries it."""

    study: str
    trial: int
    attempt: int = 1

    @property
    def environment(self) -> dict[str, str]:
        """The mark as environment variables."""
        return {
            "SERVELAB_STUDY": self.study,
            "SERVELAB_TRIAL": str(self.trial),
            "SERVELAB_ATTEMPT": str(self.attempt),
        }


class Launch(Spec):
    """Everything a platform needs to start an engine: no shell, only an argument list."""

    command: tuple[str, ...] = Field(min_length=1)
    environment: dict[str, str] = Field(default_factory=dict)
    environment_from: tuple[str, ...] = ()
    image: str | None = None
    address: Address
    ready_path: str = "/health"
    metrics_path: str | None = "/metrics"
    accelerators: int = Field(default=0, description="how many it holds")
    devices: tuple[str, ...] = Field(default=(), description="which ones, by UUID or index; empty: not known")
    resources: Resources = Resources()
    model: str = Field(default="", description="id of the model, for platforms that bring it themselves")


class Deployment(Spec):
    """A running engine as clients see it."""

    url: str
    metrics_url: str | None = None
    model: str = Field(description="the model name that requests carry")
    simulated: bool = False
    engine: str
    engine_version: str | None = None
    log: str | None = Field(default=None, description="path of the engine's log file")
    pid: int | None = None
    cpus: tuple[int, ...] = Field(default=(), description="cores the engine is bound to")
    devices: tuple[str, ...] = Field(default=(), description="the accelerators it holds, as far as known")
    service: str | None = Field(default=None, description="namespace/name of its InferenceService, where it is one")


FailureKind = Literal[
    "out_of_memory",
    "bad_argument",
    "unsupported",
    "model_not_found",
    "port_busy",
    "image_pull",
    "ready_timeout",
    "measure_timeout",
    "crash",
    "hang",
    "unreachable",
    "bad_response",
    "all_requests_failed",
    "no_measurement",
    "disk_full",
    "machine_exhausted",
    "interrupted",
    "unknown",
]


class Failure(Spec):
    """Why a trial failed, and what to do about it."""

    kind: FailureKind
    stage: Literal["launch", "ready", "measure", "stop"]
    message: str
    remedy: str = ""
    evidence: str = Field(default="", description="the log lines that show it")
    transient: bool = Field(default=False, description="worth another attempt with the same parameters")

    @property
    def cause(self) -> str:
        """What makes two failures the same: their kind and message."""
        return f"{self.kind}: {self.message}"
