"""The container image of an engine, and the devices it needs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from servelab.catalog.parallelism import parallel_size
from servelab.spec.base import Parameters
from servelab.spec.study import Study

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True)
class EngineImage:
    """An engine's published images.

    Sources: docs.vllm.ai (Using Docker; CPU images), docs.sglang.ai (Install), llama.cpp docs/docker.md.
    """

    on_accelerator: str
    on_cpu: str
    port: int
    tagged: bool = True
    """Whether releases are tagged ``vVERSION``."""


IMAGES = {
    "vllm": EngineImage("vllm/vllm-openai", "public.ecr.aws/q9t5s3a7/vllm-cpu-release-repo", 8000),
    "sglang": EngineImage("lmsysorg/sglang", "lmsysorg/sglang", 30000),
    "llamacpp": EngineImage(
        "ghcr.io/ggml-org/llama.cpp:server-cuda", "ghcr.io/ggml-org/llama.cpp:server", 8080, tagged=False
    ),
}

DEFAULT_PORT = 8000


def serving_port(engine: str) -> int:
    """The port the engine listens on by default."""
    return IMAGES[engine].port if engine in IMAGES else DEFAULT_PORT


def accelerators(study: Study, parameters: Parameters, version: str | None) -> int:
    """Accelerators one deployment needs: as its parallelism says, at least as the study says.

    vLLM and SGLang run on one when nothing is said, unless the measured version is a build for CPUs.
    """
    needed = parallel_size(study, parameters)
    declared = study.engine.resources.accelerators
    assumed = 1 if study.engine.name in ("vllm", "sglang") and "cpu" not in (version or "") else 0
    return max(declared, needed if needed > 1 else 0, assumed)


def image_for(study: Study, version: str | None, devices: int) -> str | None:
    """The study's image, or the engine's published one of the measured version; None where there is none."""
    if study.engine.image:
        return study.engine.image
    known = IMAGES.get(study.engine.name)
    if known is None:
        return None
    name = known.on_accelerator if devices else known.on_cpu
    if not known.tagged:
        return name
    release = (version or "").split("+")[0]
    return f"{name}:v{release}" if _TAG.fullmatch(release) else f"{name}:latest"
