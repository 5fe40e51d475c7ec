"""How reports speak: numbers with units, parameters, durations; nothing that could break out of a line."""

from __future__ import annotations

import unicodedata

from servelab.spec.base import Parameters, Value
from servelab.spec.load import Load
from servelab.spec.metrics import format_metric
from servelab.spec.study import Study
from servelab.spec.workload import Tokens, Workload


def one_line(text: str) -> str:
    """``text`` with every control or line-breaking character turned into a space, safe in a comment."""
    return "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") else c for c in text).strip()


def value_text(value: Value) -> str:
    """A parameter's value as an engine would take it."""
    return str(value).lower() if isinstance(value, bool) else one_line(str(value))


def parameters_text(parameters: Parameters) -> str:
    """Parameters as people write them; the engine's own defaults when there are none."""
    words = [f"{name}={value_text(value)}" for name, value in parameters.items()]
    return " ".join(words) or "engine defaults"


def percent(share: float) -> str:
    """A share as a percentage, finer where it is small: 0.183 -> ``18 %``, 0.024 -> ``2.4 %``."""
    hundredths = share * 100
    return f"{hundredths:.0f} %" if abs(hundredths) >= 9.95 else f"{hundredths:.1f} %"


def signed(share: float) -> str:
    """A share as a percentage with its sign."""
    sign = "+" if share >= 0 else "\N{MINUS SIGN}"
    return f"{sign}{percent(abs(share))}"


def duration(seconds: float) -> str:
    """A time span for people: ``48 s``, ``6 min 20 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def count(number: int, noun: str) -> str:
    """``1 trial``, ``3 trials``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listed(items: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def metric_text(name: str, value: float | None) -> str:
    """A metric's name and value, as ``ttft_p95 412 ms``."""
    return f"{name} {format_metric(name, value)}"


def _tokens_text(tokens: Tokens) -> str:
    if tokens.distribution == "uniform":
        return f"{tokens.min} to {tokens.upper}"
    spread = f" \N{PLUS-MINUS SIGN} {tokens.stdev:g}" if tokens.stdev else ""
    return f"{tokens.mean:g}{spread}"


def workload_text(workload: Workload) -> str:
    """What clients ask for, in one line."""
    if workload.dataset:
        return f"{one_line(workload.name)}: data set {one_line(workload.dataset)}, {workload.api} API"
    if workload.trace:
        trace = workload.trace
        return f"{one_line(workload.name)}: {trace.format} trace {one_line(trace.path)}, {workload.api} API"
    prefix = f", shared prefix of {workload.prefix.tokens} tokens" if workload.prefix else ""
    turns = f", {workload.turns} turns" if workload.turns > 1 else ""
    lengths = f"{_tokens_text(workload.prompt)} prompt and {_tokens_text(workload.output)} output tokens"
    return f"{one_line(workload.name)}: {lengths}{prefix}{turns}, {workload.api} API"


def _levels_text(load: Load) -> str:
    if load.sweep:
        return f"a sweep of {load.sweep} levels"
    if load.saturation:
        search = load.saturation
        return f"saturation searched between {search.of} {search.low:g} and {search.high:g}"
    if load.estimate:
        return f"concurrency 1 to {load.estimate.high}, where a latency model is best fitted"
    if load.concurrency:
        return f"concurrency {listed([f'{level:g}' for level in load.concurrency])}"
    if not load.rate:
        return listed([point.label for point in load.points])
    return f"{listed([f'{level:g}' for level in load.rate])} req/s ({load.arrival})"


def load_text(study: Study) -> str:
    """The load levels and how long each lasts, in one line."""
    load = study.load
    levels = _levels_text(load)
    length = [f"{load.requests} requests"] if load.requests else []
    length += [duration(load.seconds)] if load.seconds else []
    return f"{levels}; {' or '.join(length) or 'the whole trace'} each"
