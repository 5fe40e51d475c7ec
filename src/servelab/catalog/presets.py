"""Number formats and parallelism under the names of task files, as each engine's own arguments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from servelab.catalog.engines import Argument, engine_arguments
from servelab.catalog.files import read_data
from servelab.catalog.nearest import suggestion
from servelab.spec.base import Parameters, Spec, Value

AUTO = "auto"


class PresetError(ValueError):
    """An engine cannot do what is asked; the message says what and why."""


class Quantization(Spec):
    """The formats of matrix products, KV cache, attention and experts; see data/quantization.yaml."""

    fields: dict[str, tuple[str, ...]]
    presets: dict[str, dict[str, str]]
    engines: dict[str, dict[str, dict[str, Parameters]]]


class Parallelism(Spec):
    """The degrees of parallelism of one engine; see data/parallelism.yaml."""

    arguments: dict[str, str]
    absent: dict[str, str]
    divides: tuple[tuple[str, str], ...]
    presets: dict[str, dict[str, Value]]


@cache
def quantization() -> Quantization:
    """What is known of number formats."""
    return Quantization.model_validate(read_data("quantization"))


@cache
def parallelism() -> dict[str, Parallelism]:
    """What is known of parallelism, by engine."""
    return {name: Parallelism.model_validate(raw) for name, raw in read_data("parallelism").items()}


def quantized(engine: str, formats: Mapping[str, str]) -> tuple[Parameters, tuple[str, ...]]:
    """The engine's arguments for these formats, and what of them it has no argument for.

    Raises:
        PresetError: there is no such field or format, or the engine cannot do it.
    """
    known, silent = quantization(), []
    found: Parameters = {}
    for field, format_ in formats.items():
        _check(field, known.fields, "field of quant_config")
        _check(format_, known.fields[field], f"format of {field}")
        if format_ == AUTO:
            continue
        offered = known.engines[engine].get(field, {})
        if format_ not in offered:
            raise PresetError(f"{engine} cannot do {field}: {format_} when it starts; quantize the checkpoint")
        if not offered[format_]:
            silent.append(f"{engine} has no argument for {field}: {format_}; it follows the others")
        found |= offered[format_]
    return found, tuple(silent)


def spread(engine: str, degrees: Mapping[str, Value]) -> Parameters:
    """The engine's arguments for these degrees of parallelism, without those that are its defaults.

    Raises:
        PresetError: the engine does not have one.
    """
    known = parallelism()[engine]
    for degree in degrees:
        if degree in known.absent:
            raise PresetError(f"{degree} is not there: {known.absent[degree]}")
        _check(degree, known.arguments, "degree of parallel_config")
    return dict(_arguments(engine_arguments(engine), known, degrees))


def require_fitting(engine: str, degrees: Mapping[str, Value]) -> None:
    """See that degrees which somebody put together fit together.

    Raises:
        PresetError: one must be a multiple of another, and is not.
    """
    for whole, part in parallelism()[engine].divides:
        size, parts = degrees.get(whole, 1), degrees.get(part, 1)
        if not isinstance(size, int) or not isinstance(parts, int) or size % parts:
            raise PresetError(f"{whole} must be a multiple of {part} on {engine}, and {size} is none of {parts}")


def _arguments(
    arguments: Mapping[str, Argument], known: Parallelism, degrees: Mapping[str, Value]
) -> Iterator[tuple[str, Value]]:
    for degree, asked in degrees.items():
        size = asked
        argument = known.arguments[degree]
        if arguments[argument].type == "bool":
            size = size is True or (size is not False and size != 1)
        if size != arguments[argument].default:
            yield argument, size


def preset(name: str, presets: Mapping[str, Mapping[str, Value]]) -> Mapping[str, Value]:
    """The preset called ``name``.

    Raises:
        PresetError: there is none; names the nearest.
    """
    _check(name, presets, "preset")
    return presets[name]


def _check(name: str, known: Mapping[str, object] | tuple[str, ...], what: str) -> None:
    if name not in known:
        raise PresetError(f"{name!r} is no {what}{suggestion(name, known)}; known are {', '.join(known)}")
