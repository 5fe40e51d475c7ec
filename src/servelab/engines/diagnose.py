"""Read the cause of a failure out of an engine's log, by the rules in data/failures.yaml."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Annotated

from pydantic import AfterValidator, TypeAdapter
from ruamel.yaml import YAML

from servelab.spec.base import Spec
from servelab.spec.deployment import Failure, FailureKind

MATCHES = 3  # of a rule that are kept as evidence, the last ones
WIDEST = 400  # characters of a line that are kept as evidence
LOOKED_AT = 2000  # characters of a line that are searched: no log can make a search long


def _compiles(pattern: str) -> str:
    re.compile(pattern)
    return pattern


class Rule(Spec):
    """What a log, or an exit code, says of a failure.

    ``pattern`` is searched in the whole log without regard to case, ``.`` stays in its line. ``{1}`` in ``message``
    and ``remedy`` is its first group.
    """

    pattern: Annotated[str, AfterValidator(_compiles)] | None = None
    exit: tuple[int, ...] = ()
    engines: tuple[str, ...] = ()
    kind: FailureKind
    message: str
    remedy: str
    transient: bool = False


@cache
def rules() -> tuple[Rule, ...]:
    """All rules, in the order in which they are tried."""
    text = (files("servelab.engines") / "data" / "failures.yaml").read_text(encoding="utf-8")
    return TypeAdapter(tuple[Rule, ...]).validate_python(YAML(typ="safe", pure=True).load(text))


def diagnose(engine: str, log: str, exit_code: int | None) -> Failure | None:
    """The failure that the first matching rule describes; None when no rule matches."""
    log = "\n".join(line[:LOOKED_AT] for line in log.splitlines())
    known = [rule for rule in rules() if not rule.engines or engine in rule.engines]
    for rule in known:
        found = list(re.finditer(rule.pattern, log, re.IGNORECASE)) if rule.pattern else []
        if found:
            return _failure(rule, found[-1], _lines(log, found[-MATCHES:]))
    for rule in known:
        if exit_code in rule.exit:
            return _failure(rule, None, log.splitlines()[-5:])
    return None


def _lines(log: str, found: list[re.Match[str]]) -> list[str]:
    """The whole lines in which a rule matched, each once."""
    spans = [(log.rfind("\n", 0, one.start()) + 1, log.find("\n", one.end())) for one in found]
    lines = [line for start, end in spans for line in log[start : end if end >= 0 else None].splitlines()]
    return list(dict.fromkeys(line.strip() for line in lines))


def _failure(rule: Rule, found: re.Match[str] | None, evidence: list[str]) -> Failure:
    groups = ("", *(group or "" for group in found.groups())) if found else ("",)
    return Failure(
        kind=rule.kind,
        stage="ready",
        message=rule.message.format(*groups),
        remedy=rule.remedy.format(*groups),
        evidence="\n".join(line[:WIDEST] for line in evidence),
        transient=rule.transient,
    )
