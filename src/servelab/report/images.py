"""The container image of an engine, and the devices it needs."""

from __future__ import annotations

from servelab.catalog.containers import IMAGES, published_image
from servelab.catalog.parallelism import parallel_size
from servelab.spec.base import Parameters
from servelab.spec.study import Study

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
    return study.engine.image or published_image(study.engine.name, version, devices)
