"""Compares an answer of the JSON contract with what a corpus expects of it; see corpus.yaml for the notation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from servelab.spec.base import parse_seconds
from servelab.spec.goal import Constraint, Objective

Answer = dict[str, Any]

OWN_FIELDS = {"max-model-len", "max-num-batched-tokens", "max-num-seqs", "tensor-parallel-size", "otlp-traces-endpoint"}
"""Flags with a field of their own, or set automatically: no surprise among the engine's arguments."""


@dataclass(frozen=True)
class Check:
    """One field of one request, expected and found."""

    ask: str
    field: str
    expected: Any
    found: Any
    right: bool


def checks(ask: str, expect: Answer, answer: Answer, plain: Answer) -> Iterator[Check]:
    """Every field that ``expect`` names; ``plain`` is the answer to a sentence that says nothing of any."""
    for field, wanted in expect.items():
        if field in _QUESTIONS:
            pairs = _QUESTIONS[field](wanted, answer)
        elif field in _TABLES:
            pairs = _table(field, wanted, answer, plain)
        else:
            found = _plain_form(field, answer.get(field))
            pairs = [(field, wanted, found, _same(field, wanted, found, _plain_form(field, plain.get(field))))]
        yield from (Check(ask, *pair) for pair in pairs)


def _same(field: str, wanted: Any, found: Any, default: Any = None) -> bool:
    if isinstance(wanted, dict) and set(wanted) == {"any"}:
        return any(_same(field, one, found, default) for one in wanted["any"])
    if wanted == "default":
        return bool(found == default)
    if isinstance(wanted, str) and wanted.startswith("~"):
        return re.search(wanted[1:], "" if found is None else str(found)) is not None
    if isinstance(wanted, bool) or isinstance(found, bool):
        return wanted is found
    if isinstance(wanted, float) and isinstance(found, float):
        return abs(wanted - found) <= 1e-9 * max(abs(wanted), abs(found))
    return bool(_plain_form(field, wanted) == found)


def _plain_form(field: str, value: Any) -> Any:
    """One form for what may be written in several."""
    if value is None:
        return [] if field in _LISTS else None
    if field == "objective" and not isinstance(value, dict | str):
        raise TypeError(f"an objective is text or an object, not {value!r}")
    if field == "objective":
        objective = Objective.model_validate(value)
        return f"{objective.direction} {objective.metric}"
    if field == "constraints":
        return sorted(_bound(one) for one in value)
    if field in _LISTS:
        return sorted(value if isinstance(value, list | tuple) else [value], key=repr)
    return value


_LISTS = {"tensor_parallelism", "rate", "constraints"}


def _bound(raw: Any) -> tuple[str, str, float]:
    if isinstance(raw, str):
        constraint = Constraint.model_validate(raw)
        return constraint.metric, "<=" if constraint.max is not None else ">=", round(constraint.bound, 9)
    value, unit = raw["value"], raw.get("unit") or ""
    scale = {"%": 0.01, "ms": 1e-3, "us": 1e-6, "min": 60.0, "h": 3600.0}.get(unit, 1.0)
    return raw["metric"], {"<": "<=", ">": ">="}.get(raw["op"], raw["op"]), round(value * scale, 9)


def _table(field: str, wanted: Answer, answer: Answer, plain: Answer) -> list[tuple[str, Any, Any, bool]]:
    form = _TABLES[field]
    found, default = form(answer.get(field) or {}), form(plain.get(field) or {})
    rows = []
    for key, value in form(wanted).items():
        here = _plain_form(key, found.get(key))
        rows.append((f"{field}.{key}", value, here, _same(key, value, here, _plain_form(key, default.get(key)))))
    if field in ("engine_args", "sweep"):
        more = {key: value for key, value in found.items() if key not in form(wanted) and key not in OWN_FIELDS}
        rows.append((f"{field} (others)", {}, more, not more))
    return rows


def _flags(table: Answer) -> Answer:
    result = {}
    for key, value in table.items():
        name = key.lstrip("-").replace("_", "-")
        switched_off = name.startswith("no-") and value is True
        result[name.removeprefix("no-") if switched_off else name] = False if switched_off else value
    return result


def _factors(table: Answer) -> Answer:
    return {key: sorted(values, key=repr) for key, values in _flags(table).items()}


def _seconds(table: Answer) -> Answer:
    return {key: parse_seconds(value) if key == "wall_time" else value for key, value in table.items()}


_TABLES = {"engine_args": _flags, "sweep": _factors, "budget": _seconds, "images": dict, "workload_profile": dict}


def _name(parameter: str) -> str:
    """``images`` for ``images.main``, ``dtype`` for ``--dtype``, the field's name for a flag that has one."""
    name = parameter.split(".")[-1 if parameter.startswith("workload_profile.") else 0].lstrip("-")
    return {"image": "images"}.get(name, name).replace("-", "_")


def _missing(answer: Answer) -> set[str]:
    return {_name(one) for one in answer["missing"]}


def _ambiguous(answer: Answer) -> set[str]:
    return {_name(one["parameter"]) for one in answer["ambiguous"]}


def _asked(answer: Answer) -> set[str]:
    return _missing(answer) | _ambiguous(answer)


def _exactly(field: str, found: set[str], wanted: list[str]) -> list[tuple[str, Any, Any, bool]]:
    return [(field, sorted(wanted), sorted(found), found == {_name(one) for one in wanted})]


def _offers(wanted: dict[str, list[str]], answer: Answer) -> list[tuple[str, Any, Any, bool]]:
    rows = []
    for parameter, values in wanted.items():
        options = [one["options"] for one in answer["ambiguous"] if _name(one["parameter"]) == parameter]
        found = [option["value"] if isinstance(option, dict) else option for option in (options or [[]])[0]]
        rows.append((f"options of {parameter}", values, found, set(values) <= set(found)))
    return rows


_QUESTIONS = {
    "missing": lambda wanted, answer: _exactly("missing", _missing(answer), wanted),
    "ambiguous": lambda wanted, answer: _exactly("ambiguous", _ambiguous(answer), wanted),
    "asks": lambda wanted, answer: [
        ("asks", one, sorted(_asked(answer)), _name(one) in _asked(answer)) for one in wanted
    ],
    "silent": lambda wanted, answer: [
        ("silent", one, sorted(_asked(answer)), _name(one) not in _asked(answer)) for one in wanted
    ],
    "offers": _offers,
    "warns": lambda wanted, answer: [
        ("warns", wanted, answer["warnings"], any(re.search(wanted, str(one)) for one in answer["warnings"]))
    ],
}
