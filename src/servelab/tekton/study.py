"""The study that an experiment stands for: its own, or what its values say in a study's terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from servelab.catalog.study import load_study
from servelab.spec.errors import DocumentError
from servelab.spec.study import Study
from servelab.tekton.changes import IMAGE, MEMORY, PARALLELISM, STARTUP, parameters
from servelab.tekton.experiment import RUN, STUDY_FILE, VALUES, Experiment
from servelab.tekton.values import read_mapping

SWEEP = (3, 50)  # levels that a sweep may have


def study_of(experiment: Experiment) -> Study:
    """The study of an experiment.

    Raises:
        DocumentError: its values lack what a study needs.
    """
    if experiment.study:
        return load_study(experiment.study, STUDY_FILE)
    values = read_mapping(experiment.values, VALUES)
    stack = values.get("stack") or {}
    profile = (stack.get("workload") or {}).get("profile") or {}
    engine = parameters(values, "")
    outside = {IMAGE, MEMORY, STARTUP}
    try:
        return Study.model_validate(
            {
                "name": experiment.name,
                "model": {"id": _parameter(experiment, "model")},
                "engine": {
                    "name": "vllm",
                    "image": engine.get(IMAGE),
                    "arguments": {name: value for name, value in engine.items() if name not in outside},
                },
                "workload": _workload(profile.get("data") or {}, (stack.get("workload") or {}).get("app")),
                "load": _load(profile),
                "treatments": [{PARALLELISM: size} for size in stack["treatments"]["tensorParallelism"]],
            }
        )
    except (KeyError, TypeError, ValueError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else repr(error)
        raise DocumentError(
            (f"the values make no study: {reason}",), f"Put a {STUDY_FILE} beside them, as servelab ask does."
        ) from error


def _parameter(experiment: Experiment, name: str) -> str:
    parameters_given = (read_mapping(experiment.run, RUN).get("spec") or {}).get("params") or []
    return next((str(one["value"]) for one in parameters_given if one.get("name") == name), "unknown")


def _workload(data: Mapping[str, Any], name: str | None) -> dict[str, Any]:
    prefix = int(data.get("prefix_tokens") or 0)
    workload = {kind: _tokens(data, f"{kind}_tokens") for kind in ("prompt", "output")}
    return {"name": name or "custom", **workload, **({"prefix": {"tokens": prefix}} if prefix else {})}


def _tokens(data: Mapping[str, Any], kind: str) -> dict[str, Any]:
    parts = {part: data[f"{kind}_{part}"] for part in ("stdev", "min", "max") if f"{kind}_{part}" in data}
    return {"mean": data[kind], **parts}


def _load(profile: Mapping[str, Any]) -> dict[str, Any]:
    requests = int(profile["max_requests"])
    rates = profile["rate"] if isinstance(profile["rate"], list) else [profile["rate"]]
    match profile["rate_type"]:
        case "sweep":
            return {"sweep": min(max(round(float(rates[0])), SWEEP[0]), SWEEP[1]), "requests": requests}
        case "concurrent":
            return {"concurrency": rates, "requests": requests}
        case "synchronous" | "throughput" as kind:
            return {kind: True, "requests": requests}
        case kind:
            return {"rate": rates, "arrival": kind, "requests": requests}
