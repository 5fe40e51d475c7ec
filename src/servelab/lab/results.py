"""Write the report of a study where the person looks for it."""

from __future__ import annotations

from pathlib import Path

from servelab.report.write import write_report
from servelab.spec.trial import StudyRecord
from servelab.store.store import Store


def results_directory(study_id: str) -> Path:
    """The default place of a report: below the current directory."""
    return Path("servelab-results") / study_id


def finish_report(store: Store, record: StudyRecord, directory: Path) -> tuple[Path, ...]:
    """Write report.html, report.json, trials.csv and the recommendation; returns the files, the page first.

    Raises:
        ServelabError: the directory cannot be written.
    """
    return write_report(record, store.trials(record.id, with_reports=True), directory)
