"""What live views read, again and again: cheap with ten thousand trials."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, and_, func, not_, select

from servelab.store.claims import LEASE, expired, lease_clock
from servelab.store.rows import Summary, event_from, summary_from
from servelab.store.tables import devices, events, studies, trials

if TYPE_CHECKING:  # see store.py
    from servelab.spec.base import Parameters
    from servelab.spec.trial import Event, TrialKind, TrialState


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


class Claim(NamedTuple):
    """A trial that a worker has claimed."""

    study: str
    trial: int
    worker: str
    silent: float | None
    """Seconds since the worker's last sign of life; None when its lease has run out."""


class Lease(NamedTuple):
    """An accelerator that a trial holds, by its machine and id."""

    device: str
    study: str
    trial: int
    worker: str


class Counts(NamedTuple):
    """How many there are of each state, over all studies."""

    studies: Mapping[str, int]
    trials: Mapping[str, int]


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

    def claims(self) -> list[Claim]:
        """Who works on what, over all studies."""
        columns = (trials.c.study, trials.c.number, trials.c.worker, trials.c.lease_until)
        query = select(*columns).where(trials.c.state == "running", trials.c.worker.is_not(None))
        with self._reading() as connection:
            now = lease_clock(connection)
            rows = connection.execute(query.order_by(trials.c.study, trials.c.number)).all()
        return [Claim(study, number, worker, _silent(until, now)) for study, number, worker, until in rows]

    def leases(self) -> list[Lease]:
        """Which accelerators trials hold now."""
        columns = (devices.c.device, devices.c.study, devices.c.trial, devices.c.worker)
        with self._reading() as connection:
            alive = not_(expired(devices.c.lease_until, lease_clock(connection)))
            rows = connection.execute(select(*columns).where(alive).order_by(devices.c.device)).all()
        return [Lease(*row) for row in rows]

    def counts(self) -> Counts:
        """Studies and trials by state."""
        with self._reading() as connection:
            found = [
                connection.execute(select(table.c.state, func.count()).group_by(table.c.state)).all()
                for table in (studies, trials)
            ]
        of_studies, of_trials = ({str(state): int(count) for state, count in rows} for rows in found)
        return Counts(of_studies, of_trials)

    def latest(self, study_id: str, numbers: Sequence[int]) -> dict[int, Event]:
        """What happened last to each of these trials of a study."""
        mine = and_(events.c.study == study_id, events.c.trial.in_(numbers))
        last = select(func.max(events.c.id)).where(mine).group_by(events.c.trial)
        with self._reading() as connection:
            rows = connection.execute(select(events).where(events.c.id.in_(last))).all()
        return {row.trial: event_from(row) for row in rows}

    def newest_kinds(self, study_id: str, kinds: Sequence[str], limit: int) -> list[str]:
        """The kinds of a study's newest events of these kinds, the newest first."""
        query = select(events.c.kind).where(events.c.study == study_id, events.c.kind.in_(kinds))
        with self._reading() as connection:
            return list(connection.scalars(query.order_by(events.c.id.desc()).limit(limit)))

    def last_event(self) -> int:
        """The id of the newest event; 0 in an empty store."""
        with self._reading() as connection:
            return connection.scalar(select(func.max(events.c.id))) or 0


def _silent(until: float | None, now: float) -> float | None:
    """Seconds since a lease that ends at ``until`` was renewed."""
    alive = until is not None and now <= until <= now + LEASE + 1
    return max(0.0, LEASE - (until - now)) if alive and until is not None else None


def summarized(points: Sequence[TrialPoint], objective: str, maximize: bool) -> Summary:
    """``Store.summary`` of trials that are in memory."""
    counts = Counter((point.kind, point.state) for point in points)
    searched = (point for point in points if point.feasible and point.kind != "verification")
    known = [(point.value, point.number) for point in searched if point.value is not None]
    best = (max if maximize else min)(known, default=None)
    rows = [(kind, state, count) for (kind, state), count in counts.items()]
    return summary_from({"metric": objective}, rows, (best[1], best[0]) if best else None)


def _said(note: str, failure: Mapping[str, object] | None) -> str:
    return str(failure["message"]) if failure else note
