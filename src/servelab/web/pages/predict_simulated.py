"""What a simulation found."""

from __future__ import annotations

from collections.abc import Iterator

from servelab.perf.asked import Simulated
from servelab.perf.prediction import Capacity, Effect, Estimate, Prediction
from servelab.spec.metrics import format_metric
from servelab.web.pages.frame import heading
from servelab.web.pages.parts import element, facts, notice, table, text

LATENCIES = {"ttft": "TTFT", "itl": "ITL", "e2e": "E2E"}
STATISTICS = ("mean", "p50", "p95", "p99")


def simulated(found: Prediction, asked: Simulated) -> None:
    """All of it."""
    text(
        "p",
        f"Simulated, not measured: {found.requests:,} requests at {found.rate:g} requests/s at one replica, "
        f"{found.prompt_tokens:g} + {found.output_tokens:g} tokens, at most {asked.max_num_seqs} at once, "
        f"from {found.model}.",
    )
    for warning in found.warnings:
        notice(warning, "warn")
    with element("div", "grid"):
        with element("div", "stack"):
            heading("Latency", "h3")
            table(("latency", "predicted", "95 % interval"), list(_latencies(found)), (1, 2))
        with element("div", "stack"):
            heading("Capacity", "h3")
            facts(list(_facts(found, asked)))
    if found.sensitivity:
        heading("What matters: a tenth more of", "h3")
        columns = ("input", "TTFT p95", "ITL p95", "E2E p95", "greatest rate")
        table(columns, [_effect(one) for one in found.sensitivity], (1, 2, 3, 4))


def _latencies(found: Prediction) -> Iterator[tuple[str, str, str]]:
    for name, title in LATENCIES.items():
        for which in STATISTICS:
            key = f"{name}_{which}"
            if key in found.metrics:
                yield f"{title} {which}", *_shown(key, found.metrics[key])


def _shown(name: str, one: Estimate) -> tuple[str, str]:
    between = [format_metric(name, bound) for bound in one.interval or ()]
    return format_metric(name, one.value), " to ".join(between) or "not known"


def _facts(found: Prediction, asked: Simulated) -> Iterator[tuple[str, str]]:
    throughput = found.metrics.get("output_throughput")
    if throughput is not None:
        yield "throughput", format_metric("output_throughput", throughput.value)
    yield "requests at once", f"{found.batch:.1f}"
    if found.capacity is not None:
        yield "bounds", " and ".join(map(str, asked.slo))
        yield from _capacity(found.capacity)


def _capacity(found: Capacity) -> Iterator[tuple[str, str]]:
    highest = found.highest_rate
    if highest.value == 0:
        yield "highest rate", f"none: even the lowest misses {found.limited_by}"
        return
    between = f" ({highest.interval[0]:.3g} to {highest.interval[1]:.3g})" if highest.interval else ""
    yield "highest rate", f"{highest.value:.4g} req/s{between} at one replica"
    yield "limited by", found.limited_by
    maybe = found.replicas_between
    spread = f" ({maybe[0]} to {maybe[1]})" if maybe and maybe[0] != maybe[1] else ""
    yield "replicas", f"{found.replicas}{spread}"
    if found.cost_per_hour is not None:
        yield "cost an hour", f"{found.cost_per_hour:,.2f}"
        yield "cost of a million output tokens", f"{found.cost_per_million_tokens:.3g}"


def _effect(one: Effect) -> tuple[str, ...]:
    values = (one.ttft_p95, one.itl_p95, one.e2e_p95, one.greatest_rate)
    return one.of, *("-" if value is None else f"{round(100 * value, 1) + 0.0:+.1f} %" for value in values)
