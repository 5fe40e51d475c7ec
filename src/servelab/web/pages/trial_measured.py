"""What a trial measured: every load level and repeat, and one of them in detail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nicegui import ui

from servelab.lab.records import first_requests, records_file
from servelab.spec.errors import ServelabError
from servelab.spec.metrics import STATISTICS, format_metric
from servelab.spec.report import Report
from servelab.spec.trial import Measurement, StudyRecord, Trial
from servelab.web.charts import chart, palette
from servelab.web.pages.frame import heading, in_thread, is_dark
from servelab.web.pages.parts import element, facts, notice, table, text
from servelab.web.trial_charts import MOST_REQUESTS, NAMES, distribution, timeline

SHOWN = ("output_throughput", "request_throughput", "ttft_p50", "ttft_p95", "itl_p50", "itl_p95", "e2e_p95")
PHASES = {"screen": "screening", "full": "", "probe": "probe"}


async def show_measured(record: StudyRecord, trial: Trial) -> None:
    """Everything measured, or why there is nothing."""
    if not trial.measurements:
        with element("section", "card stack tight"):
            heading("Measurements", "h2")
            waits = "None yet: they appear here as they are made." if not trial.final else "Nothing was measured."
            text("div", waits, "muted")
        return
    _overview(record, trial)
    _distributions(record, trial)
    await _Detail(record, trial).show()


def _label(made: Measurement, several: bool) -> str:
    turn = f", repeat {made.repeat + 1}" if several else ""
    phase = f" ({PHASES[made.phase]})" if PHASES[made.phase] else ""
    return f"{made.report.load.label}{turn}{phase}"


def _labels(trial: Trial) -> list[str]:
    """The name of each measurement."""
    several = any(made.repeat for made in trial.measurements)
    return [_label(made, several) for made in trial.measurements]


def _overview(record: StudyRecord, trial: Trial) -> None:
    names = [name for name in SHOWN if any(name in made.report.metrics for made in trial.measurements)]
    rows = [_row(label, made.report, names) for label, made in zip(_labels(trial), trial.measurements, strict=True)]
    with element("section", "card stack"):
        with element("div", "head"):
            heading("Measurements", "h2").classes("grow")
            address = f"/api/v1/studies/{record.id}/trials/{trial.number}"
            ui.link("Reports (JSON)", f"{address}/reports").classes("small")
        table(("load", "requests", "failed", "seconds", *names, "client"), rows, numbers=range(1, 4 + len(names)))


def _row(label: str, report: Report, names: Sequence[str]) -> tuple[str, ...]:
    values = (format_metric(name, report.metrics.get(name)) for name in names)
    failed = str(sum(report.errors.values()) or "-")
    return (label, f"{report.requests:,}", failed, f"{report.duration:.1f}", *values, report.client.verdict)


def _distributions(record: StudyRecord, trial: Trial) -> None:
    several = any(made.repeat for made in trial.measurements)
    full = [made for made in trial.measurements if made.phase == "full"] or list(trial.measurements)
    curves = [(_label(made, several), made.report) for made in full]
    colours = palette(is_dark())
    drawn = {name: distribution(name, curves, record.study.constraints, colours) for name in ("ttft", "itl")}
    with element("div", "grid two"):
        for name, drawing in drawn.items():
            if drawing is not None:
                with element("section", "card stack tight"):
                    heading(NAMES[name], "h2")
                    chart(drawing.option, f"{NAMES[name]}: {drawing.caption} The table below has the percentiles.")
                    text("div", drawing.caption, "small muted")


class _Detail:
    """One measurement in detail; with several, one is chosen."""

    def __init__(self, record: StudyRecord, trial: Trial) -> None:
        self._record, self._trial = record, trial
        self._colours = palette(is_dark())
        self._names = dict(enumerate(_labels(trial)))
        self._chosen = next((i for i, m in enumerate(trial.measurements) if m.phase == "full"), 0)

    async def show(self) -> None:
        """The choice, and what is chosen."""
        with element("section", "card stack"):
            with element("div", "head"):
                heading("In detail", "h2").classes("grow")
                if len(self._names) > 1:
                    choice = ui.select(self._names, value=self._chosen)
                    choice.props('outlined dense options-dense aria-label="Measurement"')
                    choice.on_value_change(self._choose)
                else:
                    text("span", self._names[0], "muted")
            self._body = element("div", "stack")
        await self._fill()

    async def _choose(self, event: Any) -> None:
        self._chosen = int(event.value)
        await self._fill()

    async def _fill(self) -> None:
        made = self._trial.measurements[self._chosen]
        drawn, said = await in_thread(self._requests, made)
        self._body.clear()
        with self._body:
            for warning in made.report.warnings:
                notice(warning, "warn")
            _latencies(made.report)
            with element("div", "grid two"):
                _client(made.report)
                _server(made.report)
            _accelerators(made.report)
            text("h3", "Requests one by one")
            if drawn is None:
                text("div", said, "muted")
                return
            query = f"phase={made.phase}&point={made.point}&repeat={made.repeat}"
            chart(drawn.option, f"Timeline of requests. {drawn.caption}").classes("tall")
            with element("div", "row small"):
                text("span", drawn.caption, "muted")
                address = f"/api/v1/studies/{self._record.id}/trials/{self._trial.number}/records?{query}"
                ui.link("Records of all requests (JSON lines, gzip)", address)

    def _requests(self, made: Measurement) -> tuple[Any, str]:
        try:
            path = records_file(self._record.id, self._trial.number, made)
            requests, total = first_requests(path, MOST_REQUESTS)
        except ServelabError as error:
            return None, f"{error.message[:1].upper()}{error.message[1:]}. {error.remedy}"
        return timeline(requests, total, self._colours), ""


def _latencies(report: Report) -> None:
    rows = []
    for name, told in NAMES.items():
        values = [(f"{name}_{statistic}", report.metrics.get(f"{name}_{statistic}")) for statistic in STATISTICS]
        if any(value is not None for _, value in values):
            rows.append((told, *(_cell(report, metric, value) for metric, value in values)))
    if rows:
        table(("latency", *STATISTICS), rows, numbers=range(1, 1 + len(STATISTICS)))
        text("div", "In brackets: 95 % confidence intervals, where the sample is large enough for one.", "small muted")


def _cell(report: Report, name: str, value: float | None) -> str:
    if name not in report.intervals:
        return format_metric(name, value)
    low, high = report.intervals[name]
    return f"{format_metric(name, value)} ({format_metric(name, low)} to {format_metric(name, high)})"


def _client(report: Report) -> None:
    health = report.client
    rows = [("verdict", health.verdict), *(("reason", reason) for reason in health.reasons)]
    rows += [("requests in flight", f"{report.metrics['concurrency']:.3g}")] if "concurrency" in report.metrics else []
    rows += [("share of a core", f"{health.cpu:.0%}")] if health.cpu is not None else []
    rows += [("lag of its loop, p99", _ms(health.loop_lag_p99))] if health.loop_lag_p99 is not None else []
    if health.asked_rate is not None and health.achieved_rate is not None:
        rows.append(("rate", f"{health.achieved_rate:.3g} of {health.asked_rate:.3g} req/s"))
    rows += [(f"failed: {kind}", f"{count:,} requests") for kind, count in report.errors.items()]
    provenance = report.provenance
    rows += [("harness", f"{provenance.harness} {provenance.harness_version}"), ("seed", str(provenance.seed))]
    with element("div", "stack tight"):
        text("h3", "Load generator")
        facts(rows)


def _server(report: Report) -> None:
    with element("div", "stack tight"):
        text("h3", "Server, by its own metrics")
        if report.server:
            facts([(name.replace("_", " "), f"{value:,.6g}") for name, value in report.server.items()])
        else:
            text("div", "The engine has none, or they could not be read.", "muted")
        machine = report.provenance.machine
        if machine:
            text("h3", "Machine")
            facts([(name.replace("_", " "), str(value)) for name, value in machine.items()])


def _accelerators(report: Report) -> None:
    if not report.accelerators:
        return
    text("h3", "Accelerators")
    rows = [
        (
            f"{used.name} ({used.id})",
            "-" if used.utilization is None else f"{used.utilization:.0%}",
            f"{used.memory_used_max / 2**30:.1f} of {used.memory / 2**30:.1f} GiB",
            "-" if used.power is None else f"{used.power:.0f} W",
            "-" if used.temperature_max is None else f"{used.temperature_max:.0f} °C",
        )
        for used in report.accelerators
    ]
    names = ("accelerator", "busy, mean", "memory, most", "power, mean", "temperature, most")
    table(names, rows, numbers=(1, 2, 3, 4))


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms"
