"""A study as values of the data-collection pipeline: treatments, workload and load."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from servelab.harnesses.external import inference_perf
from servelab.harnesses.external.lengths import CLOSED, warmup
from servelab.spec.base import Parameters
from servelab.spec.errors import DocumentError
from servelab.spec.load import Load
from servelab.spec.study import Study
from servelab.spec.workload import Tokens, Workload
from servelab.tekton.chart import STARTED, argument_rules, engine_rules
from servelab.tekton.refused import BUILTIN, HARNESSES, faults

LIMITS = ("max_model_len", "max_num_batched_tokens", "max_num_seqs")
"""vLLM's arguments that the original pipeline knows by name."""


def study_values(study: Study, base: Mapping[str, Any]) -> dict[str, Any]:
    """``base``, values of the pipeline, with what the study says.

    Raises:
        DocumentError: the study has something that the pipeline cannot do.
    """
    refused = tuple(dict.fromkeys(faults(study, base)))
    if refused:
        raise DocumentError(refused, "servelab run can do it on one machine.")
    stack = dict(base["stack"])
    named = {"revision": study.model.revision, "tokenizer": study.model.tokenizer}
    for name in LIMITS:
        stack.pop(name.upper(), None)
    fixed = study.engine.arguments
    treatments = [
        treatment(study.engine.name, number, {**fixed, **parameters}, parameters)
        for number, parameters in enumerate(study.design or ({},))
    ]
    stack |= {
        "model": {**(stack.get("model") or {}), **{name: value for name, value in named.items() if value}},
        "engine": study.engine.name,
        "treatments": {"explicit": treatments},
        "overrides": [*engine_rules(study.engine), *stack.get("overrides", ())],
        "workload": {"app": study.workload.name, "profile": profile(study.workload, study.load)},
        "parallel": study.budget.parallel >= len(treatments),
    }
    harness = HARNESSES[0] if study.harness.name == BUILTIN else study.harness.name
    workload = {**base.get("workload", {}), "harness": harness, "timeout": f"{_seconds(study):.0f}s"}
    if harness == "inference-perf":
        workload |= {"profileTemplate": inference_perf_profile(study), "warmupStage": inference_perf_warmup(study)}
    return {
        **base,
        "experiment": {"name": study.name, "description": study.description or f"servelab study {study.name}"},
        "stack": stack,
        "workload": workload,
    }


def treatment(engine: str, number: int, arguments: Parameters, settings: Parameters) -> dict[str, Any]:
    """One deployment; its id is short, since it is part of names that may have 53 characters."""
    left, started = dict(arguments), STARTED[engine]
    found: dict[str, Any] = {"id": f"t{number}", "tensorParallelism": left.get(started.parallelism, 1)}
    if not started.command:
        left.pop(started.parallelism, None)
        found |= {name.upper(): left.pop(name) for name in LIMITS if name in left}
    return {**found, "overrides": list(argument_rules(engine, left)), "settings": dict(settings)}


def inference_perf_profile(study: Study) -> dict[str, Any]:
    """The configuration of inference-perf, a stage for each level; the Task adds server, model and storage."""
    points = study.load.points
    stages = [inference_perf.stage(point, point.requests, point.seconds) for point in points]
    kind = "concurrent" if points[0].kind in CLOSED else points[0].kind
    return {
        "api": {"type": "completion", "streaming": True},
        "data": inference_perf.data(study.workload, inference_perf.count(stages), study.workload.seed),
        "load": {"type": kind, "interval": 0, "stages": stages, "base_seed": study.workload.seed},
        "server": {"ignore_eos": True},
        "tokenizer": {"pretrained_model_name_or_path": study.model.tokenizer or study.model.id},
        "report": {"request_lifecycle": {"per_request": True, "use_server_output_tokens": True}},
    }


def inference_perf_warmup(study: Study) -> dict[str, Any] | None:
    """The stage that is sent first and not counted: that of the highest level, which opens every stream."""
    highest = max(study.load.points, key=lambda point: point.level)
    return inference_perf.stage(highest, warmup(highest), None) if highest.warmup else None


def profile(workload: Workload, load: Load) -> dict[str, Any]:
    """The workload and its load, by the names that the run-workload Tasks have."""
    prefix = workload.prefix
    data = {"prefix_tokens": prefix.tokens if prefix else 0}
    data |= {"prefix_groups": prefix.groups if prefix else 1}
    data |= _lengths("prompt_tokens", workload.prompt) | _lengths("output_tokens", workload.output)
    kind, rate = _rate(load)
    limits = {"max_requests": load.requests or "", "max_seconds": load.seconds or "", "warmup": load.warmup}
    return {
        "api": workload.api,
        "rate_type": kind,
        "rate": rate,
        "random_seed": workload.seed,
        **limits,
        "data": data,
    }


def _lengths(name: str, tokens: Tokens) -> dict[str, Any]:
    spread = {"stdev": round(tokens.stdev), "min": tokens.min, "max": tokens.upper}
    return {name: round(tokens.mean), **{f"{name}_{key}": value for key, value in spread.items()}}


def _rate(load: Load) -> tuple[str, str]:
    if load.sweep:
        return "sweep", str(load.sweep)
    if load.synchronous:
        return "synchronous", ""
    if load.throughput:
        return "throughput", str(load.max_concurrency)
    if load.concurrency:
        return "concurrent", ",".join(f"{level:g}" for level in load.concurrency)
    return load.arrival, ",".join(f"{level:g}" for level in load.rate)


def _seconds(study: Study) -> float:
    """The longest that the workload of one treatment may take."""
    levels = study.load.sweep or max(1, len(study.load.points))
    return study.budget.timeouts.measure * levels
