"""Why a run failed and what could be changed, by the rules in data/failures.yaml and those of the engines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Annotated, Any

from pydantic import AfterValidator
from ruamel.yaml import YAML

from servelab.engines.diagnose import diagnose as diagnose_engine
from servelab.spec.base import Spec
from servelab.spec.deployment import FailureKind
from servelab.tekton.evidence import Evidence, Where
from servelab.tekton.fixes import Fix, Option, option

EVIDENCE = 600  # characters that are shown
LOOKED_AT = 4000  # characters of a line that are searched


def _compiles(pattern: str) -> str:
    re.compile(pattern)
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]


class Rule(Spec):
    """A rule of data/failures.yaml; ``engine`` stands for the engines' own rules."""

    engine: bool = False
    where: tuple[Where, ...] = ()
    reason: Pattern = ".*"
    text: Pattern = ""
    kind: FailureKind = "unknown"
    message: str = ""
    remedy: str = ""
    transient: bool = False
    fixes: tuple[str, ...] = ()


class Rules(Spec):
    """The whole file; ``names``: engine -> parameter as fixes name it -> the engine's own name."""

    names: dict[str, dict[str, str]]
    fixes: dict[str, Fix]
    rules: tuple[Rule, ...]
    engine_fixes: dict[FailureKind, tuple[str, ...]]


class Diagnosis(Spec):
    """Why a run failed: what is shown, and the options that the person has, numbered from 1."""

    kind: FailureKind
    task: str
    trial: str
    message: str
    remedy: str
    evidence: str
    transient: bool = False
    options: tuple[Option, ...] = ()


@cache
def rules() -> Rules:
    """All rules, in the order in which they are tried."""
    text = (files("servelab.tekton") / "data" / "failures.yaml").read_text(encoding="utf-8")
    return Rules.model_validate(YAML(typ="safe", pure=True).load(text))


def diagnose(
    seen: Sequence[Evidence],
    task: str = "",
    trial: str = "",
    parameters: Mapping[str, Any] | None = None,
    engine: str = "vllm",
) -> Diagnosis:
    """The diagnosis by the first rule that fits something that was seen; ``unknown`` when none does."""
    known = rules()
    for rule in known.rules:
        found = _engine(engine, seen) if rule.engine else _fitting(rule, seen)
        if found is not None:
            kind, message, remedy, transient, evidence = found
            names = known.engine_fixes.get(kind, ("again",)) if rule.engine else rule.fixes
            own = known.names.get(engine, {})
            options = [option(known.fixes[name], parameters or {}, own) for name in names]
            return Diagnosis(
                kind=kind,
                task=task,
                trial=trial,
                message=message,
                remedy=remedy,
                transient=transient,
                evidence=evidence[-EVIDENCE:],
                options=tuple(one for one in options if one is not None),
            )
    last = next((one for one in reversed(seen) if one.text), None)
    again = option(known.fixes["again"], {})
    return Diagnosis(
        kind="unknown",
        task=task,
        trial=trial,
        message=f"{task or 'the run'} failed",
        remedy="Read the logs: servelab tekton logs",
        evidence=last.text[-EVIDENCE:] if last else "",
        options=(again,) if again else (),
    )


_Found = tuple[FailureKind, str, str, bool, str]


def _fitting(rule: Rule, seen: Sequence[Evidence]) -> _Found | None:
    for one in seen:
        if one.where not in rule.where or not re.fullmatch(rule.reason, one.reason, re.IGNORECASE):
            continue
        text = "\n".join(line[:LOOKED_AT] for line in one.text.splitlines())
        found = re.search(rule.text, text, re.IGNORECASE)
        if found is not None:
            groups = (one.subject, *(group or "" for group in found.groups()))
            evidence = _around(text, found) if one.where == "log" else ": ".join(filter(None, (one.reason, one.text)))
            return rule.kind, rule.message.format(*groups), rule.remedy.format(*groups), rule.transient, evidence
    return None


def _engine(engine: str, seen: Sequence[Evidence]) -> _Found | None:
    for one in seen:
        if one.where == "log":
            failure = diagnose_engine(engine, one.text, one.code)
            if failure is not None:
                message = f"{one.subject}: {failure.message}"
                return failure.kind, message, failure.remedy, failure.transient, failure.evidence
    return None


def _around(text: str, found: re.Match[str]) -> str:
    """The whole line in which a match begins."""
    start = text.rfind("\n", 0, found.start()) + 1
    end = text.find("\n", found.end())
    return text[start : end if end >= 0 else None].strip()
