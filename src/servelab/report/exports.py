"""A study as data: one JSON document, a table of trials, and each measurement in the standard format."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from servelab.report.digest import Digest, digest
from servelab.report.files import write_files
from servelab.report.rows import outcome
from servelab.report.summary import summary_data
from servelab.report.words import one_line
from servelab.spec.trial import StudyRecord, Trial

FORMAT = 1
"""Version of report.json's layout."""

_FORMULA_STARTS = ("=", "+", "-", "@")


def report_json(record: StudyRecord, trials: Sequence[Trial]) -> str:
    """Everything of a study: its document, verdict, recommendation, trials and measurements. SI units."""
    data = {
        "format": FORMAT,
        **summary_data(record, trials),
        "record": record.model_dump(mode="json"),
        "trials_data": [_trial_data(trial) for trial in trials],
    }
    return json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _trial_data(trial: Trial) -> dict[str, Any]:
    """A trial without the standard reports, which are files of their own in an export."""
    standard = {"measurements": {"__all__": {"report": {"standard"}}}}
    return trial.model_dump(mode="json", exclude=standard)


def trials_csv(found: Digest) -> str:
    """One row per trial: parameters and metrics as columns, seconds and tokens/s as they are.

    A metric is the mean over the trial's measurements. Text that a spreadsheet would take for a formula gets a
    leading apostrophe.
    """
    parameters = list(dict.fromkeys(name for trial in found.trials for name in trial.parameters))
    metrics = list(dict.fromkeys(name for t in found.trials for report in t.reports for name in report.metrics))
    fixed = ["trial", "kind", "verifies", "round", "state", "outcome", "requests", "errors", "trusted", "seconds"]
    stream = StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(
        [*fixed, *(f"param_{name}" for name in parameters), *metrics, "failure", "remedy", "note", "command"]
    )
    for trial in found.trials:
        table.writerow([_cell(value) for value in _row(found, trial, parameters, metrics)])
    return stream.getvalue()


def _row(found: Digest, trial: Trial, parameters: list[str], metrics: list[str]) -> list[Any]:
    reports, failure = trial.reports, trial.failure if trial.state == "failed" else None
    known = {name: [r.metrics[name] for r in reports if name in r.metrics] for name in metrics}
    return [
        *(trial.number, trial.kind, trial.verifies, trial.round, trial.state, outcome(found.study, trial)),
        sum(report.requests for report in reports),
        sum(sum(report.errors.values()) for report in reports),
        all(report.trusted for report in reports) if reports else None,
        round(trial.timings.total, 3),
        *(trial.parameters.get(name) for name in parameters),
        *(sum(known[name]) / len(known[name]) if known[name] else None for name in metrics),
        failure.message if failure else None,
        failure.remedy if failure else None,
        trial.note,
        json.dumps(trial.command, ensure_ascii=False) if trial.command else None,
    ]


def _cell(value: Any) -> Any:
    """A value as a spreadsheet may read it: no formula, no Python spelling of true."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return value
    text = one_line(value)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def standard_reports(trials: Sequence[Trial]) -> Iterator[tuple[str, str]]:
    """File name and text of each measurement as llm-d Benchmark Report v0.2 (YAML)."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    for trial in trials:
        for made in trial.measurements:
            if made.report.standard:
                stream = StringIO()
                yaml.dump(made.report.standard, stream)
                name = f"trial-{trial.number:04d}-{made.phase}-{made.point}-{made.repeat}.yaml"
                yield f"benchmark-reports/{name}", stream.getvalue()


def export_texts(record: StudyRecord, trials: Sequence[Trial]) -> Iterator[tuple[str, str]]:
    """File name and text of trials.csv, report.json and a Benchmark Report v0.2 per measurement."""
    yield "trials.csv", trials_csv(digest(record, trials))
    yield "report.json", report_json(record, trials)
    yield from standard_reports(trials)


def export_study(record: StudyRecord, trials: Sequence[Trial], directory: Path) -> tuple[Path, ...]:
    """Write what ``export_texts`` gives.

    Raises:
        ServelabError: the directory cannot be written.
    """
    return write_files(directory, dict(export_texts(record, trials)))
