"""How an engine runs in a container: its published image, and where local files lie in there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from servelab.spec.base import Spec

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")

MODELS = "/models"
"""Where local model files lie inside a container."""

_PATH_FLAGS = ("--model", "--model-path", "--tokenizer", "--tokenizer-path", "--chat-template", "--mmproj")


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


def published_image(engine: str, version: str | None, devices: int) -> str | None:
    """The engine's published image of ``version``, for CPUs when ``devices`` is 0; None where there is none."""
    known = IMAGES.get(engine)
    if known is None:
        return None
    name = known.on_accelerator if devices else known.on_cpu
    if not known.tagged:
        return name
    release = (version or "").split("+")[0].removeprefix("v")
    return f"{name}:v{release}" if _TAG.fullmatch(release) else f"{name}:latest"


class Mount(Spec):
    """A local path and where a container sees it."""

    source: str
    target: str


def mounted(arguments: Sequence[str], positional: bool) -> tuple[tuple[str, ...], tuple[Mount, ...]]:
    """Arguments with local paths moved below MODELS, and the mounts that this takes.

    ``positional``: the first argument is a model, as of ``vllm serve``.
    """
    found, mounts = list(arguments), {}
    for index, word in enumerate(found):
        flag, equals, value = word.partition("=")
        before = found[index - 1] if index else ("--model" if positional else "")
        if equals and flag in _PATH_FLAGS and value.startswith("/"):
            mount, inside = _mount(value)
            found[index] = f"{flag}={inside}"
        elif before in _PATH_FLAGS and word.startswith("/"):
            mount, found[index] = _mount(word)
        else:
            continue
        mounts[mount.target] = mount
    return tuple(found), tuple(mounts.values())


def _mount(path: str) -> tuple[Mount, str]:
    """What to mount for ``path``, and where it is then.

    A snapshot in Hugging Face's cache consists of links to ``../../blobs``, which must be there too.
    """
    parts = PurePosixPath(path)
    if parts.parent.name == "snapshots":
        repository = parts.parent.parent
        target = f"{MODELS}/{repository.name}"
        return Mount(source=str(repository), target=target), f"{target}/snapshots/{parts.name}"
    target = f"{MODELS}/{parts.name}"
    return Mount(source=path, target=target), target
