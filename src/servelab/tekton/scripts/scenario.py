#!/usr/bin/env python3
"""Writes the scenario of a guidellm run, for ``guidellm run --config``, from the variables of a workload.

Counts and lengths are in tokens. ``RATE`` means what the kind of load takes: requests per second, streams in
flight (several with commas), or for a sweep the number of its levels. Warm-up requests are sent first, not counted.
The server's address is ``TARGET``, or stands in the file ``URL_FILE``; ``API`` is completions (the default) or chat.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PATHS = {"completions": "/v1/completions", "chat": "/v1/chat/completions"}


def profile(kind: str, rates: list[float]) -> dict[str, Any]:
    """The load, as guidellm 0.8 describes it; several rates are several benchmarks.

    Raises:
        ValueError: there is no such kind.
    """
    if kind == "synchronous":
        return {"kind": kind}
    if kind == "throughput":
        return {"kind": kind, "max_concurrency": int(rates[0])} if rates else {"kind": kind}
    if not rates:
        raise ValueError(f"rate_type {kind} needs a rate")
    if kind == "sweep":
        return {"kind": kind, "sweep_size": int(rates[0])}
    if kind == "concurrent":
        return {"kind": kind, "streams": [int(rate) for rate in rates]}
    if kind in ("constant", "poisson"):
        return {"kind": kind, "rate": rates}
    raise ValueError(f"no rate_type {kind!r}; there are sweep, concurrent, constant, poisson, throughput, synchronous")


def lengths(variables: Mapping[str, str], name: str) -> dict[str, int]:
    """A length and how it varies; bounds without a deviation would make it uniform between them."""
    mean, stdev = int(variables[name.upper()]), int(variables.get(f"{name.upper()}_STDEV") or 0)
    if not stdev:
        return {name: mean}
    low, high = (int(variables.get(f"{name.upper()}_{end}") or bound) for end, bound in (("MIN", 1), ("MAX", 2 * mean)))
    return {name: mean, f"{name}_stdev": stdev, f"{name}_min": low, f"{name}_max": high}


def scenario(variables: Mapping[str, str]) -> dict[str, Any]:
    """The whole scenario.

    Raises:
        ValueError, KeyError, OSError: a variable is missing or no number, or the address is not there.
    """
    data: dict[str, Any] = {"kind": "synthetic_text", **lengths(variables, "prompt_tokens")}
    data |= lengths(variables, "output_tokens")
    groups = int(variables.get("PREFIX_GROUPS") or 1)
    if int(variables.get("PREFIX_TOKENS") or 0):
        data["prefix_buckets"] = [{"prefix_count": groups, "prefix_tokens": int(variables["PREFIX_TOKENS"])}]
    warmup = int(variables.get("WARMUP") or 0)
    kind = variables["RATE_TYPE"]
    given = variables["RATE"] or (variables.get("MAX_CONCURRENCY", "") if kind == "throughput" else "")
    load = profile(kind, [float(rate) for rate in given.split(",") if rate.strip()])
    constraints: list[dict[str, Any]] = []
    if int(variables.get("MAX_REQUESTS") or 0):
        constraints.append({"kind": "max_requests", "count": int(variables["MAX_REQUESTS"]) + warmup})
    if float(variables.get("MAX_SECONDS") or 0):
        constraints.append({"kind": "max_duration", "seconds": float(variables["MAX_SECONDS"])})
    target = variables.get("TARGET") or Path(variables["URL_FILE"]).read_text(encoding="utf-8").strip()
    api = variables.get("API") or "completions"
    if api not in PATHS:
        raise ValueError(f"no api {api!r}; there are {' and '.join(PATHS)}")
    backend = {"kind": "openai_http", "target": target, "request_format": PATHS[api]}
    if variables.get("MODEL"):
        backend["model"] = variables["MODEL"]
    spec: dict[str, Any] = {
        "backend": backend,
        "profile": {**load, "warmup": {"value": warmup, "mode": "requests"}} if warmup else load,
        "constraints": constraints,
        "data": [data],
        "seed": {"kind": "static", "value": int(variables["RANDOM_SEED"] or 42)},
        "outputs": [{"kind": "json", "path": variables["REPORT"]}],
    }
    if variables.get("TOKENIZER"):
        spec["tokenizer"] = {"kind": "huggingface_auto", "model": variables["TOKENIZER"]}
    return {"spec": spec}


def main() -> None:
    """Write the scenario to the file that OUT names."""
    try:
        text = json.dumps(scenario(os.environ), indent=2)
    except (ValueError, KeyError, OSError) as error:
        sys.exit(f"scenario: {error}")
    Path(os.environ["OUT"]).write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
