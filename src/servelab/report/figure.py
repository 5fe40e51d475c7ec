"""The look of every plot: matplotlib figures as inline SVG that follows the page's light or dark colours."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Any

from servelab.spec.metrics import metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, MUTED, GRID, SURFACE = "#010101", "#020202", "#030303", "#040404"
CHOSEN, DEFAULT, BAD, OTHER = "#050505", "#060606", "#070707", "#080808"
"""Stand-ins that never reach a screen: each becomes a CSS variable, and the page says what it looks like."""

_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--rule",
    SURFACE: "--surface",
    CHOSEN: "--chosen",
    DEFAULT: "--default",
    BAD: "--bad",
    OTHER: "--other",
}

_DRAWING = threading.Lock()  # matplotlib's settings are one for all threads

WIDTH = 5.0  # inches; one column of the page, legible on a phone too


@dataclass(frozen=True)
class Plot:
    """A plot ready for the page. ``svg`` is markup; ``title`` and ``note`` are plain text."""

    name: str
    title: str
    note: str
    svg: str


def draw(name: str, description: str, height: float, paint: Callable[[Axes], None]) -> str:
    """Paint one pair of axes and return it as an ``<svg>`` element.

    The same input gives the same bytes: no date, no random ids. No pyplot, so no global state stays behind.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with _DRAWING, mpl.rc_context(_style(name)):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        paint(axes)
        stream = StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _inline(name, description, stream.getvalue())


def _style(salt: str) -> Any:
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": salt,
        "text.parse_math": False,
        "font.size": 9.5,
        "axes.labelsize": 9.5,
        "axes.facecolor": "none",
        "figure.facecolor": "none",
        "savefig.facecolor": "none",
        "axes.edgecolor": GRID,
        "axes.labelcolor": INK,
        "text.color": INK,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": GRID,
        "grid.linewidth": 0.6,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "xtick.minor.size": 0,
        "ytick.minor.size": 0,
        "legend.frameon": False,
        "legend.fontsize": 9,
        "legend.handletextpad": 0.4,
        "legend.columnspacing": 1.2,
        "lines.linewidth": 1.8,
    }


def _inline(name: str, description: str, text: str) -> str:
    """The ``<svg>`` element alone, with ids of its own, CSS colours and a description for screen readers."""
    svg = text[text.index("<svg") :]
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(url\(|href=")#', rf"\1#{name}-", svg)
    for stand_in, variable in _VARIABLES.items():
        svg = svg.replace(stand_in, f"var({variable})")
    svg = re.sub(
        r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1), count=1
    )
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(description)}" ', 1)


def shown(name: str, value: float) -> float:
    """A metric's value in the unit people read: milliseconds for latencies."""
    return value * 1000 if metric(name).unit == "s" else value


def axis_label(name: str, direction: str | None = None) -> str:
    """A metric with its unit, and which way is better if asked."""
    info = metric(name)
    unit = "ms" if info.unit == "s" else info.unit
    better = {None: "", "maximize": ", higher is better", "minimize": ", lower is better"}[direction]
    return f"{name} ({unit}{better})" if unit else f"{name}{f' ({better[2:]})' if better else ''}"


def legend_above(axes: Axes) -> None:
    """The labels in rows of three above the axes, where no point can hide behind them."""
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=3, borderaxespad=0.2, borderpad=0.2)
