"""Which trials are compared, as an address says it: ``STUDY:NUMBER``, several with commas between."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from servelab.spec.errors import DocumentError
from servelab.spec.trial import StudyRecord, Trial
from servelab.store.store import Store

MOST = 8
"""Trials side by side: more are neither read nor told apart."""
PATTERN = r"^[a-z0-9][a-z0-9-]{0,63}:\d{1,9}$"


class Choice(NamedTuple):
    """A trial of a study."""

    study: str
    trial: int

    def __str__(self) -> str:
        return f"{self.study}:{self.trial}"


def read_choices(names: Iterable[str]) -> list[Choice]:
    """Trials by name, each once.

    Raises:
        DocumentError: a name is none, or there are too many.
    """
    found = []
    for name in dict.fromkeys(part.strip() for text in names for part in text.split(",") if part.strip()):
        if not re.fullmatch(PATTERN, name):
            raise DocumentError(
                (f"{name[:80]!r} names no trial",), "Write STUDY:NUMBER, for example quickstart-1a2b3:7"
            )
        study, _, number = name.rpartition(":")
        found.append(Choice(study, int(number)))
    if len(found) > MOST:
        raise DocumentError((f"{len(found)} trials are too many to compare",), f"Choose at most {MOST}.")
    return found


def address(choices: Iterable[Choice]) -> str:
    """The page that compares these."""
    names = ",".join(map(str, choices))
    return f"/compare?trials={names}" if names else "/compare"


def look_up(store: Store, choices: Iterable[Choice]) -> list[tuple[StudyRecord, Trial]]:
    """The trials with their measurements.

    Raises:
        NotFoundError: there is no such study or trial.
    """
    records = {study: store.get_study(study) for study in dict.fromkeys(choice.study for choice in choices)}
    return [(records[choice.study], store.trial(records[choice.study].id, choice.trial)) for choice in choices]
