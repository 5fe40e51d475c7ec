"""Write the report of a study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from servelab.report.digest import Digest, digest
from servelab.report.exports import report_json, trials_csv
from servelab.report.files import write_files
from servelab.report.html import report_html
from servelab.report.offers import offers
from servelab.report.recommend import recommend_from
from servelab.spec.errors import ServelabError
from servelab.spec.trial import StudyRecord, Trial


def write_report(record: StudyRecord, trials: Sequence[Trial], directory: Path) -> tuple[Path, ...]:
    """Write report.html, report.json, trials.csv and the recommendation; returns the files, the page first.

    Raises:
        ServelabError: the directory cannot be written.
    """
    found = digest(record, trials)
    texts = {
        "report.html": report_html(found),
        "report.json": report_json(record, trials),
        "trials.csv": trials_csv(found),
    }
    return write_files(directory, texts | recommendation_files(found))


def recommendation_files(found: Digest) -> dict[str, str]:
    """File name and text of every form the recommendation has; empty when there is nothing to recommend."""
    try:
        advice = recommend_from(found)
    except ServelabError:
        return {}
    return {f"recommendation/{offer.file}": offer.text for offer in offers(advice) if offer.text is not None}
