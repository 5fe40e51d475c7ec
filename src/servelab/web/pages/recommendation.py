"""What to serve with: the verdict, the evidence for it, what it costs, and every form of it."""

from __future__ import annotations

from nicegui import ui

from servelab.report.digest import Digest
from servelab.report.facts import study_facts
from servelab.report.next_steps import next_steps
from servelab.report.recommend import Recommendation, recommend_from, untested
from servelab.report.rows import gain_line, risk_line
from servelab.report.verdict import HEADLINES
from servelab.spec.errors import NotFoundError, ServelabError, StoreError
from servelab.spec.trial import StudyRecord
from servelab.web.context import Context
from servelab.web.judging import judged
from servelab.web.pages.cost import cost_card
from servelab.web.pages.evidence import evidence, failures
from servelab.web.pages.frame import frame, heading, in_thread, no_such_study, watch
from servelab.web.pages.parts import STATES, Tone, element, facts, lines, notice, simulated_sign, text
from servelab.web.pages.serving import serving
from servelab.web.pages.study_head import downloads

TONES: dict[str, Tone] = {"good": "good", "plain": "note", "caution": "warn", "bad": "bad"}
LATE = 5.0  # seconds: what is said may be a little old when the last event has come
SHOWN = ("Model", "Engine", "Workload", "Load", "Objective", "SLO", "Machine", "Measured by")


async def page(context: Context, study_id: str) -> None:
    """The page of one study's recommendation."""
    begun = context.live.last
    try:
        record = await in_thread(context.store.get_study, study_id)
    except NotFoundError as error:
        no_such_study(study_id, error)
        return
    with frame(f"Recommendation of {record.id}", "/"):
        shown = _Shown(context, record)
        await shown.refresh()
        watch(context, record.id, begun, shown.refresh, every=2.0)
        ui.timer(LATE, shown.refresh)


class _Shown:
    """The page, and what it was made of: made anew only when the verdict changes."""

    def __init__(self, context: Context, record: StudyRecord) -> None:
        self._context = context
        self._id = record.id
        self._said: tuple[object, ...] = ()
        with element("div", "head"):
            heading("Recommendation")
            ui.link(record.id, f"/studies/{record.id}")
            self._state = text("span", record.state, "state")
            simulated_sign(record.study)
            element("div", "grow")
            downloads(record.id)
        self._gone = notice("This study has been removed.", "warn")
        self._gone.set_visibility(False)
        self._body = element("div", "stack spread")

    async def refresh(self) -> None:
        """Show what has changed; a store that fails for a moment is read again soon."""
        try:
            await self._refresh()
        except NotFoundError:
            self._gone.set_visibility(True)
        except StoreError:
            pass

    async def _refresh(self) -> None:
        """Judge the study anew when it rests, or every so often while it runs."""
        record = await in_thread(self._context.store.get_study, self._id)
        self._state.set_text(record.state)
        self._state.classes(replace=f"state {STATES.get(record.state, '')}")
        points = await self._context.live.points(self._id)
        found = await judged(self._context, record, points)
        said = (record.state, found.verdict)
        if said != self._said:
            self._said = said
            self._body.clear()
            with self._body:
                _body(found)


def _body(found: Digest) -> None:
    try:
        advice = recommend_from(found)
    except ServelabError:
        advice = None
    _answer(found, advice)
    steps = next_steps(found)
    if steps:
        with element("section", "card stack"):
            heading("What to do next", "h2")
            lines(steps)
            ui.link("Write the next study from this one", f"/new?from={found.record.id}")
    failures(found)
    if advice is not None:
        serving(advice)
    evidence(found)
    with element("div", "grid two"):
        if found.reports and found.verdict.trial is not None:
            cost_card(found)
        with element("section", "card stack"):
            heading("What the measurements say nothing of", "h2")
            lines(untested(found))


def _answer(found: Digest, advice: Recommendation | None) -> None:
    verdict = found.verdict
    headline, tone = HEADLINES[verdict.kind]
    with element("section", f"card stack answer {TONES[tone]}"):
        heading(headline, "h2")
        text("p", verdict.sentence, "sentence")
        if advice is not None and advice.warning:
            notice(f"Before you serve with it: {advice.warning}.", "warn")
        if verdict.cautions:
            with element("div", "notice warn"):
                lines(verdict.cautions)
        said = [("Gain", gain_line(found)), ("Risk", risk_line(found))]
        said += [(name, value) for name, value in study_facts(found) if name in SHOWN]
        facts([(name, value) for name, value in said if value])
