"""What live views read, again and again: cheap with ten thousand trials."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, and_, func, select

from servelab.store.tables import events, trials

if TYPE_CHECKING:  # see store.py
    from servelab.spec.base import Parameters
    from servelab.spec.trial import TrialKind, TrialState


class TrialPoint(NamedTuple):
    """A trial without its measurements: what a table or a plot of many trials shows of it."""

    number: int
    kind: TrialKind
    verifies: int | None
    state: TrialState
    parameters: Parameters
    outcome: Mapping[str, float]
    """Objectives and constraints by ``goal_key``, in SI units."""
    value: float | None
    feasible: bool | None
    note: str
    finished_at: float | None


_COLUMNS = ("number", "kind", "verifies", "state", "parameters", "outcome", "value", "feasible", "note", "finished_at")


class Views(ABC):
    """The part of the store that live views read."""

    @abstractmethod
    def _reading(self) -> contextlib.AbstractContextManager[Connection]: ...

    def points(self, study_id: str, numbers: Sequence[int] | None = None) -> list[TrialPoint]:
        """All trials of a study in order, or those of these numbers.

        What a failed one says is in its note.
        """
        where = trials.c.study == study_id
        if numbers is not None:
            where = and_(where, trials.c.number.in_(numbers))
        columns = [trials.c[name] for name in _COLUMNS]
        with self._reading() as connection:
            rows = connection.execute(select(*columns, trials.c.failure).where(where).order_by(trials.c.number)).all()
        return [TrialPoint(*row[:-1])._replace(note=_said(row.note, row.failure)) for row in rows]

    def last_event(self) -> int:
        """The id of the newest event; 0 in an empty store."""
        with self._reading() as connection:
            return connection.scalar(select(func.max(events.c.id))) or 0


def _said(note: str, failure: Mapping[str, object] | None) -> str:
    return str(failure["message"]) if failure else note
