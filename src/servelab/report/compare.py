"""Trials side by side, of one study or of several: differences, and whether they are beyond noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, variance
from typing import Literal

from pydantic import computed_field
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from servelab.report.blocks import LEVEL
from servelab.report.words import signed, value_text
from servelab.spec.base import Parameters, Spec, Value
from servelab.spec.errors import DocumentError
from servelab.spec.metrics import format_metric, metric, metric_names
from servelab.spec.trial import StudyRecord, Trial

Certainty = Literal["better", "worse", "within noise", "one measurement"]


class Column(Spec):
    """One of the trials compared."""

    study: str
    trial: int
    parameters: Parameters
    simulated: bool
    trusted: bool
    measurements: int


class Difference(Spec):
    """A metric of one trial against the first: ``change`` is new / old - 1, with its interval if it has one."""

    value: float | None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    certainty: Certainty | None = None


class MetricRow(Spec):
    """A metric at one load level in every trial."""

    metric: str
    load: str
    values: tuple[Difference, ...]


class ParameterRow(Spec):
    """A parameter in every trial; None where a trial leaves it to the engine."""

    name: str
    values: tuple[Value | None, ...]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def differs(self) -> bool:
        """Whether it is not the same in all trials."""
        return any(value != self.values[0] or type(value) is not type(self.values[0]) for value in self.values)


class ComparedTrials(Spec):
    """Trials side by side; the first is the reference."""

    columns: tuple[Column, ...]
    rows: tuple[MetricRow, ...]
    cautions: tuple[str, ...]

    @property
    def parameters(self) -> tuple[ParameterRow, ...]:
        """Every parameter that one of the trials sets; those that differ first."""
        names = dict.fromkeys(name for column in self.columns for name in column.parameters)
        rows = [ParameterRow(name=n, values=tuple(c.parameters.get(n) for c in self.columns)) for n in names]
        return tuple(sorted(rows, key=lambda row: not row.differs))

    @property
    def loads(self) -> tuple[str, ...]:
        """The load levels that two or more of them were measured at, in order."""
        shared = (row.load for row in self.rows if sum(one.value is not None for one in row.values) > 1)
        return tuple(dict.fromkeys(shared))


def compare_trials(chosen: Sequence[tuple[StudyRecord, Trial]]) -> ComparedTrials:
    """Compare trials with the first, load level by load level.

    Repeats of a level give Welch's interval for the difference of means of logarithms (ratios), without assuming
    equal variances; trials measured once have none, and then nothing is called better.

    Source: Welch, Biometrika 34, 1947.

    Raises:
        DocumentError: fewer than two trials, or a trial without measurements.
    """
    if len(chosen) < 2:
        raise DocumentError(("compare needs at least two trials",), "Write for example: servelab compare 0 7")
    for record, trial in chosen:
        if not trial.reports:
            raise DocumentError(
                (f"trial {trial.number} of {record.id} has no measurement ({trial.state})",),
                f"See which have: servelab report {record.id}",
            )
    rows = [_row(name, load, chosen) for load in _loads(chosen) for name in _metrics(chosen)]
    return ComparedTrials(
        columns=tuple(_column(record, trial) for record, trial in chosen),
        rows=tuple(row for row in rows if any(found.value is not None for found in row.values)),
        cautions=tuple(_cautions(chosen)),
    )


def _column(record: StudyRecord, trial: Trial) -> Column:
    return Column(
        study=record.id,
        trial=trial.number,
        parameters=trial.parameters,
        simulated=any(report.provenance.simulated for report in trial.reports),
        trusted=all(report.trusted for report in trial.reports),
        measurements=len(trial.reports),
    )


def _loads(chosen: Sequence[tuple[StudyRecord, Trial]]) -> list[str]:
    return list(dict.fromkeys(report.load.label for _, trial in chosen for report in trial.reports))


def _metrics(chosen: Sequence[tuple[StudyRecord, Trial]]) -> list[str]:
    """What all trials measured: throughputs first, then the latencies that people read."""
    common = set.intersection(*({n for r in trial.reports for n in r.metrics} for _, trial in chosen))
    usual = [n for n in metric_names() if n in common and not n.endswith(("_max", "_p90", "_p99"))]
    return sorted((n for n in usual if not n.startswith("schedule_delay")), key=lambda n: metric(n).unit == "s")


def _row(name: str, load: str, chosen: Sequence[tuple[StudyRecord, Trial]]) -> MetricRow:
    samples = [
        [report.metrics[name] for report in trial.reports if report.load.label == load and name in report.metrics]
        for _, trial in chosen
    ]
    return MetricRow(
        metric=name,
        load=load,
        values=(
            Difference(value=fmean(samples[0]) if samples[0] else None),
            *(_difference(name, samples[0], other) for other in samples[1:]),
        ),
    )


def _difference(name: str, old: list[float], new: list[float]) -> Difference:
    if not new:
        return Difference(value=None)
    value = fmean(new)
    if not old or min(*old, *new) <= 0:
        return Difference(value=value)
    logs_old, logs_new = [math.log(x) for x in old], [math.log(x) for x in new]
    change = math.expm1(fmean(logs_new) - fmean(logs_old))
    if len(old) < 2 or len(new) < 2:
        return Difference(value=value, change=change, certainty="one measurement")
    low, high = _welch(logs_old, logs_new)
    certain: Certainty = "within noise"
    if low > 0 or high < 0:
        certain = "better" if (low > 0) == (metric(name).direction == "maximize") else "worse"
    return Difference(value=value, change=change, low=math.expm1(low), high=math.expm1(high), certainty=certain)


def _welch(old: list[float], new: list[float]) -> tuple[float, float]:
    """Welch's interval for mean(new) - mean(old)."""
    from scipy.special import stdtrit

    a, b = variance(old) / len(old), variance(new) / len(new)
    gap = fmean(new) - fmean(old)
    if a + b == 0:
        return gap, gap
    freedom = (a + b) ** 2 / (a**2 / (len(old) - 1) + b**2 / (len(new) - 1))
    reach = float(stdtrit(freedom, (1 + LEVEL) / 2)) * math.sqrt(a + b)
    return gap - reach, gap + reach


