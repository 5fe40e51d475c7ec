"""The plot of a fit: ITL and TTFT as measured and as the models have them, and what is left over."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import TYPE_CHECKING

from servelab.perf.curves import decode_curves, lengths_of, prefill_curve
from servelab.perf.parameters import Parameters
from servelab.perf.sample import Sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREY = "#2a6fbb", "#d1621a", "#8a8a8a"


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
    best, *others = decode_curves(parameters, found)
    if best.low:
        low, high = ([1000 * value for value in bound] for bound in (best.low, best.high))
        axes.fill_between(best.x, low, high, color=BLUE, alpha=0.2, linewidth=0, label="95 %")
    for curve, color, dash in ((best, BLUE, "-"), *((one, GREY, "--") for one in others)):
        axes.plot(curve.x, [1000 * value for value in curve.y], color=color, linestyle=dash, label=curve.model)
    _points(axes, [(one.batch, one.itl * 1000, one.flaw) for one in found])
    axes.set(xlabel="requests at once", ylabel="ITL, ms", title="Inter-token latency")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)


def _residuals(axes: Axes, parameters: Parameters, found: Sequence[Sample]) -> None:
    model, lengths = parameters.decode_model, lengths_of(parameters)
    _points(axes, [(s.batch, (s.itl / model.itl(s.batch, lengths) - 1) * 100, s.flaw) for s in found])
    axes.axhline(0, color=BLUE, linewidth=1)
    axes.set(xlabel="requests at once", ylabel="measured against fitted, %", title="Residuals of ITL")


def _prefill(axes: Axes, parameters: Parameters, found: Sequence[Sample]) -> None:
    _points(axes, [(one.prompt * one.batch, one.ttft * 1000, one.flaw) for one in found])
    curve = prefill_curve(parameters, found)
    if curve is not None:
        axes.plot(curve.x, [1000 * value for value in curve.y], color=BLUE, label=curve.model)
        axes.legend(frameon=False)
    axes.set(xlabel="prompt tokens x requests at once", ylabel="TTFT without queue, ms", title="Time to first token")
    axes.set_ylim(bottom=0)


def _points(axes: Axes, points: Sequence[tuple[float, float, str]]) -> None:
    for flawed, color, marker in ((False, ORANGE, "o"), (True, GREY, "x")):
        chosen = [(x, y) for x, y, flaw in points if bool(flaw) is flawed]
        if chosen:
            label = "left out" if flawed else "measured"
            axes.plot(*zip(*chosen, strict=True), marker, color=color, markersize=4, label=label)
