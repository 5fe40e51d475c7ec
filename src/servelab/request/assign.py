"""Set one field of a request to what was answered when it was asked for."""

from __future__ import annotations

import re
from typing import Any

from servelab.request.match import plain_value
from servelab.request.said import Request

_LENGTH = re.compile(r"(prompt|output)_tokens(?:_(stdev|min|max))?")
_PROFILE = {"prefix_tokens": "prefix", "max_requests": "max_requests", "rate_type": "rate_type", "rate": "rates"}
_SEVERAL = ("tensor_parallelism", "rates", "concurrency")
_SWITCHES = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def assign(request: Request, parameter: str, answer: str) -> Request:
    """The request with ``parameter`` set: a field, a number of the workload as ``prompt_tokens``, or a flag.

    Raises:
        ValueError: the answer is none for this parameter.
    """
    answer = answer.strip()
    if not answer:
        raise ValueError("the answer is empty")
    plain = request.model_dump()
    if parameter.startswith("-"):
        switch = _SWITCHES.get(answer.lower())
        plain["engine_args"][parameter] = plain_value(answer) if switch is None else switch
        return Request.model_validate(plain)
    *parents, last = _path(parameter)
    node: dict[str, Any] = plain
    for parent in parents:
        node = node[parent]
    if last not in node:
        raise ValueError(f"a request has no {parameter}")
    node[last] = re.findall(r"[\d.]+", answer) if last in _SEVERAL else answer
    if node[last] == []:
        raise ValueError(f"{answer!r} is no number")
    return Request.model_validate(plain)


def value_of(request: Request, parameter: str) -> Any:
    """What the request holds for a parameter, None where it has none."""
    if parameter.startswith("-"):
        return request.engine_args.get(parameter)
    found: Any = request
    for part in _path(parameter):
        found = getattr(found, part, None)
    return found


def _path(parameter: str) -> tuple[str, ...]:
    length = _LENGTH.fullmatch(parameter)
    if length:
        return ("profile", length[1], length[2] or "mean")
    if parameter in _PROFILE:
        return ("profile", _PROFILE[parameter])
    return ("images", "main") if parameter == "images" else tuple(parameter.split("."))