def _cautions(chosen: Sequence[tuple[StudyRecord, Trial]]) -> list[str]:
    """Why these trials may not be comparable."""
    found = []
    studies = [record.study for record, _ in chosen]
    for what, values in {
        "models": {study.model.id for study in studies},
        "workloads": {study.workload.model_dump_json() for study in studies},
        "engines": {study.engine.name for study in studies},
        "harnesses": {study.harness.name for study in studies},
    }.items():
        if len(values) > 1:
            found.append(f"they differ in {what}")
    machines = {str(sorted(r.provenance.machine.items())) for _, trial in chosen for r in trial.reports}
    if len(machines) > 1:
        found.append("they were measured on different machines")
    if len({report.provenance.simulated for _, trial in chosen for report in trial.reports}) > 1:
        found.append("some come from the simulated engine")
    if any(len({r.load.label for r in trial.reports}) < len(trial.reports) for _, trial in chosen):
        found.append("repeats are of one deployment: what a restart changes does not show in the intervals")
    found += [
        f"trial {trial.number} of {record.id} has measurements that cannot be trusted"
        for record, trial in chosen
        if not all(report.trusted for report in trial.reports)
    ]
    return found


def print_comparison(found: ComparedTrials, console: Console) -> None:
    """Print trials side by side."""
    several = len({column.study for column in found.columns}) > 1
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for column in found.columns:
        name = f"trial {column.trial}" + (f"\n{column.study}" if several else "")
        table.add_column(escape(name), justify="right")
    for parameter in found.parameters:
        settings = ("-" if value is None else escape(value_text(value)) for value in parameter.values)
        table.add_row(parameter.name, *settings, style="" if parameter.differs else "dim")
    load = None
    for row in found.rows:
        if row.load != load:
            load = row.load
            table.add_row(f"\n[bold]{escape(load)}[/]")
        table.add_row(row.metric, *(_cell(row.metric, difference) for difference in row.values))
    console.print(table)
    for caution in found.cautions:
        console.print(f"[yellow]Note:[/] {escape(caution)}")
    if any(difference.certainty == "one measurement" for row in found.rows for difference in row.values):
        console.print("[dim]? measured once: the change may be noise. Use budget.repeats to know.[/]")


def _cell(name: str, found: Difference) -> str:
    text = format_metric(name, found.value)
    if found.change is None:
        return text
    style = {"better": "green", "worse": "red"}.get(found.certainty or "", "dim")
    mark = {"one measurement": " ?", "within noise": " ~"}.get(found.certainty or "", "")
    return f"{text} [{style}]{signed(found.change)}{mark}[/]"
