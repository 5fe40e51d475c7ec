"""Who works on what: claims on trials, the right to add trials, and accelerators, all with a lease."""

from __future__ import annotations

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, not_, or_, select, text, update

from servelab.spec.errors import NotFoundError, StoreError
from servelab.store.tables import devices, events, studies, trials

if TYPE_CHECKING:  # see store.py
    from servelab.spec.trial import Trial

Choose = Callable[[Sequence[str], int], tuple[str, ...]]
"""Chooses so many of the free accelerators."""

LIST_THEM, START_ONE = "List them: servelab status", "Start with: servelab quickstart"
"""What to do about a study that is not there, at the command line; and where there is none at all."""

LEASE = 60.0  # seconds a claim holds without a sign of life


class Claims(ABC):
    """The part of the store that keeps workers out of each other's way.

    Leases are counted on a clock that nobody sets: the database's for PostgreSQL, and for SQLite, which only
    one machine uses, that machine's monotonic clock. A lease that ends later than a whole lease from now was
    written before a reboot or a step of the clock, and counts as expired.
    """

    @abstractmethod
    def _writing(self) -> contextlib.AbstractContextManager[Connection]: ...

    def claim(self, study_id: str, worker: str) -> Trial | None:
        """Claim the first trial that waits, or whose worker's lease has run out; None when there is none."""
        with self._writing() as connection:
            now = lease_clock(connection)
            free = or_(
                trials.c.state == "waiting", and_(trials.c.state == "running", expired(trials.c.lease_until, now))
            )
            query = select(trials).where(trials.c.study == study_id, free).order_by(trials.c.number).limit(1)
            row = connection.execute(query.with_for_update(skip_locked=True)).one_or_none()
            if row is None:
                return None
            mine = and_(trials.c.study == study_id, trials.c.number == row.number)
            changes = {"state": "running", "worker": worker, "lease_until": now + LEASE, "attempts": row.attempts + 1}
            connection.execute(update(trials).where(mine).values(changes))
            self._append(connection, study_id, row.number, "claimed", {"worker": worker})
        return self.trial(study_id, row.number)

    @abstractmethod
    def trial(self, study_id: str, number: int) -> Trial:
        """One trial with its measurements."""

    def heartbeat(self, study_id: str, number: int, worker: str) -> bool:
        """Renew the lease on a trial and on its accelerators; False when another worker has taken the trial."""
        with self._writing() as connection:
            until = lease_clock(connection) + LEASE
            renewed = connection.execute(
                update(trials).where(_held(study_id, number, worker)).values(lease_until=until)
            )
            connection.execute(update(devices).where(devices.c.worker == worker).values(lease_until=until))
            return renewed.rowcount == 1

    def release(self, study_id: str, number: int, worker: str) -> None:
        """Give a claimed trial back; does nothing when it is not held."""
        with self._writing() as connection:
            given = {"state": "waiting", "worker": None, "lease_until": None}
            released = connection.execute(update(trials).where(_held(study_id, number, worker)).values(given))
            if released.rowcount:
                self._append(connection, study_id, number, "released", {})

    def release_dead(self, study_id: str, is_dead: Callable[[str], bool]) -> None:
        """Give back at once what workers held that are known to be dead, instead of waiting for their leases."""
        with self._writing() as connection:
            held = select(trials.c.number, trials.c.worker).where(
                trials.c.study == study_id, trials.c.state == "running"
            )
            given = {"state": "waiting", "worker": None, "lease_until": None}
            released = [
                (number, worker)
                for number, worker in connection.execute(held.order_by(trials.c.number)).all()
                if worker
                and is_dead(worker)
                and connection.execute(update(trials).where(_held(study_id, number, worker)).values(given)).rowcount
            ]
            suggester = connection.scalar(select(studies.c.suggester).where(studies.c.id == study_id))
            if suggester and is_dead(suggester):
                held_by_it = and_(studies.c.id == study_id, studies.c.suggester == suggester)
                connection.execute(update(studies).where(held_by_it).values(suggester=None))
            for (worker,) in connection.execute(select(devices.c.worker).where(devices.c.study == study_id)).all():
                if is_dead(worker):
                    connection.execute(delete(devices).where(devices.c.worker == worker))
            for number, worker in released:
                self._append(connection, study_id, number, "released", {"worker": worker})

    def _require_claim(self, connection: Connection, study_id: str, number: int, worker: str) -> None:
        query = select(trials.c.number).where(_held(study_id, number, worker)).with_for_update()
        if connection.execute(query).one_or_none() is None:
            raise StoreError(
                f"trial {number} of {study_id} is no longer this worker's",
                "Another worker took it over, since this one gave no sign of life; its result counts. "
                f"Go on with: servelab resume {study_id}",
            )

    @contextlib.contextmanager
    def suggesting(self, study_id: str, worker: str) -> Iterator[bool]:
        """Hold the right to add trials to a study; yields False when another worker has it.

        A worker that dies with it loses it after a lease.
        """
        with self._writing() as connection:
            now = lease_clock(connection)
            free = or_(
                studies.c.suggester.is_(None), studies.c.suggester == worker, expired(studies.c.suggester_until, now)
            )
            values = {"suggester": worker, "suggester_until": now + LEASE}
            taken = connection.execute(update(studies).where(studies.c.id == study_id, free).values(values))
            held = taken.rowcount == 1
        try:
            yield held
        finally:
            if held:
                with self._writing() as connection:
                    mine = and_(studies.c.id == study_id, studies.c.suggester == worker)
                    connection.execute(update(studies).where(mine).values(suggester=None, suggester_until=None))

    def acquire_devices(
        self,
        study_id: str,
        number: int,
        worker: str,
        pool: Sequence[str],
        count: int,
        choose: Choose = lambda free, count: tuple(free[:count]),
    ) -> tuple[str, ...] | None:
        """Lease ``count`` accelerators of ``pool`` for a trial, all or none; ``choose`` says which of the free ones."""
        with self._writing() as connection:
            self._lock_devices(connection)
            now = lease_clock(connection)
            connection.execute(delete(devices).where(expired(devices.c.lease_until, now)))
            taken = set(connection.scalars(select(devices.c.device).where(devices.c.device.in_(pool))))
            free = [device for device in pool if device not in taken]
            if len(free) < count:
                return None
            chosen = choose(free, count)
            lease = {"study": study_id, "trial": number, "worker": worker, "lease_until": now + LEASE}
            connection.execute(insert(devices), [{"device": device, **lease} for device in chosen])
            return chosen

    def leased_devices(self) -> frozenset[str]:
        """The accelerators that trials hold now, of whichever study."""
        with self._writing() as connection:
            alive = not_(expired(devices.c.lease_until, lease_clock(connection)))
            return frozenset(connection.scalars(select(devices.c.device).where(alive)))

    def release_devices(self, study_id: str, number: int, worker: str) -> None:
        """Give back the accelerators that a worker holds for a trial."""
        with self._writing() as connection:
            connection.execute(
                delete(devices).where(
                    devices.c.study == study_id, devices.c.trial == number, devices.c.worker == worker
                )
            )

    def _lock_study(self, connection: Connection, study_id: str) -> None:
        """Keep others from numbering trials of this study until the transaction ends.

        Raises:
            NotFoundError: there is no such study.
        """
        query = select(studies.c.id).where(studies.c.id == study_id).with_for_update()
        if connection.execute(query).one_or_none() is None:
            raise no_study(study_id)

    def _lock_devices(self, connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            connection.execute(text("LOCK TABLE devices IN EXCLUSIVE MODE"))

    def _append(
        self, connection: Connection, study_id: str, trial: int | None, kind: str, data: Mapping[str, Any]
    ) -> None:
        """Add an event. Ids must become visible in order, or a reader that remembers the last would miss one.

        The lock is kept until the transaction ends, so append when every row is locked: two transactions that
        lock rows and events in different orders wait for each other.
        """
        if connection.dialect.name == "postgresql":
            connection.execute(text("LOCK TABLE events IN EXCLUSIVE MODE"))
        row = {"study": study_id, "trial": trial, "time": time.time(), "kind": kind, "data": dict(data)}
        connection.execute(insert(events).values(row))


def no_study(study_id: str) -> NotFoundError:
    """What to raise for an id that no study has."""
    return NotFoundError(f"there is no study {study_id!r}", LIST_THEM)


def lease_clock(connection: Connection) -> float:
    """Seconds on the clock that leases are counted on."""
    if connection.dialect.name == "postgresql":
        return float(connection.scalar(text("SELECT extract(epoch FROM clock_timestamp())")) or 0.0)
    return time.monotonic()


def expired(column: ColumnElement[Any], now: float) -> ColumnElement[bool]:
    """Whether a lease that ends at ``column`` does not hold any more."""
    return or_(column.is_(None), column < now, column > now + LEASE + 1)


def _held(study_id: str, number: int, worker: str) -> ColumnElement[bool]:
    return and_(
        trials.c.study == study_id,
        trials.c.number == number,
        trials.c.state == "running",
        trials.c.worker == worker,
    )
