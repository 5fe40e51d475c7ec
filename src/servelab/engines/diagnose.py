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

EVIDENCE = 400  # characters of a log line that are kept


def _compiles(pattern: str) -> str:
    re.compile(pattern)
    return pattern


class Rule(Spec):
    """What a line of a log, or an exit code, says of a failure."""

    pattern: Annotated[str, AfterValidator(_compiles)] | None = None
    exit: int | None = None
    engines: tuple[str, ...] = ()
    kind: FailureKind
    message: str
    remedy: str
    transient: bool = False

    def matches(self, line: str) -> re.Match[str] | None:
        """The match of the pattern in a line of the log."""
        return re.search(self.pattern, line, re.IGNORECASE) if self.pattern else None


@cache
def rules() -> tuple[Rule, ...]:
    """All rules, in the order in which they are tried."""
    text = (files("servelab.engines") / "data" / "failures.yaml").read_text(encoding="utf-8")
    return TypeAdapter(tuple[Rule, ...]).validate_python(YAML(typ="safe", pure=True).load(text))


def diagnose(engine: str, log: str, exit_code: int | None) -> Failure | None:
    """The failure that the first matching rule describes; None when no rule matches."""
    lines = log.splitlines()
    for rule in rules():
        if rule.engines and engine not in rule.engines:
            continue
        for line in reversed(lines):
            found = rule.matches(line)
            if found:
                return _failure(rule, found, line)
    for rule in rules():
        if rule.exit is not None and rule.exit == exit_code:
            return _failure(rule, None, "\n".join(lines[-5:]))
    return None


def _failure(rule: Rule, found: re.Match[str] | None, evidence: str) -> Failure:
    groups = ("", *(group or "" for group in found.groups())) if found else ()
    return Failure(
        kind=rule.kind,
        stage="ready",
        message=rule.message.format(*groups) if groups else rule.message,
        remedy=rule.remedy.format(*groups) if groups else rule.remedy,
        evidence=evidence.strip()[:EVIDENCE],
        transient=rule.transient,
    )
