"""What is told of a document before anything starts."""

from __future__ import annotations

from dataclasses import dataclass

from servelab.catalog.written import study_text
from servelab.lab.doctor import examine_for
from servelab.lab.pace import Pace, known_pace
from servelab.lab.plan import Plan, make_plan
from servelab.lab.validate import Checked, check_document, fault_of
from servelab.spec.errors import Fault, ServelabError
from servelab.spec.finding import Finding
from servelab.store.store import Store

LONGEST = 200_000
"""Characters of a document: a study has some thousand, and its data lie in files of their own."""


@dataclass(frozen=True)
class Preview:
    """A document, checked; its YAML in short forms; and what the study in it would do, or why it could not."""

    checked: Checked
    text: str
    plan: Plan | None = None
    pace: Pace | None = None
    findings: tuple[Finding, ...] = ()
    trouble: ServelabError | None = None

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What is wrong with the document, or with what it would start."""
        return self.checked.faults if self.trouble is None else (fault_of(self.trouble),)

    @property
    def ready(self) -> bool:
        """Whether it can be started."""
        return self.checked.study is not None and self.trouble is None


def preview(store: Store, text: str) -> Preview:
    """Check a document and plan its study; asks nothing that is far away."""
    checked = check_document(text)
    study = checked.study
    if study is None:
        return Preview(checked, text)
    written = study_text(study)
    try:
        plan = make_plan(study)
        return Preview(checked, written, plan, known_pace(store, study, plan), tuple(examine_for(study)))
    except ServelabError as error:
        return Preview(checked, written, trouble=error)
