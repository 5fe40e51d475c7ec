"""The names that Kubernetes and Tekton accept."""

from __future__ import annotations

import re

MAX_NAME = 63

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_PARAM = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_OBJECT_PARAM = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_RESULT = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?")
_DURATION = re.compile(r"(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))+|0")
_PART = re.compile(r"(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def wrong_label(name: object, what: str) -> str | None:
    """Why ``name`` is no DNS label, as the names of tasks and steps must be."""
    if not isinstance(name, str) or not name:
        return f"the name of {what} is missing"
    if len(name) > MAX_NAME:
        return f"the name of {what}, `{name}`, has {len(name)} characters; {MAX_NAME} are allowed"
    if not _LABEL.fullmatch(name):
        return (
            f"the name of {what}, `{name}`, may hold only a-z, 0-9 and '-', and begins and ends with a letter or digit"
        )
    return None


def wrong_object_name(metadata: object) -> str | None:
    """Why an object cannot be called as its ``metadata`` says."""
    if not isinstance(metadata, dict):
        return None
    name, prefix = metadata.get("name"), metadata.get("generateName")
    if name is None and prefix is None:
        return "`name` is missing"
    # Tekton's webhook refuses longer names, and dots; Kubernetes appends five characters to a prefix.
    given = str(name if name is not None else prefix)
    if name is None:
        given = given.rstrip("-")[: MAX_NAME - 5]
    return wrong_label(given, "the object")


def wrong_param_name(name: object, is_object: bool = False) -> str | None:
    """Why ``name`` cannot be a parameter's."""
    pattern = _OBJECT_PARAM if is_object else _PARAM
    if isinstance(name, str) and pattern.fullmatch(name):
        return None
    dots = "" if is_object else ", '.'"
    return f"parameter `{name}`: a name holds letters, digits, '-', '_'{dots}, and does not begin with a digit"


def wrong_result_name(name: object) -> str | None:
    """Why ``name`` cannot be a result's."""
    if isinstance(name, str) and _RESULT.fullmatch(name):
        return None
    return f"result `{name}`: a name holds letters, digits, '-', '_', '.', and begins and ends with a letter or digit"


def wrong_duration(value: object) -> str | None:
    """Why ``value`` is no duration."""
    if isinstance(value, str) and (_DURATION.fullmatch(value) or value.startswith("$(")):
        return None
    return f"`{value}` is no duration; write for example 30s, 10m or 1h30m"


def duration_seconds(value: object) -> float | None:
    """The seconds of a duration; None where it is a variable or no duration."""
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(value))
