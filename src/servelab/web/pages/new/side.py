"""What stands beside the form: whether it can be started, what it would do, and its YAML."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from servelab.catalog.written import document_text, short_name
from servelab.lab.doctor import examine_place
from servelab.lab.pace import Pace
from servelab.lab.plan import Plan, Planned
from servelab.report.words import count, duration, parameters_text
from servelab.spec.finding import Finding
from servelab.spec.study import Study
from servelab.web.pages.frame import heading, in_thread
from servelab.web.pages.parts import Text, Tone, copy_button, element, state, text
from servelab.web.preview import Preview

TONES: dict[str, tuple[str, Tone]] = {"ok": ("ok", "good"), "note": ("note", "note"), "problem": ("problem", "bad")}


class Side:
    """The panel; ``show`` says what is known now."""

    def __init__(self, start: Callable[[], Awaitable[None]]) -> None:
        self._study: Study | None = None
        with element("aside", "stack sticky").props('aria-label="What it would do"'):
            with element("section", "card stack"):
                self.start = ui.button("Start", icon="play_arrow", on_click=start).props("unelevated no-caps")
                self.start.set_enabled(False)
                self._verdict = text("div", "Being checked", "muted").props('role="status"')
                self._faults = element("ul", "faults")
            with element("section", "card stack"):
                heading("What it would do", "h2")
                self._stale = text(
                    "p", "From before the last changes; it is planned again once they are right.", "warn"
                )
                self._stale.visible = False
                self._plan = element("div", "stack")
            with element("section", "card stack"):
                heading("Before it starts", "h2")
                self._findings = element("div", "stack tight")
                self._far = element("div", "stack tight")
                self._check = ui.button("Check this machine", on_click=self._examine).props("outline no-caps")
            with element("section", "card stack"):
                with element("div", "head") as head:
                    heading("As YAML", "h2").classes("grow")
                self._yaml: Text = text("pre", "", "text")
                self._yaml.props('tabindex=0 aria-label="The study as YAML"')
                with head:
                    copy_button(self._yaml, "the YAML")
                    save = ui.button(icon="download", on_click=self._download)
                    save.props('flat round dense aria-label="Download the YAML"').tooltip("Download")

    def _download(self) -> None:
        name = self._study.name if self._study is not None else "study"
        ui.download.content(self._yaml.text, f"{name}.yaml")

    def show(self, found: Preview) -> None:
        """Show what was found out about a document."""
        self._yaml.set_text(found.text)
        self.start.set_enabled(found.ready)
        self._told(found)
        study = found.checked.study
        self._stale.visible = study is None and self._study is not None
        if study is None:
            self._plan.classes("stale")
            return  # so that nothing jumps while one types
        self._plan.classes(remove="stale")
        if study != self._study:
            self._far.clear()
        self._study = study
        self._plan.clear()
        with self._plan:
            if found.plan is not None:
                _planned(study, found.plan, found.pace)
            else:
                text("p", "It cannot be planned yet.", "muted")
        self._findings.clear()
        with self._findings:
            _findings(found.findings)

    def _told(self, found: Preview) -> None:
        self._said(found, len(found.faults))
        self._faults.clear()
        with self._faults:
            for fault in found.faults:
                text("li", fault.message, "bad")
            for warning in found.checked.warnings:
                text("li", warning, "warn")

    def _said(self, found: Preview, faults: int) -> None:
        """Whether it can be started, in a sentence."""
        problems = sum(finding.verdict == "problem" for finding in found.findings)
        name = _named(found.checked.study)
        said, tone = f"Ready to start: {name}.", "good"
        if faults:
            said, tone = f"{count(faults, 'thing')} to mend first", "bad"
        elif problems:
            said, tone = f"It may not run here, see {count(problems, 'problem')} below: {name}.", "warn"
        self._verdict.set_text(said)
        self._verdict.classes(replace=tone)

    async def _examine(self) -> None:
        if self._study is None:
            return
        self._check.props("loading")
        try:
            found = await in_thread(lambda study: list(examine_place(study)), self._study)
        finally:
            self._check.props(remove="loading")
        self._far.clear()
        with self._far:
            _findings(found)


def _named(study: Study | None) -> str:
    return f"{study.name}, {short_name(study.model.id)} on {study.engine.name}" if study is not None else ""


def _findings(found: Sequence[Finding]) -> None:
    for finding in found:
        said, tone = TONES[finding.verdict]
        with element("div", "finding"):
            text("span", said, f"state {tone}")
            with element("div"):
                text("span", f"{finding.check}: {finding.text}")
                if finding.remedy:
                    text("div", finding.remedy, "small muted")


def _planned(study: Study, plan: Plan, pace: Pace | None) -> None:
    with element("dl", "facts"):
        for name, value in facts(study, plan, pace):
            text("dt", name)
            text("dd", value)
    if study.simulated:
        state("simulated").set_text("The engine is simulated: nothing real is measured.")
    heading("It begins with", "h3")
    for number, planned in enumerate(plan.first):
        with ui.expansion(parameters_text(planned.parameters) or "the engine as it is", value=False).classes("more"):
            _how(planned, number)


def facts(study: Study, plan: Plan, pace: Pace | None) -> list[tuple[str, str]]:
    """What a study will cost, in words."""
    at_most = "at most " if plan.adaptive else ""
    again = f", then {plan.verification_trials} to verify the best" if plan.verification_trials else ""
    found = [
        ("Trials", f"{plan.trials}{again}"),
        ("Measurements", f"{at_most}{plan.measurements_per_trial} of each trial"),
        ("Time", how_long(study, plan, pace)),
    ]
    return found + ([("Foretold by", plan.prior)] if plan.prior else [])


def how_long(study: Study, plan: Plan, pace: Pace | None) -> str:
    """The time that it takes, as far as it is known."""
    if pace is not None:
        return f"about {duration(pace.seconds)}, as the trials of {pace.study} took {duration(pace.trial_seconds)} each"
    if plan.load_seconds is not None:
        return f"at most {max(1, round(plan.load_seconds / 60))} min under load; engine starts come on top"
    if study.budget.wall_time is not None:
        return f"the search ends after {study.budget.wall_time / 60:.3g} min; then the best are verified"
    why = "its load levels are found out" if plan.adaptive else "the load is given in requests"
    return f"depends on the engine's speed, as {why}"


def _how(planned: Planned, number: int) -> None:
    if planned.manifest is not None:
        shown, what = document_text(planned.manifest), "The manifest"
    else:
        shown, what = shlex.join(planned.command) or "(the server runs already)", "The command"
    if planned.image is not None and planned.manifest is None:
        text("div", f"in a container of {planned.image}", "small muted")
    text("pre", shown, "text wrapped").props(f'tabindex=0 aria-label="{what} of configuration {number + 1}"')
