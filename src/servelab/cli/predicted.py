"""Predictions, written for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from servelab.cli.output import console, notes
from servelab.spec.metrics import format_metric

if TYPE_CHECKING:
    from servelab.perf.deployment import Deployment
    from servelab.perf.levels import Level
    from servelab.perf.parameters import Parameters
    from servelab.perf.prediction import Capacity, Effect, Prediction
    from servelab.spec.goal import Constraint

LATENCIES = {"ttft": "TTFT", "itl": "ITL", "e2e": "E2E"}
STATISTICS = ("mean", "p50", "p95", "p99")
WIDTH = 26


def print_prediction(found: Prediction, slo: Sequence[Constraint]) -> None:
    """The whole prediction."""
    for warning in found.warnings:
        notes.print(f"[yellow]warning:[/] {escape(warning)}", soft_wrap=True)
    limits = f"at most {found.limits['max_num_seqs']} at once"
    console.print(
        f"[bold]Predicted, not measured[/]: {found.rate:g} requests/s at one replica ({found.model}; "
        f"{found.prompt_tokens:g} + {found.output_tokens:g} tokens, {limits})",
        soft_wrap=True,
    )
    console.print(_latencies(found))
    throughput = found.metrics.get("output_throughput")
    if throughput is not None:
        console.print(f"{format_metric('output_throughput', throughput.value)}, {found.batch:.1f} sequences a step")
    if found.closed_form is not None:
        console.print(f"[dim]{100 * found.closed_form.utilization:.0f} % of the greatest rate, by the closed form[/]")
    if found.capacity is not None:
        _print_capacity(found.capacity, found.rate, slo)
    if found.sensitivity:
        console.print("\nA tenth more of")
        console.print(_effects(found.sensitivity))


def print_levels_head(deployment: Deployment, parameters: Parameters) -> None:
    """What is simulated, and the columns."""
    lengths, batching = deployment.lengths, deployment.batching
    cache = "" if batching.kv_tokens is None else f", {batching.kv_tokens:,} tokens of KV cache"
    console.print(
        f"[bold]Simulated, not measured[/]: {lengths.prompt:g} + {lengths.output:g} tokens, at most "
        f"{batching.max_num_seqs} at once, {batching.max_num_batched_tokens} a step{cache} ({parameters.decode})",
        soft_wrap=True,
    )
    console.print(
        f"{'load':{WIDTH}}{'TTFT p50':>10}{'p95':>10}{'ITL p50':>10}{'p95':>10}{'E2E p50':>10}{'p95':>10}"
        f"{'req/s':>9}{'tok/s':>9}{'batch':>7}",
        soft_wrap=True,
    )


def print_level(level: Level) -> None:
    """One line, and what is to be said of it."""
    shown = "".join(
        f"{format_metric(name, level.metrics.get(name)):>10}"
        for name in ("ttft_p50", "ttft_p95", "itl_p50", "itl_p95", "e2e_p50", "e2e_p95")
    )
    rates = f"{level.metrics['request_throughput']:>9.4g}{level.metrics['output_throughput']:>9,.0f}"
    console.print(f"{escape(level.load.label):{WIDTH}}{shown}{rates}{level.batch:>7.1f}", soft_wrap=True)
    for warning in level.warnings:
        notes.print(f"[yellow]warning:[/] {escape(level.load.label)}: {escape(warning)}", soft_wrap=True)
    if level.preemptions:
        notes.print(f"[dim]{escape(level.load.label)}: the cache was full {level.preemptions} times (preemptions)[/]")


def _latencies(found: Prediction) -> Table:
    table = Table("", box=None, pad_edge=False)
    for column in ("predicted", "95 % interval", "closed form"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, title in LATENCIES.items():
        for which in STATISTICS:
            estimate = found.metrics.get(f"{name}_{which}")
            if estimate is None:
                continue
            key = f"{name}_{which}"
            interval = "-" if estimate.interval is None else _interval(key, estimate.interval)
            quick = getattr(found.closed_form, name, None) if which == "mean" else None
            shown = "" if quick is None else format_metric(key, quick)
            table.add_row(f"{title} {which}", f"[bold]{format_metric(key, estimate.value)}[/]", interval, shown)
    return table


def _interval(name: str, interval: tuple[float, float]) -> str:
    low, high = (format_metric(name, bound) for bound in interval)
    return f"{low.removesuffix(' ms')} to {high}"


def _print_capacity(found: Capacity, rate: float, slo: Sequence[Constraint]) -> None:
    asked = " and ".join(map(str, slo))
    if found.highest_rate.value == 0:
        console.print(f"\n[bold]No rate keeps {escape(asked)}[/]: even the lowest misses {escape(found.limited_by)}")
        return
    value, interval = found.highest_rate.value, found.highest_rate.interval
    between = "" if interval is None else f" \\[{interval[0]:.3g}, {interval[1]:.3g}]"
    console.print(f"\nA replica keeps {escape(asked)} up to [bold]{value:.3g} requests/s[/]{between}", soft_wrap=True)
    console.print(f"  beyond: {escape(found.limited_by)}")
    maybe = ""
    if found.replicas_between is not None and found.replicas_between[0] != found.replicas_between[1]:
        maybe = f" ({found.replicas_between[0]} to {found.replicas_between[1]} by the interval)"
    console.print(f"  {rate:g} requests/s need [bold]{found.replicas} replica{'s' * (found.replicas != 1)}[/]{maybe}")
    if found.cost_per_hour is not None:
        console.print(
            f"  {found.cost_per_hour:.2f} an hour, {found.cost_per_million_tokens:.3g} per million output tokens"
        )


def _effects(found: Sequence[Effect]) -> Table:
    table = Table("", box=None, pad_edge=False)
    for column in ("TTFT p95", "ITL p95", "E2E p95", "greatest rate"):
        table.add_column(column, justify="right")
    for one in found:
        values = (one.ttft_p95, one.itl_p95, one.e2e_p95, one.greatest_rate)
        table.add_row(one.of, *("-" if value is None else f"{round(100 * value, 1) + 0.0:+.1f} %" for value in values))
    return table
