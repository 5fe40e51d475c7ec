"""From a task to studies: one for each traffic scenario, since a study has one workload."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from servelab.catalog.containers import IMAGES
from servelab.spec.errors import DocumentError
from servelab.spec.plugins import Group, plugin_names
from servelab.tasks.configurations import Configurations, configurations
from servelab.tasks.document import SLO, Task
from servelab.tasks.workload import workload

MODELS = "/mnt/data/models"
"""Where the predecessor looks for models that are named without a slash."""

OBJECTIVES = {
    "minimize_latency": "e2e_mean",
    "maximize_throughput": "total_throughput",
    "minimize_ttft": "ttft_mean",
    "minimize_tpot": "tpot_mean",
}
_SAMPLERS = {"bayesian": "tpe", "random": "random", "random_search": "random"}
_ENGINES = {"vllm": "vllm", "sglang": "sglang", "trtllm": "trtllm", "tensorrt": "trtllm"}
ENGINE_PLUGINS: Group = "servelab.engines"
REQUESTS = 100  # per level, where the task says neither requests nor time


@dataclass(frozen=True)
class Imported:
    """A study as a document, and what a person should know of it."""

    document: dict[str, Any]
    notes: tuple[str, ...]

    @property
    def can_run(self) -> bool:
        """Whether its engine is installed here."""
        return self.document["engine"]["name"] in plugin_names(ENGINE_PLUGINS)


def studies(task: Task, models: str = MODELS) -> list[Imported]:
    """The studies that do what the task does.

    Raises:
        DocumentError: something of it cannot be done, however it is run.
    """
    engine, guessed = engine_of(task)
    found = configurations(task, engine)
    notes = [*_absent(engine), *guessed, *found.notes, *_told(task)]
    scenarios = task.benchmark.traffic_scenarios
    made = []
    for number, scenario in enumerate(scenarios):
        suffix = f"-{number + 1}" if len(scenarios) > 1 else ""
        document = {
            "name": label(task.task_name, suffix),
            "description": task.description or f"from the task {task.task_name}",
            "model": _model(task, models),
            "engine": _engine(task, engine),
            "platform": _platform(task),
            "workload": {"name": scenario, **workload(scenario), "api": "chat", **_extra(task)},
            "load": _load(task),
            **_search(task, found),
            **_goal(task),
            "budget": _budget(task, found),
        }
        made.append(Imported({name: value for name, value in document.items() if value}, tuple(notes)))
    return made


def engine_of(task: Task) -> tuple[str, tuple[str, ...]]:
    """The engine that the runtime's name says; OME runtimes that say none were SGLang's."""
    runtime = task.base_runtime.lower().replace("_", "-")
    for word, engine in _ENGINES.items():
        if word in runtime:
            return engine, ()
    return "sglang", (f"the runtime {task.base_runtime} is taken for SGLang: change engine.name if it is not",)


def _absent(engine: str) -> tuple[str, ...]:
    if engine in plugin_names(ENGINE_PLUGINS):
        return ()
    return (
        f"servelab has no engine {engine}: the study can be read, and the task's results imported with it, but it runs "
        "only with a plug-in of that name (docs/plugins.md)",
    )


def label(name: str, suffix: str = "") -> str:
    """A name as servelab's studies have them: lower case, digits and dashes, at most 40 characters."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "task"
    return plain[: 40 - len(suffix)].rstrip("-") + suffix


def _model(task: Task, models: str) -> dict[str, Any]:
    named, bench = task.model.id_or_path, task.benchmark
    local = named.startswith("/") or "/" not in named
    model: dict[str, Any] = {"id": (bench.model_tokenizer or named.rpartition("/")[2]) if local else named}
    if local and task.deployment_mode != "ome":
        model["path"] = named if named.startswith("/") else f"{models}/{named}"
    if bench.model_name and bench.model_name != model["id"]:
        model["served_name"] = bench.model_name
    if bench.model_tokenizer and bench.model_tokenizer != model["id"]:
        model["tokenizer"] = bench.model_tokenizer
    return model


def _engine(task: Task, engine: str) -> dict[str, Any]:
    config: dict[str, Any] = {"name": engine, "resources": {"accelerators": 1}}
    if task.runtime_image_tag and engine in IMAGES:
        config["image"] = f"{IMAGES[engine].on_accelerator}:{task.runtime_image_tag}"
        config["version"] = task.runtime_image_tag.removeprefix("v").partition("-")[0]
    return config


