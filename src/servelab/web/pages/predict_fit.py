"""The fitted models: coefficients with intervals, how well they fit, and the plots of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from servelab.perf.curves import Curve, decode_curves, prefill_curve
from servelab.perf.parameters import Fit, Parameters
from servelab.perf.sample import Sample
from servelab.perf.words import FORMULAS, goodness, role, rows
from servelab.web.charts import Option, Palette, axis, base, chart, palette
from servelab.web.pages.frame import heading, is_dark
from servelab.web.pages.parts import element, facts, notice, table, text


def fits(parameters: Parameters, samples: Sequence[Sample]) -> None:
    """All of it."""
    heading("What was fitted", "h2")
    for warning in parameters.warnings:
        notice(warning, "warn")
    with element("div", "grid"):
        _itl(parameters, samples)
        _ttft(parameters, samples)
    with element("div", "grid pairs"):
        for fit in parameters.fits:
            _model(fit, parameters)
        _origin(parameters)


def _model(fit: Fit, parameters: Parameters) -> None:
    with element("section", "card stack"):
        with element("div", "row"):
            heading(fit.model, "h3")
            used = [
                name for name, model in (("ITL", parameters.decode), ("TTFT", parameters.prefill)) if model == fit.model
            ]
            if used:
                text("span", f"used for {' and '.join(used)}", "state note")
            if best := role(fit, parameters):
                text("span", best, "state good")
        text("code", FORMULAS[fit.model])
        table(("Coefficient", "Value", "95 % interval"), [(n, v, i or "not known") for n, v, i in rows(fit)], (1, 2))
        spans = [
            f"{name.replace('_', ' ')} {span.low:.4g} to {span.high:.4g}" for name, span in sorted(fit.valid.items())
        ]
        text("p", f"Holds for {', '.join(spans)}; beyond, it is extrapolated." if spans else "", "muted small")
        if good := goodness(fit):
            text("p", good, "muted small")


def _origin(parameters: Parameters) -> None:
    origin, workload = parameters.provenance, parameters.workload
    lengths = parameters.lengths
    engine = f"{origin.engine or 'not known'} {origin.engine_version or ''}".strip()
    with element("section", "card stack"):
        heading("Where it comes from", "h3")
        facts(
            [
                ("method", origin.method),
                ("model", workload.model or "not known"),
                ("requests", f"{lengths.prompt:g} + {lengths.output:g} tokens" if lengths else "not known"),
                ("engine", f"{engine}{' (simulated)' if origin.simulated else ''}"),
                ("load generator", origin.harness or "not known"),
                ("study", origin.study or "-"),
                ("fitted", origin.created_at or "-"),
            ]
        )


def _itl(parameters: Parameters, samples: Sequence[Sample]) -> None:
    colours = palette(is_dark())
    best, *others = decode_curves(parameters, samples)
    measured = [(one.batch, one.itl * 1000, one.flaw) for one in samples]
    series = [*_band(colours, best), _line(colours.accent, best)]
    series += [_line(colours.muted, one, "dashed") for one in others] + _points(colours, measured)
    x = axis(colours, "requests at once", x=True, min=0)
    y = axis(colours, "ITL, ms", min=0)
    with element("section", "card stack"):
        heading("Inter-token latency", "h3")
        chart(base(colours, x, y, series), _said("Inter-token latency over requests at once", best, measured))


def _ttft(parameters: Parameters, samples: Sequence[Sample]) -> None:
    curve = prefill_curve(parameters, samples)
    measured = [(one.prompt * one.batch, one.ttft * 1000, one.flaw) for one in samples]
    with element("section", "card stack"):
        heading("Time to first token, without waiting", "h3")
        if curve is None and not measured:
            text("p", "These coefficients say nothing of prompts: a prediction takes them to cost no time.", "muted")
            return
        colours = palette(is_dark())
        series = [*([_line(colours.accent, curve)] if curve else []), *_points(colours, measured)]
        x = axis(colours, "prompt tokens x requests at once", x=True, min=0)
        y = axis(colours, "TTFT, ms", min=0)
        chart(base(colours, x, y, series), _said("Time to first token over prompt tokens at once", curve, measured))


def _line(colour: str, curve: Curve, kind: str = "solid") -> Option:
    data = [[round(x, 4), 1000 * y] for x, y in zip(curve.x, curve.y, strict=True)]
    style = {"color": colour, "type": kind, "width": 2}
    return {"type": "line", "name": curve.model, "data": data, "symbol": "none", "lineStyle": style, "color": colour}


def _band(colours: Palette, curve: Curve) -> list[Option]:
    """The 95 % band: a transparent line, and on it the width, filled."""
    if not curve.low:
        return []
    low = [[round(x, 4), 1000 * y] for x, y in zip(curve.x, curve.low, strict=True)]
    width = [[round(x, 4), 1000 * (b - a)] for x, a, b in zip(curve.x, curve.low, curve.high, strict=True)]
    shared: Option = {"type": "line", "stack": "band", "symbol": "none", "silent": True, "lineStyle": {"opacity": 0}}
    shared |= {"stackStrategy": "all", "tooltip": {"show": False}}
    area = {"color": colours.accent, "opacity": 0.2}
    return [
        {**shared, "data": low},
        {**shared, "name": "95 %", "data": width, "areaStyle": area, "color": colours.accent},
    ]


def _points(colours: Palette, points: Sequence[tuple[float, float, str]]) -> list[Option]:
    found: list[Option] = []
    for name, flawed, colour, symbol in (
        ("measured", False, colours.warn, "circle"),
        ("left out", True, colours.muted, "diamond"),
    ):
        data: list[Any] = [[round(x, 4), y] for x, y, flaw in points if bool(flaw) is flawed]
        if data:
            kind: Option = {"type": "scatter", "name": name, "data": data, "symbol": symbol, "symbolSize": 9}
            found.append({**kind, "color": colour})
    return found


def _said(what: str, curve: Curve | None, points: Sequence[tuple[float, float, str]]) -> str:
    parts = [f"{what}: {len(points)} measurements"] if points else [what]
    if curve is not None:
        parts.append(f"{curve.model} from {1000 * curve.y[0]:.4g} to {1000 * curve.y[-1]:.4g} ms")
    return "; ".join(parts)
