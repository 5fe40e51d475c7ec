"""The task file, as the inference autotuner reads it."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, ConfigDict, Field, ValidationError

from servelab.spec.base import Spec, Value
from servelab.spec.errors import DocumentError


class _Part(Spec):
    """Task files grew fields over time; those that are not known are told, not refused."""

    model_config = ConfigDict(frozen=True, extra="allow")


class TaskModel(_Part):
    """Which model; a bare name is a directory below the predecessor's model directory."""

    id_or_path: str = Field(min_length=1, validation_alias=AliasChoices("id_or_path", "name"))
    namespace: str = "autotuner"


def _listed(raw: Any) -> Any:
    """A list of values is a choice; so is a single one."""
    if isinstance(raw, dict):
        kind = raw.get("type", "choice")
        values = raw.get("values", raw.get("choices"))
        return {**raw, "type": "choice" if kind == "categorical" else kind, "values": values}
    return {"type": "choice", "values": raw if isinstance(raw, list) else [raw]}


class TaskParameter(_Part):
    """The values of a parameter, or its range."""

    type: Literal["choice", "continuous", "integer"]
    values: tuple[Value, ...] | None = None
    low: float | None = None
    high: float | None = None
    log: bool = False


class Optimization(_Part):
    """How to search, for what, and for how long."""

    strategy: Literal["grid_search", "bayesian", "random", "random_search"] = "grid_search"
    objective: Literal["minimize_latency", "maximize_throughput", "minimize_ttft", "minimize_tpot"] = "minimize_latency"
    max_iterations: Annotated[int, Field(gt=0)] | None = None
    timeout_per_iteration: float | None = Field(default=None, gt=0, description="seconds")


class Limit(_Part):
    """One SLO: a threshold in seconds, what missing it costs, and from where on it fails the experiment."""

    threshold: float = Field(gt=0)
    weight: float = Field(default=1.0, ge=0)
    hard_fail: bool = False
    fail_ratio: float = Field(default=0.5, ge=0)


class SLO(_Part):
    """The SLOs: E2E latency by percentile, mean TTFT and mean TPOT."""

    latency: dict[Literal["p50", "p90", "p99"], Limit] = Field(default_factory=dict)
    ttft: Limit | None = None
    tpot: Limit | None = None
    steepness: float = Field(default=0.1, gt=0)


class Benchmark(_Part):
    """The load: genai-bench's scenarios and concurrency levels; times in minutes."""

    task: Literal["text-to-text"] = "text-to-text"
    model_name: str | None = None
    model_tokenizer: str | None = None
    traffic_scenarios: tuple[str, ...] = ("D(100,100)",)
    num_concurrency: tuple[Annotated[int, Field(gt=0)], ...] = (1,)
    max_time_per_iteration: float | None = Field(default=None, gt=0, description="minutes")
    max_requests_per_iteration: Annotated[int, Field(gt=0)] | None = None
    additional_params: dict[str, Any] = Field(default_factory=dict)
    dataset_url: str | None = None
    dataset_deduplicate: bool = False


class Task(_Part):
    """A whole task."""

    task_name: str = Field(min_length=1)
    description: str = ""
    deployment_mode: Literal["docker", "ome", "local"] = "ome"
    model: TaskModel
    base_runtime: str = "sglang"
    runtime_image_tag: str | None = None
    parameters: dict[str, Annotated[TaskParameter, BeforeValidator(_listed)]] = Field(default_factory=dict)
    quant_config: dict[str, Any] = Field(default_factory=dict)
    parallel_config: dict[str, Any] = Field(default_factory=dict)
    optimization: Optimization = Optimization()
    slo: SLO | None = None
    benchmark: Benchmark = Benchmark()
    storage: dict[str, Any] | None = None
    clusterbasemodel_config: dict[str, Any] | None = None
    clusterservingruntime_config: dict[str, Any] | None = None

    @property
    def unknown(self) -> tuple[str, ...]:
        """Fields that mean nothing here, by path."""
        parts = {"": self, "model.": self.model, "optimization.": self.optimization, "benchmark.": self.benchmark}
        return tuple(f"{path}{name}" for path, part in parts.items() for name in part.model_extra or ())


def read_task(text: str, source: str) -> Task:
    """The task in a file.

    Raises:
        DocumentError: it is no task; one line per fault.
    """
    try:
        data = json.loads(text)
    except ValueError as error:
        raise DocumentError((f"{source} is not JSON: {error}",), "A task file is one JSON object.") from error
    if not isinstance(data, dict) or "task_name" not in data:
        raise DocumentError((f"{source} is no task file: it has no task_name",), "See docs/migrating.md.")
    try:
        return Task.model_validate({name: value for name, value in data.items() if value is not None})
    except ValidationError as error:
        faults = (f"{source}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise DocumentError(tuple(faults), "See docs/migrating.md.") from None
