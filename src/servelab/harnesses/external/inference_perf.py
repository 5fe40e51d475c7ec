"""inference-perf: ``inference-perf --config_file``, and its lifecycle reports."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

from servelab.harnesses.base import Job
from servelab.harnesses.external.abilities import Abilities, refuse
from servelab.harnesses.external.driver import External, Plan
from servelab.harnesses.external.lengths import CLOSED, fixed, warmup
from servelab.harnesses.external.measured import Measured, Request
from servelab.harnesses.external.standard import converted
from servelab.spec.load import LoadPoint
from servelab.spec.workload import Tokens, Workload

CONFIG = "inference-perf.json"
OUTPUT = "inference-perf"
REQUESTS = "per_request_lifecycle_metrics.json"
MAX_WORKERS = 8

_PROGRESS = re.compile(r"Stage (\d+) Requests.*?(\d+)/(\d+)")
_STAGE = re.compile(r"stage_(\d+)_lifecycle_metrics\.json")
_STATISTICS = {"mean": "mean", "median": "p50", "p90": "p90", "p95": "p95", "p99": "p99", "max": "max"}
_LATENCIES = {
    "time_to_first_token": "ttft",
    "inter_token_latency": "itl",
    "time_per_output_token": "tpot",
    "request_latency": "e2e",
}


class InferencePerf(External):
    """inference-perf 0.7: synthetic prompts and shared prefixes, completions API."""

    name: ClassVar[str] = "inference-perf"
    # Asked for synthetic prompts over the chat API, it posts completions.
    abilities: ClassVar[Abilities] = Abilities(apis=("completions",), lengths=("normal", "uniform"), extra=False)

    def express(self, job: Job, tokenizer: str) -> Plan:
        """A configuration file with a stage of warm-up and the stage that counts."""
        load = job.load
        if load.kind in CLOSED and load.requests is None:
            raise refuse(self.name, "a concurrency for a time", "Give load.requests, a count.")
        config = _config(job, tokenizer, self._options.request_timeout)
        (job.directory / CONFIG).write_text(json.dumps(config, indent=1), encoding="utf-8")
        return Plan(arguments=("--config_file", CONFIG), warnings=_warnings(load))

    def share(self, job: Job, said: str) -> float | None:
        """Read off its progress bar; the warm-up counts as nothing done."""
        found = _PROGRESS.findall(said)
        if not found:
            return None
        stage, done, total = map(int, found[-1])
        return done / max(1, total) if stage == _measured_stage(job.load) else 0.0

    def measured(self, job: Job) -> Measured:
        """Its report of the stage that counts."""
        return read(job.directory / OUTPUT / f"stage_{_measured_stage(job.load)}_lifecycle_metrics.json")


def _measured_stage(load: LoadPoint) -> int:
    return 1 if load.warmup else 0


def _warnings(load: LoadPoint) -> tuple[str, ...]:
    found = []
    if load.kind == "constant":
        found.append("inference-perf sends at random times that add up to the rate, not at constant intervals")
    if load.kind in CLOSED and load.seconds is not None:
        found.append(f"inference-perf could not be told to stop after {load.seconds:g} s")
    return tuple(found)


def _config(job: Job, tokenizer: str, timeout: float) -> dict[str, Any]:
    load = job.load
    stages = [stage(load, load.requests, load.seconds)]
    if load.warmup:
        stages.insert(0, stage(load, warmup(load), None))
    most = int(load.level) if load.kind in CLOSED else job.max_concurrency
    workers = max(1, min(len(job.cpus) or MAX_WORKERS, MAX_WORKERS, most))
    fields = {"request": False, "response": False, "response_chunks": False, "computed_metrics": True}
    return {
        "api": {"type": "completion", "streaming": True},
        "data": data(job.workload, count(stages), job.seed),
        "load": {
            "type": "concurrent" if load.kind in CLOSED else load.kind,
            "interval": 0,
            "stages": stages,
            "num_workers": workers,
            "worker_max_concurrency": math.ceil(most / workers),
            "request_timeout": timeout,
            "base_seed": job.seed,
        },
        "server": {
            "type": "vllm",
            "model_name": job.deployment.model,
            "base_url": job.deployment.url,
            "ignore_eos": True,
        },
        "tokenizer": {"pretrained_model_name_or_path": tokenizer},
        "report": {
            "request_lifecycle": {
                "per_request": True,
                "per_request_fields": fields,
                "use_server_output_tokens": True,
            }
        },
        "storage": {"local_storage": {"path": OUTPUT}},
    }


def stage(load: LoadPoint, requests: int | None, seconds: float | None) -> dict[str, Any]:
    """A stage: a count of requests in a closed loop, whole seconds of a rate in an open one."""
    if load.kind in CLOSED:
        return {"num_requests": requests, "concurrency_level": int(load.level)}
    needed = [seconds] if seconds is not None else []
    needed += [requests / load.level] if requests is not None else []
    return {"rate": load.level, "duration": max(1, math.ceil(min(needed)))}


def count(stages: list[dict[str, Any]]) -> int:
    """The requests of all stages."""
    return sum(stage.get("num_requests") or math.ceil(stage["rate"] * stage["duration"]) for stage in stages)


def data(workload: Workload, requests: int, seed: int) -> dict[str, Any]:
    """The prompts, as many as there are requests."""
    if workload.prefix and workload.prefix.tokens:
        groups = workload.prefix.groups
        shared: dict[str, Any] = {
            "num_groups": groups,
            "num_prompts_per_group": math.ceil(requests / groups),
            "seed": seed,
        }
        shared |= {"system_prompt_len": workload.prefix.tokens, "question_len": _lengths(workload.prompt)}
        return {"type": "shared_prefix", "shared_prefix": {**shared, "output_len": _lengths(workload.output)}}
    return {
        "type": "random",
        "input_distribution": _lengths(workload.prompt),
        "output_distribution": _lengths(workload.output),
    }


def _lengths(tokens: Tokens) -> dict[str, Any]:
    one = fixed(tokens)
    if one is not None:
        return {"mean": one, "std_dev": 0, "min": one, "max": one}
    shape = {"type": tokens.distribution, "mean": tokens.mean, "std_dev": tokens.stdev}
    return {**shape, "min": tokens.min, "max": tokens.upper}


def is_inference_perf(data: Any) -> bool:
    """Whether JSON data is a summary or stage report of inference-perf."""
    return isinstance(data, Mapping) and {"load_summary", "successes", "failures"} <= data.keys()


def read(path: Path) -> Measured:
    """A stage's or the whole run's report, with the records of its requests where they lie beside it.

    Raises:
        OSError, ValueError, LookupError: it is not such a report.
    """
    data = json.loads(path.read_text(encoding="utf-8"))
    if not is_inference_perf(data):
        raise ValueError(f"{path} is no lifecycle report of inference-perf")
    summary, failures = data["load_summary"], data["failures"]
    config = _own_config(path)
    load = _load_point(summary, config)
    total = int(summary["count"])
    requests = _requests(path, total)
    return Measured(
        harness="inference-perf",
        model=str((config.get("server") or {}).get("model_name") or "unknown"),
        load=load,
        requests=requests,
        metrics=(_delays(summary) if load.kind not in CLOSED else {}) | ({} if requests else _summary(data)),
        count=total,
        duration=float(data.get("benchmark_time_seconds") or 0.0),
        errors={"failed": int(failures["count"])} if failures.get("count") else {},
        standard=converted("import_inference_perf", str(path)),
    )


def _own_config(path: Path) -> dict[str, Any]:
    """The configuration that inference-perf leaves beside its reports."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return dict(YAML(typ="safe", pure=True).load((path.parent / "config.yaml").read_text(encoding="utf-8")) or {})
    except (OSError, YAMLError):
        return {}


