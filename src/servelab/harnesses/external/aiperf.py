"""aiperf: ``aiperf profile``, and its JSON export with the records beside it."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from servelab.harnesses.base import Job
from servelab.harnesses.external.abilities import RATES, Abilities, refuse
from servelab.harnesses.external.driver import External, Plan
from servelab.harnesses.external.lengths import CLOSED, fixed, unbounded, warmup
from servelab.harnesses.external.measured import UNKNOWN, Measured, Request
from servelab.harnesses.external.standard import converted
from servelab.spec.load import LoadPoint
from servelab.spec.workload import Tokens

OUTPUT = "aiperf"
RESULT = "profile_export_aiperf.json"
RECORDS = "profile_export.jsonl"
SEEDS = 2**32
PROMPTS = 10_000  # that are made for a closed loop of unknown speed

_PROGRESS = re.compile(r"Profiling:(?: +\d+/\d+ \|[^|\n]*\|)? +(\d+)%")
_LATENCIES = {"time_to_first_token": "ttft", "inter_token_latency": "tpot", "request_latency": "e2e"}
_STATISTICS = {"avg": "mean", "p50": "p50", "p90": "p90", "p95": "p95", "p99": "p99", "max": "max"}
_RATES = {
    "request_throughput": "request_throughput",
    "output_token_throughput": "output_throughput",
    "total_token_throughput": "total_throughput",
}


class AIPerf(External):
    """aiperf 0.13: synthetic prompts, closed and open loop, shared prefixes."""

    name: ClassVar[str] = "aiperf"
    abilities: ClassVar[Abilities] = Abilities(rates=(*RATES, "gamma"))

    def express(self, job: Job, tokenizer: str) -> Plan:
        """Its command line."""
        workload, load = job.workload, job.load
        for what, name in (("a model's name", job.deployment.model), ("a URL", job.deployment.url)):
            if "," in name:
                raise refuse(self.name, f"{what} with a comma ({name}), which makes two of it", "Use another harness.")
        kind = "chat" if workload.api == "chat" else "completions"
        arguments = ["profile", f"--model={job.deployment.model}", f"--url={job.deployment.url}"]
        arguments += ["--endpoint-type", kind]
        extra = json.dumps({"ignore_eos": True, **workload.extra})
        arguments += ["--streaming", "--use-server-token-count", "--extra-inputs", extra]
        arguments += ["--num-dataset-entries", str(_prompts(load))]
        arguments += [f"--tokenizer={tokenizer}", *_lengths("isl", workload.prompt), *_lengths("osl", workload.output)]
        if workload.prefix and workload.prefix.tokens:
            arguments += ["--num-prefix-prompts", str(workload.prefix.groups)]
            arguments += ["--prefix-prompt-length", str(workload.prefix.tokens)]
        arguments += [*_load(load, job.max_concurrency), "--random-seed", str(job.seed % SEEDS)]
        arguments += ["--request-timeout-seconds", f"{self._options.request_timeout:g}"]
        arguments += ["--output-artifact-dir", OUTPUT, "--ui-type", "simple", "--no-gpu-telemetry"]
        arguments += ["--no-server-metrics"]
        # It takes the path of a directory for a name that it must look up, when it is told to stay offline.
        environment = {"HF_HUB_OFFLINE": ""} if Path(tokenizer).is_dir() else {}
        return Plan(tuple(arguments), environment, unbounded(self.name, workload.prompt, workload.output))

    def share(self, job: Job, said: str) -> float | None:
        """Read off its progress bar."""
        found = _PROGRESS.findall(said)
        return int(found[-1]) / 100 if found else None

    def measured(self, job: Job) -> Measured:
        """Its export."""
        found = read(job.directory / OUTPUT / RESULT)
        if found.count + warmup(job.load) <= _prompts(job.load):
            return found
        return dataclasses.replace(found, warnings=(f"aiperf sent its {_prompts(job.load)} prompts more than once",))


def _lengths(name: str, tokens: Tokens) -> list[str]:
    one = fixed(tokens)
    mean, deviation = (one, 0.0) if one is not None else (tokens.mean, tokens.stdev)
    return [f"--{name}", f"{mean:g}", f"--{name}-stddev", f"{deviation:g}"]


def _prompts(load: LoadPoint) -> int:
    """How many to make: fewer than requests would come again, and hit the prefix cache."""
    if load.requests is not None:
        return load.requests + warmup(load)
    expected = PROMPTS if load.kind in CLOSED else math.ceil(1.25 * load.level * (load.seconds or 0))
    return expected + warmup(load)


def _load(load: LoadPoint, max_concurrency: int) -> list[str]:
    found = ["--request-count", str(load.requests)] if load.requests is not None else []
    found += ["--benchmark-duration", f"{load.seconds:g}"] if load.seconds is not None else []
    found += ["--num-warmup-requests", str(warmup(load))] if load.warmup else []
    if load.kind in CLOSED:
        return [*found, "--concurrency", str(int(load.level))]
    rate = ["--request-rate", f"{load.level:g}", "--arrival-pattern", load.kind]
    rate += ["--arrival-smoothness", f"{load.burstiness:g}"] if load.kind == "gamma" else []
    return [*found, *rate, "--concurrency", str(max_concurrency)]


def is_aiperf(data: Any) -> bool:
    """Whether JSON data is an export of aiperf."""
    return isinstance(data, Mapping) and "input_config" in data and "request_latency" in data


def read(path: Path) -> Measured:
    """An export; from the records of its requests where they lie beside it.

    Raises:
        OSError, ValueError, LookupError: it is not such an export.
    """
    data = json.loads(path.read_text(encoding="utf-8"))
    if not is_aiperf(data):
        raise ValueError(f"{path} is no export of aiperf")
    load = _load_point(data["input_config"])
    requests = tuple(_requests(path.with_name(RECORDS), load))
    failed = int(_value(data, "error_request_count") or 0)
    count = int(_value(data, "request_count") or 0) + failed
    return Measured(
        harness="aiperf",
        version=str(data.get("aiperf_version") or UNKNOWN),
        model=_model(data["input_config"]),
        load=load.model_copy(update={"requests": count or None}),
        requests=requests,
        metrics={} if requests else _summary(data, count, failed),
        count=count,
        duration=float(_value(data, "benchmark_duration") or 0.0),
        errors={"failed": failed} if failed else {},
        started=_epoch(data.get("start_time")),
        standard=converted("import_aiperf", str(path)),
    )


def _value(data: Mapping[str, Any], name: str, statistic: str = "avg") -> float | None:
    found = data.get(name)
    return found.get(statistic) if isinstance(found, Mapping) else None


def _epoch(written: str | None) -> float | None:
    """aiperf writes universal time without saying so."""
    return datetime.fromisoformat(written).replace(tzinfo=UTC).timestamp() if written else None


def _model(config: Mapping[str, Any]) -> str:
    """The model's name; versions before 0.13 kept it beside the endpoint's settings."""
    items = (config.get("models") or {}).get("items") or ()
    names = [item["name"] for item in items] or (config.get("endpoint") or {}).get("model_names") or ()
    return str(names[0]) if names else UNKNOWN


def _load_point(config: Mapping[str, Any]) -> LoadPoint:
    """The load of the phase that counts; versions before 0.13 had only one, as ``loadgen``."""
    phases = [phase for phase in config.get("phases") or () if phase.get("kind") == "profiling"]
    phase = phases[0] if phases else config.get("loadgen") or {}
    rate = phase.get("rate") or phase.get("request_rate")
    if rate:
        regular = "constant" in (phase.get("type"), phase.get("request_rate_mode"), phase.get("arrival_pattern"))
        return LoadPoint(kind="constant" if regular else "poisson", level=rate)
    return LoadPoint(kind="concurrency", level=phase.get("concurrency") or 1)


def _summary(data: Mapping[str, Any], count: int, failed: int) -> dict[str, float]:
    found = {
        f"{ours}_{label}": value / 1000
        for theirs, ours in _LATENCIES.items()
        for statistic, label in _STATISTICS.items()
        if (value := _value(data, theirs, statistic)) is not None
    }
    found |= {ours: value for theirs, ours in _RATES.items() if (value := _value(data, theirs)) is not None}
    return {**found, "error_rate": failed / count if count else 0.0}


def _requests(path: Path, load: LoadPoint) -> Iterator[Request]:
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            # Exports before 0.13 name no phase, and hold no warm-up.
            if entry["metadata"].get("benchmark_phase", "profiling") == "profiling":
                yield _request(entry, load)


def _request(entry: Mapping[str, Any], load: LoadPoint) -> Request:
    times, metrics, error = entry["metadata"], entry.get("metrics") or {}, entry.get("error")
    sent = times["request_start_ns"] / 1e9
    issued = times.get("credit_issued_ns")
    ttft = _value(metrics, "time_to_first_token", "value")
    gaps = tuple(gap / 1000 for gap in (metrics.get("inter_chunk_latency") or {}).get("value") or ())
    first = None if ttft is None or error else sent + ttft / 1000
    return Request(
        sent=sent,
        end=times["request_end_ns"] / 1e9,
        first=first,
        last=None if first is None else first + sum(gaps),
        intended=None if load.kind in CLOSED or issued is None else issued / 1e9,
        prompt_tokens=int(
            _value(metrics, "usage_prompt_tokens", "value") or _value(metrics, "input_sequence_length", "value") or 0
        ),
        output_tokens=int(_value(metrics, "output_sequence_length", "value") or 0),
        gaps=gaps,
        chunks=len(gaps) + 1,
        error=None if not error else str(error.get("type") or error.get("code") or "failed")[:40],
    )