def _platform(task: Task) -> dict[str, Any]:
    if task.deployment_mode == "docker":
        return {"name": "docker"}
    if task.deployment_mode == "local":
        return {"name": "process"}
    base, runtime = task.clusterbasemodel_config or {}, task.clusterservingruntime_config or {}
    options: dict[str, Any] = {"namespace": task.model.namespace}
    if "/" not in task.model.id_or_path:
        options["model"] = {"name": task.model.id_or_path} | ({"preset": base["preset"]} if "preset" in base else {})
    if task.base_runtime not in _ENGINES:
        # Its presets of runtimes were by engine and size of model; ours are by engine.
        options["runtime"] = {"name": task.base_runtime} | ({"preset": engine_of(task)[0]} if runtime else {})
    return {"name": "ome", "options": options}


def _extra(task: Task) -> dict[str, Any]:
    """Request fields; the predecessor's numbers are often text."""
    return {"extra": {name: _number(value) for name, value in task.benchmark.additional_params.items()}}


def _number(value: Any) -> Any:
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _load(task: Task) -> dict[str, Any]:
    bench = task.benchmark
    load: dict[str, Any] = {"concurrency": list(bench.num_concurrency)}
    if bench.max_requests_per_iteration:
        load["requests"] = bench.max_requests_per_iteration
    if bench.max_time_per_iteration:
        load["seconds"] = bench.max_time_per_iteration * 60
    return load if len(load) > 1 else {**load, "requests": REQUESTS}


def _search(task: Task, found: Configurations) -> dict[str, Any]:
    if task.optimization.strategy == "grid_search":
        if found.ranges:
            raise DocumentError(
                (f"a grid has no ranges: {', '.join(found.ranges)}",), "List values, or use the strategy bayesian."
            )
        return {"treatments": found.treatments[: task.optimization.max_iterations]}
    return {"space": {"parameters": _space(found)}, "sampler": _SAMPLERS[task.optimization.strategy]}


def _space(found: Configurations) -> dict[str, Any]:
    """Choices and ranges whose combinations are those of the task.

    Raises:
        DocumentError: some of the combinations cannot run.
    """
    names = dict.fromkeys(name for row in found.treatments for name in row)
    choices = {name: list(dict.fromkeys(row[name] for row in found.treatments if name in row)) for name in names}
    size = 1
    for values in choices.values():
        size *= len(values)
    if size != len(found.treatments) or any(set(row) != set(names) for row in found.treatments):
        raise DocumentError(
            ("the task's presets and degrees do not combine freely, which this strategy needs",),
            "Use the strategy grid_search, a single preset, or degrees that all fit together.",
        )
    ranges = {
        name: {
            "low": int(one.low or 0) if one.type == "integer" else one.low,
            "high": int(one.high or 0) if one.type == "integer" else one.high,
            "log": one.log,
        }
        for name, one in found.ranges.items()
    }
    return {**choices, **ranges}


def _goal(task: Task) -> dict[str, Any]:
    base = OBJECTIVES[task.optimization.objective]
    if task.slo is None:
        return {"objectives": [f"{task.optimization.objective.partition('_')[0]} {base}"]}
    limits = dict(_limits(task.slo))
    penalties = [{"metric": n, "threshold": one.threshold, "weight": one.weight} for n, one in limits.items()]
    hard = [
        {"metric": name, "max": round(one.threshold * (1 + one.fail_ratio), 9)}
        for name, one in limits.items()
        if one.hard_fail
    ]
    score = {"base": base, "steepness": task.slo.steepness, "penalties": penalties}
    return {"objectives": [{"metric": "slo_score", "score": score}], "constraints": hard}


def _limits(slo: SLO) -> dict[str, Any]:
    found: dict[str, Any] = {f"e2e_{percentile}": limit for percentile, limit in slo.latency.items()}
    return found | {f"{name}_mean": one for name, one in (("ttft", slo.ttft), ("tpot", slo.tpot)) if one}


def _budget(task: Task, found: Configurations) -> dict[str, Any]:
    optimization = task.optimization
    budget: dict[str, Any] = {"screening": 0}
    grid = optimization.strategy == "grid_search"
    budget["trials"] = (
        min(optimization.max_iterations or len(found.treatments), len(found.treatments))
        if grid
        else (optimization.max_iterations or REQUESTS)
    )
    if optimization.timeout_per_iteration:
        limit = optimization.timeout_per_iteration
        budget["timeouts"] = {"ready": limit, "measure": limit}
    return budget


def _told(task: Task) -> list[str]:
    """What is not carried over."""
    notes = [f"not known here, and left out: {', '.join(task.unknown)}"] if task.unknown else []
    if task.benchmark.dataset_url:
        notes.append(
            f"the data set {task.benchmark.dataset_url} is not fetched: prompts are made up to the scenario's lengths. "
            "To use it, write it as JSONL with a `prompt` in each line, and name it as workload.dataset"
        )
    if task.storage:
        notes.append(
            "storage is left out: in OME a base model says where it lies; set platform.options.model.spec.storage"
        )
    if task.optimization.objective == "maximize_throughput":
        notes.append("its later versions divide throughput by GPUs: use output_throughput_per_accelerator for that")
    return notes
