"""Write the report of a study where the person looks for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from servelab.lab.paths import measurement_directory, trial_directory
from servelab.perf.blis_trace import trace_header, trace_rows
from servelab.report.write import write_report
from servelab.spec.errors import DocumentError
from servelab.spec.trial import StudyRecord, Trial
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


def write_traces(record: StudyRecord, trials: Sequence[Trial], directory: Path) -> Iterator[Path]:
    """Write the requests of each full measurement as a trace pair of BLIS; yields the files.

    Raises:
        DocumentError: the records are not there, or the directory cannot be written.
    """
    for trial in trials:
        for one in trial.measurements:
            if one.phase != "full" or one.report.records is None:
                continue
            place = measurement_directory(trial_directory(record.id, trial.number), one.phase, one.point, one.repeat)
            name = f"trace-{trial.number}-{one.point}-{one.repeat}"
            rows = trace_rows(one.report, place / one.report.records, record.study.workload.prefix)
            pair = {".yaml": trace_header(one.report), ".csv": rows}
            for ending, text in pair.items():
                path = directory / f"{name}{ending}"
                try:
                    path.write_text(text, encoding="utf-8")
                except OSError as error:
                    raise DocumentError((f"cannot write {path}: {error.strerror or error}",)) from error
                yield path
