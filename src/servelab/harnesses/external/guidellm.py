"""guidellm: ``guidellm run`` with a scenario file, and its JSON, of this version and of those before 0.7."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from servelab.harnesses.base import Job
from servelab.harnesses.external.abilities import Abilities, api_key
from servelab.harnesses.external.driver import External, Plan
from servelab.harnesses.external.lengths import fixed, warmup, whole_numbers
from servelab.harnesses.external.measured import Measured, Request
from servelab.harnesses.external.standard import converted
from servelab.spec.load import LoadPoint
from servelab.spec.metrics import STATISTICS
from servelab.spec.workload import Tokens, Workload

SCENARIO = "guidellm-scenario.json"
RESULT = "guidellm.json"
KEY_VARIABLE = "GUIDELLM__SPEC__BACKEND__API_KEY"
FORMATS = {"chat": "/v1/chat/completions", "completions": "/v1/completions"}

_LATENCIES = {"time_to_first_token_ms": ("ttft", 1e-3), "request_latency": ("e2e", 1.0)}
_RATES = {
    "requests_per_second": "request_throughput",
    "output_tokens_per_second": "output_throughput",
    "tokens_per_second": "total_throughput",
    "request_concurrency": "concurrency",
}
_PERCENT = re.compile(r"(\d+)%\s+(?:concurrent|constant|poisson|throughput)\b")


class Guidellm(External):
    """guidellm 0.8: closed and open loop, shared prefixes, several turns."""

    name: ClassVar[str] = "guidellm"
    abilities: ClassVar[Abilities] = Abilities(lengths=("normal", "uniform"), turns=True, key=True)

    def express(self, job: Job, tokenizer: str) -> Plan:
        """A scenario file; the key, if any, in the environment."""
        workload = job.workload
        scenario = {"spec": _spec(job, tokenizer, self._options.request_timeout)}
        (job.directory / SCENARIO).write_text(json.dumps(scenario, indent=1), encoding="utf-8")
        key = api_key()
        return Plan(
            arguments=("run", "--config", SCENARIO),
            environment={} if key is None else {KEY_VARIABLE: key},
            warnings=whole_numbers(workload.prompt, "prompt") + whole_numbers(workload.output, "output"),
        )

    def share(self, job: Job, said: str) -> float | None:
        """Read off its progress bar."""
        found = _PERCENT.findall(said)
        return int(found[-1]) / 100 if found else None

    def measured(self, job: Job) -> Measured:
        """Its JSON, without the warm-up."""
        return read(job.directory / RESULT, 0, warmup(job.load))


def _spec(job: Job, tokenizer: str, timeout: float) -> dict[str, Any]:
    load = job.load
    before = warmup(load)
    constraints: list[dict[str, Any]] = []
    if load.requests is not None:
        constraints.append({"kind": "max_requests", "count": load.requests + before})
    if load.seconds is not None:
        constraints.append({"kind": "max_duration", "seconds": load.seconds})
    return {
        "backend": {
            "kind": "openai_http",
            "target": job.deployment.url,
            "model": job.deployment.model,
            "request_format": FORMATS[job.workload.api],
            "timeout": timeout,
            "extras": {"body": dict(job.workload.extra)},
        },
        "profile": {**_profile(load, job.max_concurrency), "warmup": {"value": before, "mode": "requests"}},
        "constraints": constraints,
        "tokenizer": {"kind": "huggingface_auto", "model": tokenizer},
        "data": [_data(job.workload)],
        "seed": {"kind": "static", "value": job.seed},
        "outputs": [{"kind": "json", "path": RESULT}],
        # 0 keeps times and counts of every request, and no texts
        "metrics": {"kind": "generative", "sample_size": 0},
    }


def _profile(load: LoadPoint, max_concurrency: int) -> dict[str, Any]:
    if load.kind == "concurrency":
        return {"kind": "concurrent", "streams": [int(load.level)]}
    if load.kind == "throughput":
        return {"kind": "throughput", "max_concurrency": int(load.level)}
    return {"kind": load.kind, "rate": [load.level], "max_concurrency": max_concurrency}


def _data(workload: Workload) -> dict[str, Any]:
    data = {"kind": "synthetic_text", "turns": workload.turns}
    data |= _lengths("prompt_tokens", workload.prompt) | _lengths("output_tokens", workload.output)
    if workload.prefix and workload.prefix.tokens:
        prefix = workload.prefix
        data["prefix_buckets"] = [{"prefix_count": prefix.groups, "prefix_tokens": prefix.tokens}]
    return data


def _lengths(name: str, tokens: Tokens) -> dict[str, Any]:
    one = fixed(tokens)
    if one is not None:
        return {name: one}
    bounds = {f"{name}_min": tokens.min, f"{name}_max": tokens.upper}
    if tokens.distribution == "uniform":
        return {name: round(tokens.mean), **bounds}  # without a deviation it is uniform between the bounds
    deviation = max(1, round(tokens.stdev))
    return {name: round(tokens.mean), f"{name}_stdev": deviation, **bounds}


def is_guidellm(data: Any) -> bool:
    """Whether JSON data is a guidellm report, of any version since 0.2."""
    benchmarks = data.get("benchmarks") if isinstance(data, Mapping) else None
    if not isinstance(benchmarks, list) or not benchmarks or not isinstance(benchmarks[0], Mapping):
        return False
    return "requests" in benchmarks[0] and "metrics" in benchmarks[0]


def read_all(path: Path) -> list[Measured]:
    """Every benchmark of a guidellm report."""
    return [read(path, index, None) for index in range(len(_load(path)["benchmarks"]))]


def read(path: Path, index: int, warmup_requests: int | None) -> Measured:
    """One benchmark of a guidellm report; without its first requests, as many as the warm-up had.

    Raises:
        OSError, ValueError, LookupError: it is not such a report.
    """
    data = _load(path)
    benchmark = data["benchmarks"][index]
    config = data.get("config") or data.get("args") or {}
    spec = config.get("spec") or config
    kept = sum(len(group or ()) for group in benchmark["requests"].values())
    load = _load_point(_strategy(benchmark), kept)
    if warmup_requests is None:
        warmup_requests = _own_warmup(benchmark)
    requests = sorted(_requests(benchmark, load), key=lambda request: request.sent)[warmup_requests:]
    found = Measured(
        harness="guidellm",
        version=str((data.get("metadata") or {}).get("guidellm_version") or "unknown"),
        model=_model(benchmark, spec),
        load=load.model_copy(update={"requests": len(requests) or None, "warmup": warmup_requests}),
        requests=tuple(requests),
        started=benchmark.get("start_time"),
        standard=converted("import_guidellm", str(path), index),
        warnings=tuple(
            f"guidellm says: {str(warning['message']).rstrip('.')}" for warning in benchmark.get("warnings") or ()
        ),
    )
    done = _totals(benchmark)
    return found if kept >= done.successful + done.errored else _sampled(found, benchmark, done, kept)


class _Totals(NamedTuple):
    """Requests of a benchmark, whether the report keeps their records or not."""

    successful: int
    errored: int


def _totals(benchmark: Mapping[str, Any]) -> _Totals:
    """How many requests there were; it moved too."""
    places = (benchmark["metrics"].get("request_totals"), (benchmark.get("run_stats") or {}).get("requests_made"))
    told = next((place for place in places if isinstance(place, Mapping)), {})
    return _Totals(int(told.get("successful") or 0), int(told.get("errored") or 0))


def _sampled(found: Measured, benchmark: Mapping[str, Any], done: _Totals, kept: int) -> Measured:
    """A report that keeps the records of a few requests only, as 0.4 to 0.6 do unless told otherwise: its own figures.

    Its time per output token counts the first one too, and is left out.
    """
    stats = {
        name: (value.get("successful") or {})
        for name, value in benchmark["metrics"].items()
        if isinstance(value, Mapping)
    }
    metrics = {
        f"{ours}_{label}": float(value) * scale
        for theirs, (ours, scale) in _LATENCIES.items()
        for label, value in _statistics(stats.get(theirs) or {}).items()
    }
    metrics |= {"itl_mean": stats["inter_token_latency_ms"]["mean"] / 1000} if "inter_token_latency_ms" in stats else {}
    metrics |= {ours: float(stats[theirs]["mean"]) for theirs, ours in _RATES.items() if stats.get(theirs)}
    count = done.successful + done.errored
    return dataclasses.replace(
        found,
        requests=(),
        load=found.load.model_copy(update={"requests": count}),
        metrics={**metrics, "error_rate": done.errored / count},
        count=count,
        duration=float(benchmark.get("duration") or 0.0),
        errors={"failed": done.errored} if done.errored else {},
        warnings=(*found.warnings, f"guidellm kept the records of {kept} of {count} requests: the figures are its own"),
    )


def _statistics(told: Mapping[str, Any]) -> dict[str, float]:
    found = {**(told.get("percentiles") or {}), "mean": told.get("mean"), "max": told.get("max")}
    return {label: found[label] for label in STATISTICS if found.get(label) is not None}


def _load(path: Path) -> dict[str, Any]:
    data = json.loads(path.read_text(encoding="utf-8"))
    if not is_guidellm(data):
        raise ValueError(f"{path} is no report of guidellm")
    return dict(data)


def _strategy(benchmark: Mapping[str, Any]) -> Mapping[str, Any]:
    """How requests were scheduled; it moved several times."""
    for place in ("config", "scheduler", "args"):
        strategy = (benchmark.get(place) or {}).get("strategy")
        if isinstance(strategy, Mapping):
            return strategy
    return {}


def _load_point(strategy: Mapping[str, Any], count: int) -> LoadPoint:
    """The load; as fast as possible without a limit is limited by the ``count`` of requests."""
    kind = strategy.get("type_")
    if kind in ("constant", "poisson", "async"):
        return LoadPoint(kind="poisson" if kind == "poisson" else "constant", level=strategy["rate"])
    streams = strategy.get("streams") or strategy.get("max_concurrency")
    if kind == "throughput":
        return LoadPoint(kind="throughput", level=streams or count)
    return LoadPoint(kind="concurrency", level=streams or 1)


def _own_warmup(benchmark: Mapping[str, Any]) -> int:
    configured = (benchmark.get("config") or {}).get("warmup")
    if not isinstance(configured, Mapping) or configured.get("mode") != "requests":
        return 0
    return int(configured.get("value") or 0)


def _model(benchmark: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    places = (benchmark.get("config") or {}, spec, benchmark.get("benchmarker") or {})
    for place in places:
        backend = place.get("backend")
        if isinstance(backend, Mapping) and backend.get("model"):
            return str(backend["model"])
    worker = benchmark.get("worker") or {}
    return str(worker.get("backend_model") or spec.get("model") or "unknown")


def _requests(benchmark: Mapping[str, Any], load: LoadPoint) -> list[Request]:
    """Finished and failed requests; those that the end of the benchmark cut off do not count."""
    groups = benchmark["requests"]
    done = [_request(raw, load, None) for raw in groups.get("successful") or ()]
    return done + [_request(raw, load, "failed") for raw in groups.get("errored") or ()]


def _request(raw: Mapping[str, Any], load: LoadPoint, error: str | None) -> Request:
    info = raw.get("info") or raw.get("scheduler_info") or {}
    times = info.get("timings") or info.get("request_timings") or {}
    sent: Any = times.get("request_start") or times.get("resolve_start") or raw["start_time"]
    end: Any = times.get("request_end") or times.get("resolve_end") or raw.get("end_time") or sent
    first = times.get("first_token_iteration") or times.get("first_iteration") or raw.get("first_token_time")
    last = times.get("last_token_iteration") or times.get("last_iteration") or raw.get("last_token_time")
    intended = times.get("targeted_start") if load.kind in ("constant", "poisson") else None
    return Request(
        sent=float(sent),
        end=float(end),
        first=None if error else first,
        last=None if error else last,
        intended=intended,
        prompt_tokens=int(raw.get("prompt_tokens") or 0),
        output_tokens=int(raw.get("output_tokens") or 0),
        chunks=times.get("token_iterations"),
        error=_kind(str(raw.get("error") or info.get("error") or "")) if error else None,
    )


def _kind(message: str) -> str:
    """A short name of an error, so that equal ones are counted together."""
    status = re.search(r"\b([45]\d\d)\b", message)
    return f"http {status[1]}" if status else message.partition("(")[0].strip()[:40] or "failed"
