"""A trial: what ran, how long each stage took, what was measured, and what the engine said."""

from __future__ import annotations

import shlex

from nicegui import ui

from servelab.report.rows import outcome, title
from servelab.report.words import duration, value_text
from servelab.spec.errors import NotFoundError
from servelab.spec.study import Study
from servelab.spec.trial import StudyRecord, Trial
from servelab.web.context import Context
from servelab.web.pages.frame import frame, heading, in_thread, watch
from servelab.web.pages.parts import (
    copy_button,
    element,
    empty,
    facts,
    notice,
    simulated_sign,
    state,
    table,
    text,
    when,
)
from servelab.web.pages.trial_log import show_log
from servelab.web.pages.trial_measured import show_measured

STAGES = (
    ("suggest", "choosing the configuration"),
    ("ready", "starting the engine"),
    ("measure", "measuring"),
    ("stop", "stopping the engine"),
)


async def page(context: Context, study_id: str, number: int) -> None:
    """The page of one trial."""
    begun = context.live.last
    try:
        record = await in_thread(context.store.get_study, study_id)
        trial = await in_thread(context.store.trial, record.id, number)
    except NotFoundError as error:
        with frame("No such trial", "/"):
            empty(error.message, "It may have been removed; the list has all studies there are.")
            ui.link("All studies", "/")
        return
    ui.add_head_html('<script src="/static/trials.js"></script>')
    with frame(f"Trial {number} of {record.id}", "/"):
        shown = _Shown(context, record, trial, len(await context.live.points(record.id)))
        await shown.fill(trial)
        if not trial.final:
            watch(context, record.id, begun, shown.refresh, every=1.0)


class _Shown:
    """What the page shows; built anew only when the trial has come further."""

    def __init__(self, context: Context, record: StudyRecord, trial: Trial, trials: int) -> None:
        self._trials = trials
        self._context = context
        self._record = record
        self._seen = _progress(trial)
        self._gone = notice("This study has been removed.", "warn")
        self._gone.set_visibility(False)
        self._body = element("div", "stack wide")

    async def refresh(self) -> None:
        """Show it anew when it has changed."""
        try:
            trial = await in_thread(self._context.store.trial, self._record.id, int(self._seen[0]))
        except NotFoundError:
            self._gone.set_visibility(True)
            return
        if _progress(trial) != self._seen:
            self._seen = _progress(trial)
            await self.fill(trial)

    async def fill(self, trial: Trial) -> None:
        """Everything about it."""
        study = self._record.study
        default = await in_thread(_default, self._context, self._record, trial)
        self._body.clear()
        with self._body:
            _head(self._record, trial, self._trials)
            with element("div", "grid two"):
                _configuration(study, trial, default)
                _command(study, trial)
            _timings(trial)
            await show_measured(self._record, trial)
            await show_log(self._record.id, trial.number)


def _progress(trial: Trial) -> tuple[int, str, int]:
    return (trial.number, trial.state, len(trial.measurements))


def _default(context: Context, record: StudyRecord, trial: Trial) -> Trial | None:
    """The default that it is compared with; the first trial, where there is one."""
    first = context.store.trials(record.id, numbers=[0])
    return first[0] if first and first[0].kind == "baseline" and first[0].number != trial.number else None


def _head(record: StudyRecord, trial: Trial, trials: int) -> None:
    address = f"/studies/{record.id}"
    with element("nav", "small").props('aria-label="Where this is"'):
        ui.link(record.id, address)
        text("span", " / trials")
    with element("div", "head"):
        heading(f"Trial {trial.number}")
        named = title(trial.kind, trial.verifies, trial.round)
        if named:
            text("span", named, "muted")
        state(trial.state)
        if trial.final and trial.reports:
            text("span", outcome(record.study, trial), "muted")
        simulated_sign(record.study)
        element("div", "grow")
        if trial.number:
            ui.link("Previous", f"{address}/trials/{trial.number - 1}")
        if trial.number + 1 < trials:
            ui.link("Next", f"{address}/trials/{trial.number + 1}")
        if trial.verifies is not None:
            ui.link(f"What it measures again: trial {trial.verifies}", f"{address}/trials/{trial.verifies}")
    if trial.failure is not None and trial.state == "failed":
        with element("section", "card stack"):
            notice(trial.failure.message, "bad")
            if trial.failure.remedy:
                text("div", f"What to do: {trial.failure.remedy}")
            text("div", f"It failed at this stage: {trial.failure.stage} ({trial.failure.kind.replace('_', ' ')}).")
            if trial.failure.evidence:
                text("pre", trial.failure.evidence, "text").props('tabindex=0 aria-label="What shows it"')
    elif trial.note:
        notice(trial.note, "warn" if trial.state == "stopped" else "note")


def _configuration(study: Study, trial: Trial, default: Trial | None) -> None:
    with element("section", "card stack"):
        heading("Configuration", "h2")
        others = default.parameters if default is not None else {}
        rows = []
        for name in dict.fromkeys((*study.changed, *trial.parameters)):
            mine = value_text(trial.parameters[name]) if name in trial.parameters else "engine's default"
            theirs = value_text(others[name]) if name in others else "engine's default"
            rows.append((name, mine, theirs, "yes" if mine != theirs else "no"))
        if default is None:
            table(("parameter", "value"), [row[:2] for row in rows], numbers=(1,))
        else:
            table(("parameter", "value", "default (trial 0)", "differs"), rows, numbers=(1, 2))
        if study.engine.arguments:
            text("div", "The same in every trial", "muted small")
            facts([(name, value_text(value)) for name, value in study.engine.arguments.items()])


def _command(study: Study, trial: Trial) -> None:
    command = shlex.join(trial.command)
    with element("section", "card stack"):
        head = element("div", "head")
        with head:
            heading("Command", "h2").classes("grow")
        if command:
            shown = text("pre", command, "text command").props('tabindex=0 aria-label="Command"')
            with head:
                copy_button(shown, "the command")
        else:
            text("div", "The engine has not been started yet, or nothing is started by a command here.", "muted")
        environment = [(name, value) for name, value in study.engine.environment.items()]
        environment += [(name, "taken from where servelab runs; not stored") for name in study.engine.environment_from]
        text("h3", "Environment")
        if environment:
            facts(environment)
        else:
            text("div", "Nothing beyond servelab's own.", "muted")


def _timings(trial: Trial) -> None:
    spent = {name: getattr(trial.timings, name) for name, _ in STAGES}
    whole = sum(spent.values())
    with element("section", "card stack tight"):
        heading("Time spent", "h2")
        if whole:
            with element("div", "stages").props('aria-hidden="true"'):
                for index, (name, _) in enumerate(STAGES):
                    element("i", f"stage-{index}").style(f"flex-grow: {spent[name] / whole:.4f}")
        with element("div", "row small"):
            for index, (name, said) in enumerate(STAGES):
                with element("span", "key"):
                    element("i", f"stage-{index}").props('aria-hidden="true"')
                    text("span", f"{said}: {duration(spent[name]) if spent[name] else '-'}")
            text("span", f"in all {duration(trial.timings.total)}" if trial.timings.total else "", "muted")
            if trial.attempts > 1:
                text("span", f"attempt {trial.attempts}", "muted")
            if trial.finished_at:
                text("span", "ended", "muted")
                when(trial.finished_at)
