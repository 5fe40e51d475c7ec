"""Fits in words: no letter stands without its model's name and formula."""

from __future__ import annotations

from servelab.perf.parameters import Coefficient, Fit, Parameters, in_milliseconds

FORMULAS = {
    "linear-batch": "ITL = alpha + beta * batch",
    "knee-batch": "ITL = alpha + beta * batch + bend * max(0, batch - knee)",
    "saturating-batch": "ITL = alpha + rise * batch / (half + batch)",
    "linear-prefill": "TTFT = gamma + delta * prompt tokens * batch",
    "tokenwise": "step = alpha + batch * (beta * tokens computed + gamma * tokens read)",
    "step-time": "step = base + prefill * prompt tokens + decode * batch + context * tokens read",
    "blis": "step = coefficients * roofline",
}


def rows(fit: Fit) -> list[tuple[str, str, str]]:
    """Each coefficient: its name, its value with its unit, and its 95 % interval where one is known."""
    found = []
    for name, one in fit.values.items():
        found.append((name, in_milliseconds(one.value, one.unit), _between(one)))
    return found


def _between(one: Coefficient) -> str:
    """The interval, with its unit once."""
    low, high = (in_milliseconds(bound, one.unit) for bound in one.interval or (0.0, 0.0))
    return f"{low.partition(' ')[0]} to {high}" if one.interval else ""


def role(fit: Fit, parameters: Parameters) -> str:
    """What a fit is for, where several could be it."""
    rivals = sum("batch" in one.model for one in parameters.fits)
    return "best for ITL" if rivals > 1 and fit.model == parameters.decode else ""


def goodness(fit: Fit) -> str:
    """How well it fits, and where it was measured."""
    parts = []
    good = fit.goodness
    if good is not None and good.points > 2:
        parts.append(f"{good.points} measurements")
        parts += [f"error {good.mape:.1%}"] if good.mape is not None else []
        parts += [f"R² {good.r_squared:.3f}"] if good.r_squared is not None else []
        parts += [f"AICc {good.aicc:.1f}"] if good.aicc is not None else []
    if "batch" in fit.valid:
        span = fit.valid["batch"]
        parts.append(f"measured from {span.low:.3g} to {span.high:.3g} requests at once")
    return ", ".join(parts)
