"""What a study concludes: the sentence, the default against the best, and where to go from there."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from servelab.report.digest import Digest
from servelab.report.rows import comparisons
from servelab.spec.trial import StudyRecord
from servelab.store.views import TrialPoint
from servelab.web.context import Context
from servelab.web.judging import judged, version
from servelab.web.pages.frame import heading
from servelab.web.pages.parts import element, notice, table, text

TONES = {"winner": "good", "baseline_infeasible_winner": "good", "best": "good", "no_gain": "note", "no_goal": "note"}


class Answer:
    """The answer so far."""

    def __init__(self, context: Context, record: StudyRecord) -> None:
        self._context = context
        self._shown: Digest | None = None
        with element("section", "card stack") as self._card:
            with element("div", "head"):
                heading("Answer", "h2").classes("grow")
                self._link = ui.link("Recommendation: what to run", f"/studies/{record.id}/recommendation")
            self._sentence = notice("")
            self._cautions = text("div", "", "small muted")
            self._table = element("div")
        self._card.set_visibility(False)

    def show_at_hand(self, record: StudyRecord, points: Sequence[TrialPoint]) -> None:
        """Show what was worked out for somebody else, if it is good still."""
        found = self._context.shared.at_hand(("answer", record.id), version(record, points))
        if found is not None:
            self._show(found)

    async def refresh(self, record: StudyRecord, points: Sequence[TrialPoint]) -> None:
        """Judge the study, when it rests or every so often."""
        if version(record, points)[1]:
            self._show(await judged(self._context, record, points))

    def _show(self, found: Digest) -> None:
        if found is self._shown:
            return
        self._shown = found
        verdict = found.verdict
        self._card.set_visibility(True)
        self._link.set_visibility(verdict.trial is not None)
        self._sentence.set_text(verdict.sentence)
        self._sentence.classes(replace=f"notice {TONES.get(verdict.kind, 'warn')}")
        self._cautions.set_text(" ".join(verdict.cautions))
        self._table.clear()
        rows = comparisons(found)
        if rows:
            names = ("metric", "default", f"trial {verdict.trial}", "change", "SLO")
            cells = [(row.metric, row.default, row.chosen, row.change, row.bound) for row in rows]
            with self._table:
                table(names, cells, numbers=(1, 2, 3, 4))
