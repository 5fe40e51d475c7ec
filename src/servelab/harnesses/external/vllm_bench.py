"""vLLM's own load generator: ``vllm bench serve``, and its JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from servelab.harnesses.base import Job
from servelab.harnesses.external.abilities import RATES, Abilities, api_key, refuse
from servelab.harnesses.external.driver import External, Plan
from servelab.harnesses.external.lengths import CLOSED, fixed, warmup
from servelab.harnesses.external.measured import UNKNOWN, Measured, Request
from servelab.harnesses.external.standard import converted
from servelab.spec.load import LoadPoint
from servelab.spec.workload import Tokens

RESULT = "vllm-bench.json"
REGULAR = "1000000"  # burstiness: shape of the gamma distribution of intervals; 1 is Poisson, this as good as constant
SEEDS = 2**32  # numpy takes no more
ENDPOINTS = {"chat": ("openai-chat", "/v1/chat/completions"), "completions": ("openai", "/v1/completions")}

_PROGRESS = re.compile(r"(\d+)/(\d+) \[")
_LATENCIES = {"ttft": "ttft", "tpot": "tpot", "itl": "itl", "e2el": "e2e"}
_STATISTICS = {"mean": "mean", "median": "p50", "p50": "p50", "p90": "p90", "p95": "p95", "p99": "p99"}
_RATES = {
    "request_throughput": "request_throughput",
    "output_throughput": "output_throughput",
    "total_token_throughput": "total_throughput",
}


class VLLMBench(External):
    """``vllm bench serve``: random prompts of one length, closed and open loop."""

    name: ClassVar[str] = "vllm-bench"
    abilities: ClassVar[Abilities] = Abilities(rates=(*RATES, "gamma"), lengths=(), prefixes=1, timeout=False, key=True)

    def express(self, job: Job, tokenizer: str) -> Plan:
        """Its command line; the key, if any, in the environment."""
        workload, load = job.workload, job.load
        if load.requests is None:
            raise refuse(self.name, "a load for a time", "Give load.requests, a count.")
        prefix = workload.prefix
        backend, endpoint = ENDPOINTS[workload.api]
        arguments = ["bench", "serve", "--backend", backend, "--endpoint", endpoint]
        arguments += [f"--base-url={job.deployment.url}", f"--model={job.deployment.model}", f"--tokenizer={tokenizer}"]
        arguments += ["--dataset-name", "random", "--random-input-len", str(self._length(workload.prompt))]
        arguments += ["--random-output-len", str(self._length(workload.output)), "--ignore-eos"]
        arguments += ["--random-prefix-len", str(prefix.tokens)] if prefix and prefix.tokens else []
        arguments += ["--num-prompts", str(load.requests), "--num-warmups", str(warmup(load))]
        arguments += [*_rate(load, job.max_concurrency), "--seed", str(job.seed % SEEDS)]
        arguments += ["--percentile-metrics", "ttft,tpot,itl,e2el", "--metric-percentiles", "50,90,95,99"]
        arguments += ["--save-result", "--save-detailed", "--result-dir", ".", "--result-filename", RESULT]
        arguments += ["--extra-body", json.dumps(workload.extra)] if workload.extra else []
        key = api_key()
        environment = {"VLLM_NO_USAGE_STATS": "1", **({} if key is None else {"OPENAI_API_KEY": key})}
        warnings = (f"vllm bench could not be told to stop after {load.seconds:g} s",) if load.seconds else ()
        return Plan(tuple(arguments), environment, warnings)

    def _length(self, tokens: Tokens) -> int:
        one = fixed(tokens)
        if one is None:
            raise refuse(self.name, "normally distributed lengths", "Give fixed lengths, or use another harness.")
        return one

    def share(self, job: Job, said: str) -> float | None:
        """Read off its progress bar; that of the warm-up has another total."""
        found = [(int(done), int(total)) for done, total in _PROGRESS.findall(said)]
        shares = [done / total for done, total in found if total == job.load.requests]
        return shares[-1] if shares else None

    def measured(self, job: Job) -> Measured:
        """Its JSON."""
        return read(job.directory / RESULT)


def _rate(load: LoadPoint, max_concurrency: int) -> list[str]:
    if load.kind in CLOSED:
        return ["--max-concurrency", str(int(load.level))]
    burstiness = REGULAR if load.kind == "constant" else f"{load.burstiness:g}"
    rate = ["--request-rate", f"{load.level:g}", "--burstiness", burstiness]
    return [*rate, "--max-concurrency", str(max_concurrency)]


def is_vllm_bench(data: Any) -> bool:
    """Whether JSON data is a result of ``vllm bench serve``."""
    return isinstance(data, Mapping) and {"model_id", "completed", "duration", "mean_ttft_ms"} <= data.keys()


def read(path: Path) -> Measured:
    """A result; from its records where it was saved in detail.

    Raises:
        OSError, ValueError, LookupError: it is not such a result.
    """
    data = json.loads(path.read_text(encoding="utf-8"))
    if not is_vllm_bench(data):
        raise ValueError(f"{path} is no result of vllm bench")
    requests = _requests(data)
    failed = int(data.get("failed") or 0)
    count = int(data["completed"]) + failed
    return Measured(
        harness="vllm-bench",
        model=str(data.get("model_id") or UNKNOWN),
        load=_load_point(data, count),
        requests=requests,
        metrics={} if requests else _summary(data, count),
        count=count,
        duration=float(data["duration"]),
        errors={"failed": failed} if failed else {},
        standard=converted("import_vllm_benchmark", str(path)),
    )


def _load_point(data: Mapping[str, Any], count: int) -> LoadPoint:
    rate = float(data.get("request_rate") or "inf")
    if rate == float("inf"):
        level = data.get("max_concurrency") or count
        return LoadPoint(kind="concurrency", level=max(1, level), requests=count or None)
    regular = float(data.get("burstiness") or 1) > 100
    return LoadPoint(kind="constant" if regular else "poisson", level=rate, requests=count or None)


def _summary(data: Mapping[str, Any], count: int) -> dict[str, float]:
    found = {
        f"{ours}_{label}": float(data[f"{statistic}_{theirs}_ms"]) / 1000
        for theirs, ours in _LATENCIES.items()
        for statistic, label in _STATISTICS.items()
        if data.get(f"{statistic}_{theirs}_ms") is not None
    }
    found |= {ours: float(data[theirs]) for theirs, ours in _RATES.items() if data.get(theirs) is not None}
    return {**found, "error_rate": 1 - data["completed"] / count if count else 0.0}


def _requests(data: Mapping[str, Any]) -> tuple[Request, ...]:
    columns = [data.get(name) for name in ("start_times", "ttfts", "itls", "input_lens", "output_lens", "errors")]
    if any(not column for column in columns):
        return ()
    return tuple(_request(*row) for row in zip(*(column or () for column in columns), strict=True))


def _request(
    sent: float, ttft: float, gaps: list[float], prompt_tokens: int, output_tokens: int, error: str
) -> Request:
    last = sent + ttft + sum(gaps)
    return Request(
        sent=sent,
        end=last,
        first=None if error else sent + ttft,
        last=None if error else last,
        prompt_tokens=prompt_tokens,
        output_tokens=output_tokens,
        gaps=tuple(gaps),
        chunks=len(gaps) + 1,
        error=error.strip().splitlines()[-1][:40] if error.strip() else None,
    )