def _load_point(summary: Mapping[str, Any], config: Mapping[str, Any]) -> LoadPoint:
    # In concurrent mode the rate is an artefact: all requests are queued within a second.
    if summary.get("concurrency"):
        return LoadPoint(kind="concurrency", level=summary["concurrency"], requests=summary["count"])
    kind = (config.get("load") or {}).get("type")
    rate = summary.get("requested_rate") or summary.get("achieved_rate") or summary["count"]
    return LoadPoint(kind="poisson" if kind == "poisson" else "constant", level=rate, requests=summary["count"])


def _summary(data: Mapping[str, Any]) -> dict[str, float]:
    """Its own figures, for where there are no records."""
    successes = data["successes"]
    latency, throughput = successes.get("latency") or {}, successes.get("throughput") or {}
    found: dict[str, float] = {}
    for theirs, ours in _LATENCIES.items():
        for statistic, label in _STATISTICS.items():
            value = (latency.get(theirs) or {}).get(statistic)
            if value is not None:
                found[f"{ours}_{label}"] = float(value)
    rates = {
        "request_throughput": "requests_per_sec",
        "output_throughput": "output_tokens_per_sec",
        "total_throughput": "total_tokens_per_sec",
    }
    found |= {ours: float(throughput[theirs]) for ours, theirs in rates.items() if theirs in throughput}
    total = data["load_summary"]["count"]
    return {**found, "error_rate": data["failures"].get("count", 0) / total if total else 0.0}


def _delays(summary: Mapping[str, Any]) -> dict[str, float]:
    delays = summary.get("schedule_delay") or {}
    return {f"schedule_delay_{label}": max(0.0, delays[name]) for name, label in _STATISTICS.items() if name in delays}


def _requests(path: Path, count: int) -> tuple[Request, ...]:
    """The requests of a stage. Records do not name theirs, but stages follow one another."""
    file = path.parent / REQUESTS
    if not file.is_file():
        return ()
    entries = sorted(json.loads(file.read_text(encoding="utf-8")), key=lambda entry: entry["start_time"])
    stage = _STAGE.fullmatch(path.name)
    earlier = range(int(stage[1])) if stage else range(0)
    before = sum(_count_of(path.with_name(f"stage_{number}_lifecycle_metrics.json")) for number in earlier)
    return tuple(_request(entry) for entry in entries[before : before + count])


def _count_of(path: Path) -> int:
    return int(json.loads(path.read_text(encoding="utf-8"))["load_summary"]["count"])


def _request(entry: Mapping[str, Any]) -> Request:
    info = entry.get("info") or {}
    answer = info.get("response_metrics") or {}
    usage = answer.get("server_usage") or {}
    # The other list has a chunk's time for each of its tokens.
    times = answer.get("chunk_times") or answer.get("output_token_times") or []
    text = (info.get("request_metrics") or {}).get("text") or {}
    error = entry.get("error")
    return Request(
        sent=entry["start_time"],
        end=entry["end_time"],
        first=times[0] if times else None,
        last=times[-1] if times else None,
        prompt_tokens=int(info.get("input_tokens") or text.get("input_tokens") or 0),
        output_tokens=int(usage.get("completion_tokens") or answer.get("output_tokens") or 0),
        gaps=tuple(b - a for a, b in pairwise(times)),
        chunks=len(times),
        error=None if error is None else str(error.get("error_type") or "failed")[:40],
    )
