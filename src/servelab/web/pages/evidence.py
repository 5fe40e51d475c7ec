"""The evidence for a verdict, as tables: default against chosen, each SLO in each round, what failed."""

from __future__ import annotations

from nicegui import ui

from servelab.report.digest import Digest
from servelab.report.rows import comparisons, gain_cells
from servelab.report.standing import SLOCheck, Standing
from servelab.report.words import count, parameters_text, percent
from servelab.spec.metrics import format_metric
from servelab.web.chosen import MOST, Choice, address
from servelab.web.pages.frame import heading
from servelab.web.pages.parts import Cell, element, table, text


def evidence(found: Digest) -> None:
    """The tables there are."""
    verdict = found.verdict
    if comparisons(found):
        with element("section", "card stack"):
            with element("div", "head"):
                heading("The default against the chosen configuration", "h2").classes("grow")
                ui.link("All metrics, with their distributions", address(_behind(found)))
            _against_default(found)
    if verdict.standings:
        with element("section", "card stack"):
            heading("Measured again, in turn", "h2")
            text("p", _HOW, "muted")
            _standings(found)
            if found.study.constraints:
                _checks(found)


def _behind(found: Digest) -> list[Choice]:
    """The trials whose measurements the table shows: the re-tests, of as many rounds as can be compared at once."""
    chosen: list[int] = []
    for number in (found.verdict.default, found.verdict.trial):
        again = [trial.number for trial in found.trials if trial.verifies == number and trial.state == "complete"]
        chosen += again[: MOST // 2] or ([number] if number is not None else [])
    return [Choice(found.record.id, number) for number in chosen]


_HOW = (
    "The default and the best few were deployed and measured again round by round, so that a drift of the machine "
    "favours none. The verdict rests on these measurements only."
)


def _against_default(found: Digest) -> None:
    rows = [
        (
            Cell(row.metric, note=row.title),
            _kept(row.default, row.default_breaks),
            _kept(row.chosen, row.chosen_breaks),
            row.change,
            row.bound or "-",
        )
        for row in comparisons(found)
    ]
    names = ("Metric", "Default", f"Trial {found.verdict.trial}", "Change", "SLO")
    table(names, rows, numbers=(1, 2, 3, 4), caption="The default against the chosen configuration")


def _kept(value: str, broken: bool) -> Cell:
    return Cell(value, "bad", "breaks the SLO") if broken else Cell(value)


def _standings(found: Digest) -> None:
    objective = found.study.objectives[0]
    rows = []
    for standing in found.verdict.standings:
        gain, interval = ("-", "") if standing.is_default else gain_cells(found, standing)
        rows.append(
            (
                _name(found, standing),
                format_metric(objective.metric, standing.value),
                Cell(gain, note=interval),
                ", ".join(format_metric(objective.metric, value) for value in standing.values) or "-",
                _state(standing),
            )
        )
    names = ("Configuration", objective.metric, "Gain, 95 % interval", "In each round", "Result")
    table(names, rows, numbers=(1, 2, 3), caption="Configurations that were measured again")


def _name(found: Digest, standing: Standing) -> Cell:
    name = f"trial {standing.trial}" + (" (default)" if standing.is_default else "")
    return Cell(
        name, note=parameters_text(standing.parameters), link=f"/studies/{found.record.id}/trials/{standing.trial}"
    )


def _state(standing: Standing) -> Cell:
    if standing.failures:
        return Cell("failed", "bad", standing.failures[0])
    if standing.doubts:
        more = f", and {len(standing.doubts) - 1} more like it" if len(standing.doubts) > 1 else ""
        return Cell("in doubt", "warn", standing.doubts[0] + more)
    broken = max((check.broken_rounds for check in standing.slo), default=0)
    if broken:
        return Cell("breaks the SLO", "bad", f"in {broken} of {count(len(standing.rounds), 'round')}")
    return Cell("keeps every SLO" if standing.slo else "ran in every round", "good")


def _checks(found: Digest) -> None:
    heading("Every SLO in every round", "h3")
    rounds = max(len(standing.rounds) for standing in found.verdict.standings)
    rows = []
    for standing in found.verdict.standings:
        name = f"trial {standing.trial}" + (" (default)" if standing.is_default else "")
        for check in standing.slo:
            values = [_value(check, value) for value in check.values] + ["-"] * (rounds - len(check.values))
            risk = "-" if check.risk is None else percent(check.risk)
            rows.append(
                (
                    Cell(name, "unbroken"),
                    Cell(str(check.constraint), "unbroken"),
                    *values,
                    _value(check, check.overall),
                    risk,
                )
            )
    names = ("Configuration", "SLO", *(f"Round {n + 1}" for n in range(rounds)), "All rounds", "Risk")
    table(names, rows, numbers=tuple(range(2, rounds + 4)), caption="Every SLO in every round")
    text("p", "Risk: the estimated chance that one more run breaks the SLO.", "small muted")


def _value(check: SLOCheck, value: float | None) -> str | Cell:
    said = format_metric(check.constraint.metric, value)
    return Cell(said, "bad", "missed") if value is not None and check.constraint.violation(value) > 0 else said


def failures(found: Digest) -> None:
    """What failed, by cause, each with its remedy."""
    if not found.failures:
        return
    with element("section", "card stack"):
        heading("What failed", "h2")
        rows = []
        for group in found.failures:
            number = group.trials[0]
            more = f" and {len(group.trials) - 1} more" if len(group.trials) > 1 else ""
            trial = Cell(f"trial {number}{more}", link=f"/studies/{found.record.id}/trials/{number}")
            rows.append((trial, group.kind.replace("_", " "), Cell(group.message, note=group.remedy)))
        table(("Trial", "Cause", "What it says, and what helps"), rows, caption="What failed")
