"""Treatments that values list one by one, as those of a study: what each sets, and the study written into them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from servelab.catalog.study import load_study
from servelab.spec.base import Value
from servelab.tekton.chart import CONTAINER, STARTED, engine_rules
from servelab.tekton.filters import dns
from servelab.tekton.plain import typed
from servelab.tekton.study_values import LIMITS, study_values
from servelab.tekton.values import read_mapping
from servelab.tekton.write import to_yaml

_ARGUMENT = f"{CONTAINER}.args=--"
_IMAGE = f"{CONTAINER}.image="
_MEMORY = f"{CONTAINER}.resources.limits.memory="


def explicit(values: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The treatments that are listed; empty where they are numbers of tensor parallelism."""
    treatments = (values.get("stack") or {}).get("treatments")
    found = treatments.get("explicit") if isinstance(treatments, Mapping) else None
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def treatment_settings(values: Mapping[str, Any], trial: str) -> dict[str, Value]:
    """The engine's parameters that the treatment ``trial`` sets; empty where it is not listed."""
    entry = next((one for one in explicit(values) if dns(str(one.get("id"))) == trial), None)
    if entry is None:
        return {}
    found = _ruled([*(values["stack"].get("overrides") or []), *(entry.get("overrides") or [])])
    found |= {name: entry[name.upper()] for name in LIMITS if name.upper() in entry}
    parallelism = STARTED[engine_of(values)].parallelism
    return {**found, **(entry.get("settings") or {}), parallelism: entry.get("tensorParallelism", 1)}


def engine_of(values: Mapping[str, Any]) -> str:
    """The engine that values deploy."""
    named = (values.get("stack") or {}).get("engine")
    return str(named) if named in STARTED else "vllm"


def _ruled(rules: Iterable[str]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for rule in rules:
        if rule.startswith(_ARGUMENT):
            flag, equals, text = rule.removeprefix(_ARGUMENT).partition("=")
            found[flag.replace("-", "_")] = typed(text) if equals else True
        elif rule.startswith(_IMAGE):
            found["image"] = rule.removeprefix(_IMAGE)
        elif rule.startswith(_MEMORY):
            found["memory"] = json.loads(rule.removeprefix(_MEMORY))
    return found


def with_study(values: str, study: str, before: str) -> str:
    """The text of values with what a study says written into them, in place of what it said ``before``.

    Raises:
        DocumentError: the study is not valid, or has something that the pipeline cannot do.
    """
    base = read_mapping(values, "values.yaml")
    written = set(engine_rules(load_study(before, "study.yaml").engine))
    base["stack"]["overrides"] = [rule for rule in base["stack"].get("overrides") or [] if rule not in written]
    return to_yaml(study_values(load_study(study, "study.yaml"), base))
