#!/usr/bin/env python3
"""Change Helm values by rules, as ``decode.containers[name="vllm"].args=--max-model-len=4096``.

A rule is a path, ``=`` and a value. Names in a path are joined by dots and may stand in quotes. ``[name="x"]`` picks
the item of a list that has this field, and adds one if there is none; ``[0]`` picks by position. The value is JSON
or plain text. Where the path leads to a list of texts, the value replaces the item with the same flag, or is added.

As a program: the values as JSON (or YAML, where PyYAML is there) in the variable VALUES; rules as arguments, then the
lines of the variable RULES, then those of the file that RULES_FILE names; the result goes to the file OUT.
"""

import itertools
import json
import os
import re
import sys
from typing import Any

QUOTED = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"
SEGMENT = re.compile(rf"({QUOTED}|[^.=\[\]\"']+)((?:\[(?:[^\]\"']|{QUOTED})*\])*)(\.|=)")
SELECTOR = re.compile(rf"\[((?:[^\]\"']|{QUOTED})*)\]")
CONDITION = re.compile(rf"\s*([\w./-]+)\s*=\s*({QUOTED}|[^,&\"']*?)\s*(?:,|&&|$)")
TEXT_LISTS = ("args", "command")


class RuleError(ValueError):
    """A rule that cannot be understood, or does not fit the values."""


def override(values: dict[str, Any], rules: list[str]) -> dict[str, Any]:
    """A copy of ``values`` with each rule applied, in order.

    Raises:
        RuleError: a rule cannot be applied.
    """
    changed: dict[str, Any] = json.loads(json.dumps(values))
    for rule in rules:
        try:
            steps, text = parse(rule)
            _apply(changed, steps, text)
        except RuleError as error:
            raise RuleError(f"rule `{rule}`: {error}") from None
    return changed


def parse(rule: str) -> tuple[list[Any], str]:
    """The steps of a rule's path, names, positions and conditions, and the text of its value."""
    steps: list[Any] = []
    position = 0
    while True:
        segment = SEGMENT.match(rule, position)
        if segment is None:
            raise RuleError('a rule is written as path.to[name="x"].field=value; this is not')
        name, selectors, end = segment.groups()
        steps.append(_unquoted(name.strip()))
        steps += [_selector(found) for found in SELECTOR.findall(selectors)]
        position = segment.end()
        if end == "=":
            return steps, rule[position:]


def _selector(text: str) -> Any:
    if text.strip().isdigit():
        return int(text)
    conditions, position = {}, 0
    while position < len(text):
        condition = CONDITION.match(text, position)
        if condition is None or condition.end() == position:
            break
        conditions[condition[1]] = _unquoted(condition[2])
        position = condition.end()
    if not conditions or position < len(text):
        raise RuleError(f'`[{text}]` is neither a position nor a condition like [name="x"]')
    return conditions


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if re.fullmatch(QUOTED, text) else text


def value_of(text: str) -> Any:
    """The value that a text stands for: JSON, or the text itself, without quotes around it."""
    if text in ("True", "False"):
        return text == "True"
    try:
        return json.loads(text, parse_constant=str)
    except ValueError:
        return _unquoted(text)


def _apply(values: Any, steps: list[Any], text: str) -> None:
    place, seen = values, ""
    for step, following in itertools.pairwise(steps):
        place = _enter(place, step, [] if isinstance(following, int | dict) else {}, seen)
        seen += f"[{step}]" if isinstance(step, int) else "[...]" if isinstance(step, dict) else f".{step}"
    last = steps[-1]
    if isinstance(last, dict):
        raise RuleError("the path ends in a condition; name the field to set")
    held = _held(place, last, seen)
    if isinstance(held, list) and not isinstance(value_of(text), list):
        if any(isinstance(item, dict | list) for item in held):
            raise RuleError(f"`{last}` is a list of objects; pick one of them")
        _upsert(held, text)
    elif held is None and last in TEXT_LISTS and not isinstance(value_of(text), list):
        place[last] = [text]
    elif isinstance(held, dict) and not isinstance(value_of(text), dict | None):
        raise RuleError(f"`{last}` holds {', '.join(held)}; name one of them")
    else:
        _put(place, last, value_of(text))


def _enter(place: Any, step: Any, empty: Any, seen: str) -> Any:
    """What ``step`` leads to, ``empty`` if there is nothing yet."""
    if isinstance(step, dict):
        if not isinstance(place, list):
            raise RuleError(f"{_at(seen)} is no list")
        for item in place:
            if isinstance(item, dict) and all(str(item.get(name)) == wanted for name, wanted in step.items()):
                return item
        place.append(dict(step))
        return place[-1]
    held = _held(place, step, seen)
    if held is None:
        _put(place, step, empty)
        return empty
    if not isinstance(held, dict | list):
        raise RuleError(f"{_at(f'{seen}.{step}')} is {json.dumps(held)} and has no fields")
    return held


def _held(place: Any, step: Any, seen: str) -> Any:
    if isinstance(step, int):
        if not isinstance(place, list) or step > len(place):
            raise RuleError(f"{_at(seen)} has no item {step}")
        return place[step] if step < len(place) else None
    if not isinstance(place, dict):
        raise RuleError(f'{_at(seen)} is a list; pick an item, as [0] or [name="x"]')
    return place.get(step)


def _put(place: Any, step: Any, value: Any) -> None:
    if isinstance(step, int) and step == len(place):
        place.append(value)
    else:
        place[step] = value


def _at(seen: str) -> str:
    return f"`{seen.removeprefix('.')}`" if seen else "the top"


def _upsert(items: list[Any], text: str) -> None:
    """Put an argument into a list, in place of the one with the same flag or name."""
    flag, equals, _ = text.partition("=")
    is_flag = text.startswith("-")
    for index, item in enumerate(items):
        if item == text:
            return
        if str(item).startswith(f"{flag}=") and (equals or is_flag):
            items[index] = text
            return
        if is_flag and item == flag:
            items[index] = text
            if equals and index + 1 < len(items) and not str(items[index + 1]).startswith("-"):
                del items[index + 1]  # the value of a flag that was given in two arguments
            return
    items.append(text)


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        import yaml
    except ImportError:
        sys.exit("override: VALUES is not JSON, and there is no PyYAML in this image; give the values as an object")
    return yaml.safe_load(text)


def _rules() -> list[str]:
    lines = os.environ.get("RULES", "").splitlines()
    if os.environ.get("RULES_FILE"):
        with open(os.environ["RULES_FILE"], encoding="utf-8") as file:  # noqa: PTH123
            lines += file.read().splitlines()
    return [*sys.argv[1:], *(line.strip() for line in lines if line.strip())]


def main() -> None:
    """Apply the rules to VALUES, and write OUT."""
    values = _read(os.environ["VALUES"]) or {}
    if not isinstance(values, dict):
        sys.exit("override: the values are not a mapping")
    try:
        changed = override(values, _rules())
    except RuleError as error:
        sys.exit(f"override: {error}")
    with open(os.environ["OUT"], "w", encoding="utf-8") as file:  # noqa: PTH123 - one file, one import less
        json.dump(changed, file, indent=2)
    print(json.dumps(changed, indent=2))


if __name__ == "__main__":
    main()
