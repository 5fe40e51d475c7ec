"""What a load would be like: sliders, the closed form's answer while they move, and the simulation on demand."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

from nicegui import background_tasks, ui
from pydantic import ValidationError

from servelab.perf.asked import LONGEST, Asked, Brief
from servelab.perf.instant import Instant, Point, instant
from servelab.perf.parameters import Parameters
from servelab.spec.errors import ServelabError
from servelab.spec.metrics import format_metric
from servelab.web.charts import Option, axis, base, chart, palette, redraw
from servelab.web.pages.frame import heading, is_dark
from servelab.web.pages.parts import Text, element, text
from servelab.web.pages.predict_dial import Dial
from servelab.web.pages.predict_simulated import simulated
from servelab.web.simulation import simulate

LATENCIES = (("ttft", "TTFT"), ("itl", "ITL"), ("e2e", "E2E"))
USUAL_PROMPT, USUAL_OUTPUT = 512, 128  # tokens, where the coefficients do not say it


class Load:
    """The sliders and all that follows from them, of one set of coefficients."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._task: asyncio.Task[object] | None = None
        lengths = parameters.lengths
        prompt, output = (lengths.prompt, lengths.output) if lengths else (USUAL_PROMPT, USUAL_OUTPUT)
        first = self._greatest(prompt, output)
        with element("div", "side"):
            with element("section", "card stack").props('aria-label="The load"'):
                heading("The load", "h2")
                self._rate = Dial("Requests per second", first / 200, first * 10, _round(first / 2), self._changed)
                self._prompt = Dial("Prompt tokens", 1, 131072, round(prompt), self._changed, whole=True)
                self._output = Dial("Output tokens", 1, 32768, round(output), self._changed, whole=True)
                self._seqs = Dial("max_num_seqs: most at once", 1, 1024, 256, self._changed, whole=True)
                self._ttft = Dial("TTFT at most, ms", 1, 60_000, 500, self._changed)
                self._itl = Dial("ITL at most, ms", 0.1, 2_000, 50, self._changed)
                with element("div", "row"):
                    self._accelerators = ui.number("Accelerators of a replica", value=1, min=1, max=4096, precision=0)
                    self._hour = ui.number("Cost of one an hour", value=None, min=0)
                    for one in (self._accelerators, self._hour):
                        one.props("outlined dense").classes("grow").on_value_change(self._changed)
            with element("section", "card stack").props('aria-label="Predicted"'):
                heading("Predicted, not measured", "h2")
                self._figures()
        with element("section", "card stack"):
            heading("Mean latency over the rate of one replica", "h2")
            self._chart = chart(self._options(None), "Mean TTFT and ITL over the rate; dashed: what they may be")
        self._simulation()
        self._changed()

    def _greatest(self, prompt: float, output: float) -> float:
        """Requests/s that a replica can serve, to lay out the slider of the rate."""
        asked = Asked(rate=1, prompt_tokens=_length(prompt), output_tokens=_length(output))
        found = asked.deployment(self._parameters).queue.capacity
        return found if math.isfinite(found) and found > 0 else 100.0

    def _figures(self) -> None:
        self._said = text("p", "", "muted")
        with element("div", "scroll"), element("table", "plain"):
            with element("thead"), element("tr"):
                for name in ("Mean", "all at one replica", "shared by the replicas"):
                    text("th", name, "number" if name != "Mean" else "").props("scope=col")
            with element("tbody"):
                self._cells = {name: self._row(title) for name, title in LATENCIES}
                self._cells["utilization"] = self._row("Utilization")
        with element("dl", "facts figures"):
            self._facts = {
                name: self._fact(title)
                for name, title in (
                    ("highest", "highest rate within the bounds, one replica"),
                    ("greatest", "greatest rate at all, one replica"),
                    ("batch", "requests at once, on average"),
                    ("replicas", "replicas for this rate"),
                    ("cost", "cost an hour"),
                    ("tokens", "cost of a million output tokens"),
                )
            }
        self._warnings = text("div", "", "notice warn told")
        self._warnings.props('role="status"')

    def _row(self, title: str) -> tuple[Text, Text]:
        with element("tr"):
            text("th", title).props("scope=row")
            return text("td", "-", "number"), text("td", "-", "number")

    def _fact(self, title: str) -> Text:
        text("dt", title)
        return text("dd", "-", "number")

    def asked(self) -> Asked:
        """What the sliders ask for."""
        hour = self._hour.value
        return Asked.model_validate(
            {
                "rate": self._rate.value,
                "prompt_tokens": self._prompt.value,
                "output_tokens": self._output.value,
                "max_num_seqs": self._seqs.value,
                "max_num_batched_tokens": max(8192, int(self._seqs.value)),
                "slo": [f"ttft_mean <= {self._ttft.value}ms", f"itl_mean <= {self._itl.value}ms"],
                "accelerators": int(self._accelerators.value or 1),
                "accelerator_hour_cost": None if hour is None else float(hour),
            }
        )

    def _changed(self) -> None:
        try:
            asked = self.asked()
            found = instant(self._parameters, asked.deployment(self._parameters), asked.rate, asked.bounds, asked.price)
        except ServelabError as error:
            self._warn(f"{error.message} {error.remedy}")
            return
        except ValidationError as error:
            self._warn("; ".join(f"{one['loc'][0]}: {one['msg']}" for one in error.errors()))
            return
        self._show(asked, found)

    def _warn(self, said: str) -> None:
        self._warnings.set_text(said)
        self._warnings.visible = bool(said)

    def _show(self, asked: Asked, found: Instant) -> None:
        kept = f"mean TTFT ≤ {self._ttft.value:g} ms and mean ITL ≤ {self._itl.value:g} ms"
        self._said.set_text(f"By the closed form, which knows means only, from {found.model}. Bounds: {kept}.")
        for name, _ in LATENCIES:
            for cell, form in zip(self._cells[name], (found.at_rate, found.each), strict=True):
                cell.set_text(format_metric(f"{name}_mean", getattr(form, name)) if form else "-")
        for cell, form in zip(self._cells["utilization"], (found.at_rate, found.each), strict=True):
            cell.set_text(f"{form.utilization:.0%}" if form else "-")
        for name, bound in (("ttft", self._ttft.value), ("itl", self._itl.value)):
            missed = found.at_rate is not None and 1000 * getattr(found.at_rate, name) > bound
            self._cells[name][0].classes(add="bad" if missed else "", remove="" if missed else "bad")
        none = "no rate keeps the bounds"
        self._facts["highest"].set_text(f"{found.highest_rate:.4g} req/s" if found.highest_rate else none)
        self._facts["greatest"].set_text(f"{found.greatest_rate:.4g} req/s")
        self._facts["batch"].set_text(f"{found.batch:.1f}" if found.batch is not None else "-")
        self._facts["replicas"].set_text(f"{found.replicas:,}" if found.replicas else "-")
        self._facts["cost"].set_text(f"{found.cost_per_hour:,.2f}" if found.cost_per_hour is not None else "-")
        tokens = found.cost_per_million_tokens
        self._facts["tokens"].set_text(f"{tokens:.3g}" if tokens is not None else "-")
        self._warn("; ".join(found.warnings))
        redraw(self._chart, self._options(found))

    def _options(self, found: Instant | None) -> Option:
        colours = palette(is_dark())
        points = found.curve if found else ()
        series: list[Option] = []
        for index, (name, bound, colour, place) in enumerate(
            (
                ("ttft", self._ttft.value, colours.accent, "insideStartTop"),
                ("itl", self._itl.value, colours.warn, "insideEndTop"),
            )
        ):
            series.append(
                {
                    "type": "line",
                    "name": f"{name.upper()} (mean)",
                    "yAxisIndex": index,
                    "symbol": "none",
                    "color": colour,
                    "data": [[round(one.rate, 5), 1000 * getattr(one, name)] for one in points],
                    "markLine": {
                        "silent": True,
                        "symbol": "none",
                        "label": {"formatter": f"{name.upper()} bound", "color": colour, "position": place},
                        "lineStyle": {"color": colour, "type": "dashed"},
                        "data": [{"yAxis": bound}],
                    },
                }
            )
        if found is not None:
            chosen = {"silent": True, "symbol": "none", "lineStyle": {"color": colours.ink, "type": "solid"}}
            label = {"formatter": "chosen rate", "color": colours.ink}
            own = {**chosen, "label": label, "data": [{"xAxis": min(found.rate, 1.15 * found.greatest_rate)}]}
            series.append({"type": "line", "data": [], "markLine": own})
        most = 1.15 * found.greatest_rate if found else 1
        x = axis(colours, "requests per second at one replica", x=True, min=0, max=float(f"{most:.3g}"))
        left = axis(colours, "TTFT, ms", min=0, max=_ceiling(points, "ttft", self._ttft.value))
        right = axis(colours, "ITL, ms", min=0, max=_ceiling(points, "itl", self._itl.value))
        right |= {"nameTextStyle": {"color": colours.muted, "align": "right"}, "splitLine": {"show": False}}
        option = base(colours, x, left, series)
        return {**option, "yAxis": [left, right], "tooltip": {**option["tooltip"], "trigger": "axis"}}

    def _simulation(self) -> None:
        client = ui.context.client
        with element("section", "card stack"):
            with element("div", "head"):
                heading("Simulation", "h2").classes("grow")
                self._statistic = ui.select(["mean", "p50", "p95", "p99"], value="p95", label="Bounds are of the")
                self._statistic.props("outlined dense options-dense").classes("narrow")
                self._start = ui.button("Simulate", on_click=self._toggle).props("unelevated no-caps")
            text(
                "p",
                "The scheduler on virtual time, request by request: percentiles, with intervals from what the fit does "
                "not know. It takes some seconds, and ends when you leave.",
                "muted small",
            )
            self._progress = text("p", "", "muted")
            self._progress.props('role="status"')
            self._result = element("div", "stack")
        client.on_delete(self.stop)

    def _toggle(self) -> None:
        if self._task is not None:
            self.stop()
            return
        self._task = background_tasks.create(self._run(), context=ui.context.client)

    def stop(self) -> None:
        """End a simulation that runs."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        self._start.set_text("Stop")
        try:
            data = self.asked().model_dump()
            which = self._statistic.value
            data["slo"] = [f"ttft_{which} <= {self._ttft.value}ms", f"itl_{which} <= {self._itl.value}ms"]
            asked = Brief.model_validate(data)
            found = await simulate(self._parameters, asked, self._progress.set_text)
            self._result.clear()
            with self._result:
                simulated(found, asked)
            self._progress.set_text("")
        except asyncio.CancelledError:
            self._progress.set_text("stopped")
            raise
        except ServelabError as error:
            self._progress.set_text(f"{error.message} {error.remedy}")
        except ValidationError as error:
            self._progress.set_text("; ".join(one["msg"] for one in error.errors()))
        finally:
            self._task = None
            self._start.set_text("Simulate")


def _ceiling(points: Sequence[Point], name: str, bound: float) -> float:
    """The top of an axis: the bound is seen, and the wall at the greatest rate does not flatten all else."""
    values = sorted(1000 * getattr(one, name) for one in points) or [bound]
    usual = values[int(0.8 * (len(values) - 1))]
    return float(f"{1.25 * max(bound, min(values[-1], 2 * usual)):.2g}")


def _length(tokens: float) -> float:
    return min(max(1.0, tokens), LONGEST)


def _round(value: float) -> float:
    return float(f"{value:.2g}")
