"""The configurations that a task tries: its parameters, formats and parallelism, as the engine's arguments."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from servelab.catalog.engines import engine_arguments
from servelab.catalog.nearest import suggestion
from servelab.catalog.presets import PresetError, parallelism, preset, quantization, quantized, require_fitting, spread
from servelab.spec.base import Parameters, Value
from servelab.spec.errors import DocumentError
from servelab.tasks.document import Task, TaskParameter


@dataclass
class Configurations:
    """``treatments`` in order; ``ranges`` of those parameters that are no lists; ``notes`` for people."""

    treatments: list[Parameters]
    ranges: dict[str, TaskParameter] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def configurations(task: Task, engine: str) -> Configurations:
    """All combinations of what the task lists that the engine can run.

    Raises:
        DocumentError: the engine can run none of them, or does not know a parameter's like.
    """
    notes: list[str] = []
    named = {_argument(engine, name, notes): parameter for name, parameter in task.parameters.items()}
    lists = {name: parameter.values for name, parameter in named.items() if parameter.values}
    ranges = {name: parameter for name, parameter in named.items() if parameter.type != "choice"}
    formats = list(_alternatives(task.quant_config, quantization().presets))
    presets = parallelism()[engine].presets
    degrees = list(_alternatives(task.parallel_config, presets))
    given = [spread(engine, presets[str(name)]) for name in _preset_names(task.parallel_config) if name is not None]
    found: list[Parameters] = []
    refused: dict[str, None] = {}
    for wanted, split in itertools.product(formats, degrees):
        try:
            quantized_, silent = quantized(engine, {name: str(value) for name, value in wanted.items()})
            settings = {**quantized_, **spread(engine, split)}
        except PresetError as error:
            refused[str(error)] = None
            continue
        notes += [note for note in silent if note not in notes]
        rows = itertools.product(*lists.values())
        # A parameter of one's own wins over what a preset sets, as in the predecessor.
        found += [{**settings, **dict(zip(lists, row, strict=True))} for row in rows]
    found, kept_out = _fitting(engine, found, given)
    refused |= kept_out
    if not found:
        raise DocumentError(tuple(refused), "Nothing of the task is left: change its parallel_config or quant_config.")
    notes += [f"left out: {reason}" for reason in refused]
    return Configurations([dict(row) for row in dict.fromkeys(tuple(one.items()) for one in found)], ranges, notes)


def _fitting(engine: str, found: list[Parameters], given: list[Parameters]) -> tuple[list[Parameters], dict[str, None]]:
    """Those whose degrees fit together, wherever in the task they were set; and why the others do not.

    ``given`` are the degrees of the presets that the task names, which are not asked.
    """
    known, kept = parallelism()[engine], []
    reasons: dict[str, None] = {}
    for one in found:
        degrees = {degree: one[name] for degree, name in known.arguments.items() if name in one}
        try:
            if spread(engine, degrees) not in given:
                require_fitting(engine, degrees)
            kept.append(one)
        except PresetError as error:
            reasons[str(error)] = None
    return kept, reasons


def _alternatives(config: Mapping[str, Any], presets: Mapping[str, Mapping[str, Value]]) -> Iterator[dict[str, Value]]:
    """A preset or several, with fields over them; or every combination of the values of the fields.

    Raises:
        DocumentError: there is no such preset.
    """
    names = _preset_names(config) or [None]
    fields = {name: value for name, value in config.items() if name not in ("preset", "presets")}
    values = [value if isinstance(value, list) else [value] for value in fields.values()]
    for name in names:
        try:
            base = preset(str(name), presets) if name is not None else {}
        except PresetError as error:
            raise DocumentError((str(error),), "See docs/migrating.md.") from None
        for row in itertools.product(*values):
            yield {**base, **dict(zip(fields, row, strict=True))}


def _preset_names(config: Mapping[str, Any]) -> list[Any]:
    listed = config.get("presets", config.get("preset"))
    return listed if isinstance(listed, list) else [] if listed is None else [listed]


def _argument(engine: str, name: str, notes: list[str]) -> str:
    known = engine_arguments(engine)
    found = argument_named(engine, name)
    if found not in known:
        notes.append(
            f"{engine} has no argument {name} that servelab knows{suggestion(found, known)}: passed on as it is"
        )
    return found


def argument_named(engine: str, name: str) -> str:
    """The argument that a parameter is: its own spelling, or an abbreviation, which the engines' parsers allow.

    Raises:
        DocumentError: it could be several.
    """
    plain = name.lstrip("-").replace("-", "_")
    known = engine_arguments(engine)
    longer = [argument for argument in known if argument.startswith(plain)]
    if plain in known or not longer:
        return plain
    if len(longer) > 1:
        raise DocumentError((f"{name} may be {' or '.join(longer)}",), "Write it out.")
    return longer[0]
