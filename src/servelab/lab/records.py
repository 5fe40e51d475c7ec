"""Find and read what was written down of the single requests of a measurement."""

from __future__ import annotations

import gzip
import itertools
import json
import zlib
from pathlib import Path
from typing import Any, NamedTuple

from servelab.lab.paths import measurement_directory, trial_directory
from servelab.spec.errors import NotFoundError, StoreError
from servelab.spec.trial import Measurement

READ = 20_000  # lines at most: whoever draws requests cannot show more


class Request(NamedTuple):
    """One request; times in seconds since the measurement began, None for what never came."""

    intended: float
    sent: float
    first: float | None
    end: float
    error: str | None
    prompt_tokens: int
    output_tokens: int


def records_file(study_id: str, number: int, made: Measurement) -> Path:
    """The file with the records of a measurement on this machine.

    Raises:
        NotFoundError: the measurement has none, or was made elsewhere.
    """
    place = measurement_directory(trial_directory(study_id, number), made.phase, made.point, made.repeat)
    name = made.report.records
    if not name or Path(name).name != name or not (place / name).is_file():
        raise NotFoundError(
            f"trial {number} of {study_id} has no records of its requests on this machine",
            "They stay where it was measured, and not every harness writes them.",
        )
    return place / name


def first_requests(path: Path, most: int) -> tuple[list[Request], int]:
    """The first requests of a measurement by the time they were meant to be sent, and how many were read.

    Raises:
        StoreError: the file cannot be read.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            found = [_request(json.loads(line)) for line in itertools.islice(lines, READ)]
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"the records in {path} cannot be read: {error}", "The file may be cut short.") from error
    found.sort(key=lambda request: request.intended)
    return found[:most], len(found)


def _request(line: dict[str, Any]) -> Request:
    end = line["last"] if line["last"] is not None else line["end"]
    prompt, output = line["prompt_tokens"], line["output_tokens"]
    return Request(line["intended"], line["sent"], line["first"], end, line["error"], prompt, output)
