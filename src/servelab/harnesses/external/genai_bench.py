"""genai-bench: ``genai-bench benchmark``, and its JSON; also as the inference autotuner keeps it of several runs."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from servelab.harnesses.base import Job
from servelab.harnesses.external.abilities import Abilities, refuse
from servelab.harnesses.external.driver import External, Plan
from servelab.harnesses.external.lengths import fixed, unbounded, warmup, whole_numbers
from servelab.harnesses.external.measured import UNKNOWN, Measured, Request
from servelab.spec.load import LoadPoint
from servelab.spec.workload import Tokens, Workload

OUTPUT = "genai-bench"
RESULTS = "*_num_concurrency_*_time_*s.json"
GIVEN_UP = "debug_for_run_*.json"
METADATA = "experiment_metadata.json"
NO_LIMIT = 10**6  # minutes, or millions of requests: it wants a limit of both
FEWEST_TOKENS = 2  # it drops answers of one token

_LATENCIES = {"ttft": "ttft", "tpot": "tpot", "e2e_latency": "e2e"}
_STATISTICS = ("mean", "p50", "p90", "p95", "p99", "max")
_RATES = {
    "requests_per_second": "request_throughput",
    "mean_output_throughput_tokens_per_s": "output_throughput",
    "mean_total_tokens_throughput_tokens_per_s": "total_throughput",
}


class GenAIBench(External):
    """genai-bench 0.0.5: text it has of its own, chat API, closed loop."""

    name: ClassVar[str] = "genai-bench"
    abilities: ClassVar[Abilities] = Abilities(
        apis=("chat",), rates=(), lengths=("normal", "uniform"), prefixes=1, timeout=False
    )

    def express(self, job: Job, tokenizer: str) -> Plan:
        """Its command line."""
        workload, load = job.workload, job.load
        check(self.name, workload, load)
        # Its front end costs 10 ms of TTFT at 32 streams; without it, it says no more than when it begins and ends.
        environment = {"ENABLE_UI": "false"}
        # A key must be there, though none is wanted.
        arguments = ["benchmark", "--api-backend", "vllm", "--api-key", "none", f"--api-base={job.deployment.url}"]
        arguments += ["--task", "text-to-text", f"--api-model-name={job.deployment.model}"]
        arguments += [f"--model={job.deployment.model}", f"--model-tokenizer={tokenizer}"]
        arguments += ["--traffic-scenario", scenario(workload), "--num-concurrency", str(int(load.level))]
        if workload.prefix and workload.prefix.tokens:
            arguments += ["--prefix-len", str(workload.prefix.tokens)]
        if workload.extra:
            arguments += ["--additional-request-params", json.dumps(workload.extra)]
        minutes, requests = limits(load)
        arguments += ["--max-time-per-run", str(minutes), "--max-requests-per-run", str(requests)]
        arguments += ["--experiment-base-dir", ".", "--experiment-folder-name", OUTPUT]
        return Plan(tuple(arguments), environment, warnings(workload, load))

    def share(self, job: Job, said: str) -> float | None:
        """Begun or ended; it does not say more."""
        if "requests have been completed" in said or "has finished after" in said:
            return 1.0
        return 0.0 if "Starting benchmark" in said else None

    def measured(self, job: Job) -> Measured:
        """Its JSON, without the warm-up, and without those in flight when it ended, which suffer from that."""
        return read_results(job.directory / OUTPUT, job.load)


def check(harness: str, workload: Workload, load: LoadPoint) -> None:
    """See that genai-bench can be told a workload and a load, as far as its own rules go.

    Raises:
        MeasureError: it cannot.
    """
    if (fixed(workload.output) or workload.output.min) < FEWEST_TOKENS:
        raise refuse(harness, "answers of one token", "Set workload.output.min: 2, or use another harness.")
    if load.requests is None and (load.seconds or 0) % 60:
        raise refuse(harness, "a time but whole minutes", "Give load.requests, or whole minutes.")


def limits(load: LoadPoint) -> tuple[int, int]:
    """Minutes and requests after which it ends, whichever comes first; what is not to be counted is included."""
    minutes = math.ceil(load.seconds / 60) if load.seconds is not None else NO_LIMIT
    uncounted = warmup(load) + int(load.level)
    return minutes, load.requests + uncounted if load.requests is not None else NO_LIMIT * 10**6


def scenario(workload: Workload) -> str:
    """The lengths in its notation, in which those of a prompt include the prefix.

    Raises:
        MeasureError: it has none for them.
    """
    prefix = workload.prefix.tokens if workload.prefix else 0
    both = ((workload.prompt, prefix), (workload.output, 0))
    kinds = {tokens.distribution for tokens, _ in both if fixed(tokens) is None}
    if len(kinds) > 1:
        raise refuse("genai-bench", "normal and uniform lengths together")
    if not kinds:
        return f"D({','.join(str((fixed(tokens) or 0) + more) for tokens, more in both)})"
    pair = _uniform if "uniform" in kinds else _normal
    return f"{'U' if 'uniform' in kinds else 'N'}{'/'.join(pair(tokens, more) for tokens, more in both)}"


def read_results(directory: Path, load: LoadPoint) -> Measured:
    """The one run in a directory of its, without the warm-up, and without those in flight when it ended.

    Raises:
        OSError, ValueError, LookupError, TypeError, AttributeError: there is none, or it is damaged.
    """
    # It gives up where all requests failed, or all tokens of an answer come at once, but keeps the records.
    found = [file for results in (RESULTS, GIVEN_UP) for file in directory.glob(results)]
    if not found:
        raise FileNotFoundError(f"no result in {directory}")
    data = json.loads(found[0].read_text(encoding="utf-8"))
    (measured,) = read_all(found[0], data, warmup(load), int(load.level))
    return measured


def _normal(tokens: Tokens, more: int) -> str:
    one = fixed(tokens)
    if one is not None:
        return f"({one + more},0)"
    return f"({round(tokens.mean) + more},{max(1, round(tokens.stdev))})"


def _uniform(tokens: Tokens, more: int) -> str:
    """Its bounds: it rounds down, so that the upper one would never occur."""
    one = fixed(tokens)
    low, high = (tokens.min, tokens.upper) if one is None else (one, one)
    return f"({low + more},{high + more + 1})"


def warnings(workload: Workload, load: LoadPoint) -> tuple[str, ...]:
    """What it cannot be told, and does otherwise."""
    found = ["genai-bench takes no seed: its prompts are others each time"]
    normal = [tokens for tokens in (workload.prompt, workload.output) if tokens.distribution == "normal"]
    found += unbounded("genai-bench", *normal)
    found += [text for tokens in normal for text in whole_numbers(tokens, "genai-bench:")]
    if load.requests is not None and load.seconds is not None and load.seconds % 60:
        found.append(f"genai-bench could be told to stop after {math.ceil(load.seconds / 60)} min only")
    return tuple(found)


def read_all(path: Path, data: Any, before: int = 0, after: int = 0) -> list[Measured]:
    """Every run in JSON data of genai-bench, or of the autotuner that drives it; none if it is something else.

    Of the file of one run, the first ``before`` and the last ``after`` requests to end are left out.

    Raises:
        ValueError, LookupError: it is damaged.
    """
    if not isinstance(data, Mapping):
        return []
    # The file of a run says so when it was asked for milliseconds.
    scale = 1e-3 if data.get("_time_unit") == "ms" else 1.0
    if isinstance(data.get("aggregated_metrics"), Mapping):
        return [_of_run(path, data, scale, before, after)]
    return [_summary(raw, 1.0) for raw in _kept(data)]


def _kept(data: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for experiment in data.get("all_results") or ():
        yield from (experiment.get("metrics") or {}).get("raw_results") or ()


def _of_run(path: Path, data: Mapping[str, Any], scale: float, before: int, after: int) -> Measured:
    """A run; from its records where they were kept."""
    entries = list(data.get("individual_request_metrics") or ())
    requests = tuple(_request(entry, scale) for entry in entries[before : len(entries) - after])
    raw = data["aggregated_metrics"]
    found = _of_records(raw, requests, len(entries), before) if requests else _summary(raw, scale)
    metadata = _metadata(path)
    return dataclasses.replace(
        found,
        version=str(metadata.get("benchmark_version") or UNKNOWN),
        model=str(metadata.get("api_model_name") or UNKNOWN),
    )


def _of_records(raw: Mapping[str, Any], requests: tuple[Request, ...], total: int, before: int) -> Measured:
    """A run from its records, which do not tell when they were: rates are those of the whole run."""
    streams = float(raw["num_concurrency"])
    load = LoadPoint(kind="concurrency", level=streams, requests=len(requests), warmup=before)
    found = Measured("genai-bench", load, requests=requests, clock=False)
    if raw.get("run_duration"):
        return dataclasses.replace(found, duration=float(raw["run_duration"]) * len(requests) / total)
    warning = "genai-bench gave the run up and does not say how long it took: rates are estimated"
    busy = sum(request.end for request in requests)
    return dataclasses.replace(found, duration=busy / streams, warnings=(warning,))


def _metadata(path: Path) -> Mapping[str, Any]:
    """What genai-bench says of the experiment, beside its results."""
    try:
        found = json.loads(path.with_name(METADATA).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, Mapping) else {}


def _summary(raw: Mapping[str, Any], scale: float) -> Measured:
    stats = raw["stats"]
    metrics = {
        f"{ours}_{statistic}": float(stats[theirs][statistic]) * scale
        for theirs, ours in _LATENCIES.items()
        for statistic in _STATISTICS
        if (stats.get(theirs) or {}).get(statistic) is not None
    }
    metrics |= {ours: float(raw[theirs]) for theirs, ours in _RATES.items() if raw.get(theirs) is not None}
    metrics["error_rate"] = float(raw["error_rate"])
    count = int(raw["num_requests"])
    return Measured(
        harness="genai-bench",
        load=LoadPoint(kind="concurrency", level=float(raw["num_concurrency"]), requests=count or None),
        metrics=metrics,
        count=count,
        duration=float(raw["run_duration"]),
        errors={f"http {code}": int(number) for code, number in (raw.get("error_codes_frequency") or {}).items()},
    )


def _request(entry: Mapping[str, Any], scale: float) -> Request:
    """A request by its own clock: it was sent at 0."""
    code = entry.get("error_code")
    if code is not None:
        return Request(sent=0.0, end=0.0, error=f"http {code}")
    end = float(entry["e2e_latency"]) * scale
    return Request(
        sent=0.0,
        end=end,
        first=float(entry["ttft"]) * scale,
        last=end,
        prompt_tokens=int(entry.get("num_input_tokens") or 0),
        output_tokens=int(entry.get("num_output_tokens") or 0),
    )
