"""The head of a study's page: state, progress, what happens now, and what can be done."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from servelab.report.words import load_text, workload_text
from servelab.spec.metrics import format_metric
from servelab.spec.study import Study
from servelab.spec.trial import StudyRecord
from servelab.store.rows import Summary
from servelab.store.views import TrialPoint, summarized
from servelab.web.context import Context
from servelab.web.now import doings
from servelab.web.overview import StudyLine, line_of
from servelab.web.pages.actions import ACTIONS, act, actions
from servelab.web.pages.frame import heading, in_thread
from servelab.web.pages.parts import STATES, element, notice, simulated_sign, text, when
from servelab.web.pages.study_devices import Devices


class Head:
    """The head; ``refresh`` shows it anew in place."""

    def __init__(self, context: Context, record: StudyRecord) -> None:
        self._context = context
        self._id = record.id
        with element("div", "head"):
            heading(record.id)
            self._state = text("span", record.state, "state")
            simulated_sign(record.study)
            element("div", "grow")
            self._buttons = {name: self._button(name) for name in ACTIONS}
            downloads(record.id)
        with element("section", "card stack tight"):
            self._progress = text("div", "", "progress")
            with element("div", "bar").props(f'role=progressbar aria-label="Progress of {record.id}"') as self._bar:
                self._share = element("i")
            self._now = text("div", "", "now muted")
            self.devices = Devices(context, record.id)
            _about(record)
        self._message = notice("", "warn")

    def _button(self, name: str) -> ui.button:
        async def clicked() -> None:
            if await act(self._context.store, name, self._id) and name == "Delete":
                ui.navigate.to("/")

        look = "flat" if name in ("Clone", "Delete", "Cancel") else "unelevated"
        return ui.button(name, on_click=clicked).props(f"{look} no-caps")

    async def refresh(self, record: StudyRecord, points: Sequence[TrialPoint]) -> None:
        """Show how far it is."""
        line = line_of(record, _summary(record.study, points))
        now = await in_thread(doings, self._context.store, record.id, record.state, points)
        self._state.set_text(record.state)
        self._state.classes(replace=f"state {STATES.get(record.state, '')}")
        self._share.style(f"width: {100 * line.share:.1f}%")
        self._bar.props(f"aria-valuemin=0 aria-valuemax=100 aria-valuenow={100 * line.share:.0f}")
        self._progress.set_text(_progress(line))
        self._now.set_text("  ·  ".join(now))
        self.devices.refresh(points)
        self._message.set_text(record.message)
        self._message.set_visibility(bool(record.message) and record.state in ("failed", "paused", "cancelled"))
        possible = actions(record.state)
        for name, button in self._buttons.items():
            button.set_visibility(name in possible)


def _summary(study: Study, points: Sequence[TrialPoint]) -> Summary:
    objective = next(iter(study.objectives), None)
    if objective is None:
        return summarized(points, "", True)
    return summarized(points, objective.metric, objective.direction == "maximize")


def _progress(line: StudyLine) -> str:
    """How far it is, in a sentence."""
    parts = [f"{line.done:,} of {line.planned:,} trials have ended"]
    parts += [f"{line.trials[state]:,} {word}" for state, word in _ENDED if line.trials.get(state)]
    if line.verifications:
        parts.append(f"{line.verified:,} of {line.to_verify:,} for verification")
    best = f"; best so far: {format_metric(line.objective, line.best)} {line.objective} (trial {line.best_trial})"
    return ", ".join(parts) + (best if line.best is not None else "") + "."


_ENDED = (("failed", "failed"), ("stopped", "stopped early"), ("running", "running"))


def _about(record: StudyRecord) -> None:
    study = record.study
    goals = [str(goal) for goal in study.goals]
    with element("div", "small muted"):
        text(
            "span", f"{study.model.name} on {study.engine.name}. {load_text(study)}. {workload_text(study.workload)}. "
        )
        if goals:
            text("span", f"Goal: {'; '.join(goals)}. ")
        text("span", "Created ")
        when(record.created_at)


_FILES = (
    ("Report (one page, HTML)", "report.html"),
    ("Trials (CSV)", "trials.csv"),
    ("Everything (JSON)", "export.json"),
    ("Everything, with Benchmark Reports (ZIP)", "export.zip"),
    ("The study itself (JSON)", "document"),
)


def downloads(study_id: str) -> None:
    """Everything of a study as files."""
    with ui.button("Download", icon="download").props("flat no-caps"), ui.menu():
        for name, path in _FILES:
            ui.menu_item(name, on_click=lambda path=path: ui.navigate.to(f"/api/v1/studies/{study_id}/{path}"))
