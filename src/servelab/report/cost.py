"""What it costs to serve, by a price that the person names and the throughput that was measured."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from servelab.report.digest import Digest
from servelab.report.images import accelerators
from servelab.report.recommend import engine_version
from servelab.spec.base import Spec
from servelab.spec.errors import DocumentError
from servelab.spec.report import Report

_SECONDS, _MILLION = 3600, 1e6


class LoadCost(Spec):
    """A million tokens at one load level, kept up all the time. ``output_throughput`` is in tokens/s."""

    load: str
    output_throughput: float
    per_million_output: float
    per_million_tokens: float | None = None
    """Of prompt and output together."""


class Cost(Spec):
    """One deployment of a configuration, in the currency of ``price``."""

    trial: int
    accelerators: int
    """0 where the engine runs on the processor; then ``price`` is that of the machine."""
    price: float
    per_hour: float
    loads: tuple[LoadCost, ...]


def serving_costs(found: Digest, price: float) -> tuple[Cost, ...]:
    """What the recommended configuration costs, then the default's; ``price`` is of an accelerator and hour.

    Raises:
        DocumentError: the price is below zero.
    """
    if price < 0:
        raise DocumentError((f"a price of {price:g} is below zero",), "Give what one accelerator costs an hour.")
    numbers = dict.fromkeys((found.verdict.trial, found.verdict.default))
    costs = (_cost(found, number, price) for number in numbers if number is not None)
    return tuple(cost for cost in costs if cost.loads)


def price_text(amount: float) -> str:
    """An amount of any currency: two decimals, and more where it is small."""
    return f"{amount:,.2f}" if amount >= 1 or amount == 0 else f"{amount:.3g}"


def cost_lines(costs: Sequence[Cost]) -> list[str]:
    """What a terminal says of the costs."""
    return [
        f"trial {cost.trial} at {level.load}: {price_text(cost.per_hour)} an hour, "
        f"{price_text(level.per_million_output)} a million output tokens"
        for cost in costs
        for level in cost.loads
    ]


def needed_accelerators(found: Digest, number: int) -> int:
    """Accelerators that one deployment of a trial's configuration needs; 0 on a processor."""
    trial = found.trial(number)
    parameters = trial.parameters if trial else {}
    return accelerators(found.study, parameters, engine_version(found))


def _cost(found: Digest, number: int, price: float) -> Cost:
    devices = needed_accelerators(found, number)
    per_hour = price * max(1, devices)
    levels: dict[str, list[Report]] = {}
    for report in found.reports.get(number, ()):
        if report.metrics.get("output_throughput", 0) > 0:
            levels.setdefault(report.load.label, []).append(report)
    loads = tuple(_load_cost(label, reports, per_hour) for label, reports in levels.items())
    return Cost(trial=number, accelerators=devices, price=price, per_hour=per_hour, loads=loads)


def _load_cost(label: str, reports: Sequence[Report], per_hour: float) -> LoadCost:
    output = fmean(report.metrics["output_throughput"] for report in reports)
    total = [report.metrics["total_throughput"] for report in reports if report.metrics.get("total_throughput", 0) > 0]
    return LoadCost(
        load=label,
        output_throughput=output,
        per_million_output=_per_million(per_hour, output),
        per_million_tokens=_per_million(per_hour, fmean(total)) if total else None,
    )


def _per_million(per_hour: float, throughput: float) -> float:
    return per_hour / (throughput * _SECONDS) * _MILLION
