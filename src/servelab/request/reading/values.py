"""Words as the value of an engine argument, in the argument's own type."""

from __future__ import annotations

import json
import re

from servelab.catalog.engines import Argument
from servelab.catalog.nearest import suggestion
from servelab.request import safe
from servelab.request.reading.heard import Heard
from servelab.request.reading.quantity import Kind, read_levels
from servelab.request.said import Option
from servelab.spec.base import Value

OFFERED = 6  # values of an enumeration that a question offers

_OF_TOKENS = re.compile(r"tokens|len|length|context|ctx|chunked_prefill_size|batch_size")


class Unfit(Exception):
    """Words that are no value of the argument; says why."""


def typed(argument: Argument, said: str) -> tuple[Value, ...]:
    """The values that ``said`` stands for.

    Raises:
        Unfit: it is none of the argument's.
    """
    said = said.strip()
    if argument.type in ("int", "float"):
        return _numbers(argument, said)
    values: tuple[Value, ...] = (said,)
    if argument.type == "enum":
        values = tuple(_member(argument, one.strip()) for one in re.split(r"[,/|]", said))
    if argument.type == "json":
        _check_json(said)
    for value in values:
        if fault := argument.fault(value) or safe.argument_fault(argument.flag, value):
            raise Unfit(fault)
    if argument.type == "string" and argument.usual:
        values = (_usual(argument, said),)
    return values


def refuse(heard: Heard, argument: Argument, fault: str) -> None:
    """Ask for a value again, with the argument's values where it has a list of them."""
    choices = [str(value) for value in (argument.values or (argument.usual if argument.type == "string" else ()))]
    choices.sort(key=lambda choice: f"`{choice}`" not in fault)
    options = [Option(value=choice, label=choice) for choice in choices[:OFFERED]]
    told = fault if argument.flag in fault else f"{argument.flag} {fault}"
    heard.ask(argument.flag, f"{told.rstrip('?')}{'?' if told.endswith('?') else '.'} What should it be?", options)


def _numbers(argument: Argument, said: str) -> tuple[Value, ...]:
    whole = argument.type == "int"
    name = argument.flag.lstrip("-").replace("-", "_")
    most = argument.range[1] if argument.range else 1e12
    kind = Kind(k=1024 if _OF_TOKENS.search(name) else 1000, whole=whole, most=most, decimal_comma=most <= 1)
    share = 0.01 if said.endswith("%") else 1.0
    levels = read_levels(said.rstrip("%").lower(), kind) if said[:1] != "-" else _negative(said)
    if not levels:
        raise Unfit(f"must be {'a whole number' if whole else 'a number'}, not {safe.shown(said)}")
    values: list[Value] = []
    for level in levels:
        value = round(level * share, 9)
        exact: Value = int(value) if whole and value == int(value) else value
        if fault := argument.fault(exact):
            raise Unfit(fault)
        values.append(exact)
    return tuple(values)


def _negative(said: str) -> tuple[float, ...]:
    return (float(said),) if re.fullmatch(r"-\d{1,12}(\.\d{1,9})?", said) else ()


def _member(argument: Argument, said: str) -> Value:
    """A value of an enumeration, or a phrase for one, without regard to case."""
    for value in argument.values:
        if str(value).lower() == said.lower():
            return value
    return argument.spoken.get(said.lower(), said)


def _usual(argument: Argument, said: str) -> Value:
    for value in argument.usual:
        if str(value).lower() == said.lower():
            return value
    usual = [str(value) for value in argument.usual]
    raise Unfit(f"{safe.shown(said)} is none that servelab knows{suggestion(said, usual)}")


def _check_json(said: str) -> None:
    try:
        json.loads(said)
    except (ValueError, RecursionError):
        raise Unfit(f"must be JSON, not {safe.shown(said)}") from None
