"""A values file of the BLIS structure: what a data-collection pipeline does when nothing else is said."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

from pydantic import ValidationError

from servelab.request.numbers import Numbers
from servelab.spec.base import Spec
from servelab.spec.document import Document, parse_document
from servelab.spec.errors import DocumentError

TREATMENTS = "stack.treatments.tensorParallelism"
WORKLOAD = "stack.workload"
PROFILE = f"{WORKLOAD}.profile"
DECODE = "stack.model.helmValues.decode"
CONTAINER = f'{DECODE}.containers[name="vllm"]'
INIT = f"{DECODE}.initContainers[0]"

LOAD = ("max_requests", "rate", "rate_type", "random_seed")
"""Numbers that stand in the profile itself; the others stand in its ``data``."""

OWN = "servelab's values.yaml"


class Values(Spec):
    """What a values file says, and its text."""

    source: str
    text: str
    pipeline: str
    tensor_parallelism: tuple[int, ...]
    max_model_len: int
    max_num_batched_tokens: int
    max_num_seqs: int
    workload: str
    numbers: Numbers
    image: str
    init_image: str | None
    args: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    memory: str | None = None
    cpu: str | None = None
    accelerators: tuple[str, ...] = ()
    accelerator_label: str = "nvidia.com/gpu.product"


def own_values() -> Values:
    """The values that ship with servelab."""
    return read_values((files("servelab.request") / "data" / "values.yaml").read_text(encoding="utf-8"), OWN)


@lru_cache(maxsize=8)
def read_values(text: str, source: str = "values.yaml") -> Values:
    """Read a values file.

    Raises:
        DocumentError: it is not YAML, or lacks a part of the structure; with its place.
    """
    document = parse_document(text, source, "values file")
    stack = _mapping(document, "stack")
    container = _container(document)
    inits = _sequence(_mapping(document, *DECODE.split(".")).get("initContainers"))
    decode = _mapping(document, *DECODE.split("."))
    resources = container.get("resources") or {}
    limits = resources.get("limits") or resources.get("requests") or {}
    profile = _mapping(document, *PROFILE.split("."))
    data = {
        "source": source,
        "text": text,
        "pipeline": (document.data.get("experiment") or {}).get("name", "blis"),
        "tensor_parallelism": _mapping(document, "stack", "treatments").get("tensorParallelism"),
        "max_model_len": stack.get("MAX_MODEL_LEN"),
        "max_num_batched_tokens": stack.get("MAX_NUM_BATCHED_TOKENS"),
        "max_num_seqs": stack.get("MAX_NUM_SEQS"),
        "workload": _mapping(document, "stack", "workload").get("app"),
        "numbers": {**{n: profile[n] for n in LOAD if n in profile}, **(profile.get("data") or {})},
        "image": container.get("image"),
        "init_image": inits[0].get("image") if inits else None,
        "args": [str(argument) for argument in _sequence(container.get("args"))],
        "environment": {str(e.get("name")): str(e.get("value", "")) for e in _sequence(container.get("env"))},
        "memory": limits.get("memory"),
        "cpu": None if limits.get("cpu") is None else str(limits["cpu"]),
        "accelerators": _sequence((decode.get("acceleratorTypes") or {}).get("labelValues")),
    }
    if label := (decode.get("acceleratorTypes") or {}).get("labelKey"):
        data["accelerator_label"] = label
    try:
        return Values.model_validate(data)
    except ValidationError as error:
        faults = tuple(f"{source}: {_place(fault['loc'])}: {fault['msg']}" for fault in error.errors())
        raise DocumentError(faults, "See docs/ask.md for the structure of a values file.") from None


def _container(document: Document) -> dict[str, Any]:
    for container in _sequence(_mapping(document, *DECODE.split(".")).get("containers")):
        if container.get("name") == "vllm":
            return dict(container)
    raise DocumentError(
        (f'{document.where(tuple(DECODE.split(".")))}: {DECODE}.containers has none with name "vllm"',),
        "See docs/ask.md for the structure of a values file.",
    )


def _mapping(document: Document, *path: str) -> Mapping[str, Any]:
    found: Any = document.data
    for part in path:
        found = found.get(part) if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping):
        raise DocumentError(
            (f"{document.where(path)}: {'.'.join(path)} is missing, or no mapping",),
            "See docs/ask.md for the structure of a values file.",
        )
    return found


def _sequence(found: Any) -> list[Any]:
    return list(found) if isinstance(found, list | tuple) else []


_PLACES = {
    "tensor_parallelism": TREATMENTS,
    "max_model_len": "stack.MAX_MODEL_LEN",
    "max_num_batched_tokens": "stack.MAX_NUM_BATCHED_TOKENS",
    "max_num_seqs": "stack.MAX_NUM_SEQS",
    "workload": f"{WORKLOAD}.app",
    "numbers": PROFILE,
    "image": f"{CONTAINER}.image",
    "init_image": f"{INIT}.image",
}


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join([_PLACES.get(str(location[0]), str(location[0])), *(str(part) for part in location[1:])])
