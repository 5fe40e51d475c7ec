"""The plot of a fit: ITL and TTFT as measured and as the models have them, and what is left over."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np

from servelab.perf.models import Lengths
from servelab.perf.parameters import Fit, Parameters
from servelab.perf.sample import Sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREY = "#2a6fbb", "#d1621a", "#8a8a8a"
DRAWS = 400


def fit_figure(parameters: Parameters, found: Sequence[Sample]) -> str:
    """An SVG: ITL over the batch with the 95 % band, its residuals, and TTFT. The same input gives the same bytes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style = {"svg.fonttype": "none", "svg.hashsalt": "servelab", "font.size": 9, "text.parse_math": False}
    with mpl.rc_context(style):  # type: ignore[arg-type]
        figure = Figure(figsize=(9.0, 3.4), layout="constrained")
        itl, left, ttft = figure.subplots(1, 3)
        _curves(itl, parameters, found)
        _residuals(left, parameters, found)
        _prefill(ttft, parameters, found)
        for axes in (itl, left, ttft):
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(alpha=0.3)
        stream = StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def _curves(axes: Axes, parameters: Parameters, found: Sequence[Sample]) -> None:
    fit, lengths = parameters.decode_fit, _lengths(parameters)
    batches = np.linspace(1, max(one.batch for one in found), 60)
    drawn: list[Any] = fit.draws(np.random.default_rng(0), DRAWS)
    curves = np.array([[model.itl(float(b), lengths) for b in batches] for model in drawn]) * 1000
    low, high = np.percentile(curves, [2.5, 97.5], axis=0)
    axes.fill_between(batches, low, high, color=BLUE, alpha=0.2, linewidth=0, label="95 %")
    _line(axes, batches, fit, lengths, BLUE, "-")
    if fit.model != "linear-batch":
        _line(axes, batches, parameters.fit("linear-batch"), lengths, GREY, "--")
    _points(axes, [(one.batch, one.itl * 1000, one.flaw) for one in found])
    axes.set(xlabel="requests at once", ylabel="ITL, ms", title="Inter-token latency")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)


def _line(axes: Axes, batches: Any, fit: Fit, lengths: Lengths, color: str, dash: str) -> None:
    model: Any = fit.instance
    curve = [model.itl(float(b), lengths) * 1000 for b in batches]
    axes.plot(batches, curve, color=color, linestyle=dash, label=fit.model)


def _residuals(axes: Axes, parameters: Parameters, found: Sequence[Sample]) -> None:
    model, lengths = parameters.decode_model, _lengths(parameters)
    _points(axes, [(s.batch, (s.itl / model.itl(s.batch, lengths) - 1) * 100, s.flaw) for s in found])
    axes.axhline(0, color=BLUE, linewidth=1)
    axes.set(xlabel="requests at once", ylabel="measured against fitted, %", title="Residuals of ITL")


def _prefill(axes: Axes, parameters: Parameters, found: Sequence[Sample]) -> None:
    _points(axes, [(one.prompt * one.batch, one.ttft * 1000, one.flaw) for one in found])
    fit = parameters.prefill_fit
    if fit is not None:
        work = np.linspace(0, max(one.prompt * one.batch for one in found), 2)
        gamma, delta = (fit.values[name].value for name in ("gamma", "delta"))
        axes.plot(work, (gamma + delta * work) * 1000, color=BLUE, label=fit.model)
        axes.legend(frameon=False)
    axes.set(xlabel="prompt tokens x requests at once", ylabel="TTFT without queue, ms", title="Time to first token")
    axes.set_ylim(bottom=0)


def _points(axes: Axes, points: Sequence[tuple[float, float, str]]) -> None:
    for flawed, color, marker in ((False, ORANGE, "o"), (True, GREY, "x")):
        chosen = [(x, y) for x, y, flaw in points if bool(flaw) is flawed]
        if chosen:
            label = "left out" if flawed else "measured"
            axes.plot(*zip(*chosen, strict=True), marker, color=color, markersize=4, label=label)


def _lengths(parameters: Parameters) -> Lengths:
    return parameters.lengths or Lengths(0, 0)
