"""What a study may say of Docker."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from servelab.spec.base import Spec


class DockerOptions(Spec):
    """Options of the docker platform."""

    host: str | None = Field(
        default=None, description="unix:///... of the engine; default: DOCKER_HOST, docker's context, the usual sockets"
    )
    pull: Literal["missing", "always", "never"] = Field(default="missing", description="when to pull the image")
    shm_gb: float = Field(default=16, gt=0, description="size of /dev/shm, where workers exchange tensors; a limit")
    cache: str = Field(
        default="~/.cache/huggingface", description="directory for what the engine downloads; empty for none"
    )
    cpus: tuple[int, ...] | None = Field(default=None, description="cores for the engine; default: all but the last")
