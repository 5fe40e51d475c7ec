"""Studies and trials in the database. Every change of state is one transaction."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platformdirs import user_data_path
from sqlalchemy import Connection, and_, delete, func, insert, not_, select, update
from sqlalchemy.exc import IntegrityError

from servelab.spec.errors import NotFoundError, StoreError
from servelab.store.claims import LIST_THEM, START_ONE, Claims, expired, lease_clock, no_study
from servelab.store.database import READS_ONLY, connect, parse_url, shown, translated
from servelab.store.rows import StudyRow, Summary, event_from, measurement_from, study_from, summary_from, trial_from
from servelab.store.tables import events, measurements, studies, trials
from servelab.store.views import Views

if TYPE_CHECKING:  # the vocabulary takes longer to import than `servelab status` may take in all
    from servelab.spec.deployment import Failure
    from servelab.spec.study import Study
    from servelab.spec.trial import Event, Measurement, StudyRecord, StudyState, Timings, Trial, TrialState

RESTING: tuple[StudyState, ...] = ("complete", "failed", "cancelled")
AT_WORK: tuple[StudyState, ...] = ("running", "verifying")
_STUDY = tuple(studies.c[name] for name in StudyRow._fields)


def default_location() -> str:
    """The store of this user: SERVELAB_STORE, or a file in SERVELAB_HOME or the user's data directory."""
    home = os.environ.get("SERVELAB_HOME")
    directory = Path(home) if home else user_data_path("servelab")
    return os.environ.get("SERVELAB_STORE") or str(directory / "servelab.db")


def open_store(url: str | None = None) -> Store:
    """Open the store at ``url`` (a SQLite path or a URL), or the user's own.

    Raises:
        StoreError: it cannot be opened, or was made by a newer servelab.
    """
    return Store(url or default_location())


class Store(Claims, Views):
    """The one truth about studies. Methods are short transactions and may be called from any thread.

    Every method raises StoreError when the database fails.
    """

    def __init__(self, url: str) -> None:
        self._url = parse_url(url)
        self._engine = connect(url)

    @property
    def location(self) -> str:
        """Where the store is, without any password."""
        return shown(self._url)

    @property
    def url(self) -> str:
        """What opens this store again; may hold a password: for a process's environment, never to be shown."""
        return self._url.render_as_string(hide_password=False)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Connection]:
        with translated(self._url), self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Connection]:
        with translated(self._url), self._engine.connect().execution_options(**{READS_ONLY: True}) as connection:
            yield connection

    # Studies

    def create_study(self, study: Study) -> StudyRecord:
        """Store a new study; its id is its name and five random characters."""
        study_id = f"{study.name[:44].rstrip('-')}-{secrets.token_hex(3)[:5]}"
        row = {
            "id": study_id,
            "name": study.name,
            "document": study.model_dump_json(),
            "state": "waiting",
            "message": "",
            "created_at": time.time(),
        }
        with self._writing() as connection:
            connection.execute(insert(studies).values(row))
            self._append(connection, study_id, None, "created", {})
        return self.get_study(study_id)

    def find_study(self, name: str = "") -> StudyRow:
        """A study without its document, by id, beginning of an id, or name; the last one for an empty name.

        Raises:
            NotFoundError: none, or several that begin so.
        """
        with self._reading() as connection:
            itself = connection.execute(select(*_STUDY).where(studies.c.id == name)).one_or_none()
        if itself is not None:  # whatever others are called
            return StudyRow(*itself)
        found = self.list_studies()
        if not found:
            raise NotFoundError(f"there are no studies in {self.location}", START_ONE)
        exact = [row for row in found if name in ("", row.name)]
        beginning = exact or [row for row in found if row.id.startswith(name)]
        if exact or len(beginning) == 1:
            return beginning[0]
        if beginning:
            raise NotFoundError(f"{name!r} begins {len(beginning)} studies", ", ".join(row.id for row in beginning[:5]))
        nearest = get_close_matches(name, [row.id for row in found], n=1, cutoff=0.4)
        hint = f"Did you mean {nearest[0]}? " if nearest else ""
        raise NotFoundError(f"there is no study {name!r} in {self.location}", f"{hint}{LIST_THEM}")

    def get_study(self, name: str = "") -> StudyRecord:
        """A study with its document; see find_study."""
        row = self.find_study(name)
        with self._reading() as connection:
            document = connection.scalar(select(studies.c.document).where(studies.c.id == row.id))
        if document is None:  # deleted in between
            raise no_study(row.id)
        return study_from(row, document)

    def list_studies(self) -> list[StudyRow]:
        """All studies without their documents, the newest first."""
        with self._reading() as connection:
            rows = connection.execute(select(*_STUDY).order_by(studies.c.created_at.desc(), studies.c.id))
            return [StudyRow(*row) for row in rows]

    def study_state(self, study_id: str) -> StudyState:
        """The state of a study, cheaply.

        Raises:
            NotFoundError: there is no such study.
        """
        with self._reading() as connection:
            state: StudyState | None = connection.scalar(select(studies.c.state).where(studies.c.id == study_id))
        if state is None:
            raise no_study(study_id)
        return state

    def set_study_state(self, study_id: str, state: StudyState, message: str) -> None:
        """Change the state of a study, saying why."""
        finished = time.time() if state in RESTING else None
        with self._writing() as connection:
            self._lock_study(connection, study_id)
            self._set_study_state(connection, study_id, state, message, finished)

    def delete_study(self, study_id: str) -> None:
        """Remove a study with its trials and measurements; a last event says so.

        Raises:
            StoreError: workers are on it.
            NotFoundError: there is no such study.
        """
        with self._writing() as connection:
            if self._at_work(connection, study_id):
                raise StoreError(f"study {study_id} is running", f"First: servelab cancel {study_id}")
            # When a study is paused, its running trials finish first.
            held = and_(trials.c.state == "running", not_(expired(trials.c.lease_until, lease_clock(connection))))
            number = connection.scalar(select(trials.c.number).where(trials.c.study == study_id, held).limit(1))
            if number is not None:
                raise StoreError(f"trial {number} of {study_id} is still running", "Wait until it has ended.")
            # First, for SQLite gives the ids of the newest rows again when they are gone.
            self._append(connection, study_id, None, "deleted", {})
            connection.execute(delete(events).where(events.c.study == study_id, events.c.kind != "deleted"))
            for table in (measurements, trials):
                connection.execute(delete(table).where(table.c.study == study_id))
            connection.execute(delete(studies).where(studies.c.id == study_id))

    def advance_study(self, study_id: str, state: StudyState, message: str) -> bool:
        """Change the state of a study at work; False, and no change, when a pause or cancel came first."""
        finished = time.time() if state in RESTING else None
        with self._writing() as connection:
            if not self._at_work(connection, study_id):
                return False
            self._set_study_state(connection, study_id, state, message, finished)
            return True

    def _at_work(self, connection: Connection, study_id: str) -> bool:
        """Whether the study is at work; holds it so until the transaction ends."""
        self._lock_study(connection, study_id)
        state = connection.scalar(select(studies.c.state).where(studies.c.id == study_id))
        return state in AT_WORK

    def _set_study_state(
        self, connection: Connection, study_id: str, state: StudyState, message: str, finished: float | None
    ) -> None:
        values = {"state": state, "message": message, "finished_at": finished}
        connection.execute(update(studies).where(studies.c.id == study_id).values(values))
        self._append(connection, study_id, None, state, {"message": message})

    # Trials

    def add_trials(
        self, study_id: str, new: Sequence[Trial], state: StudyState | None = None, message: str = ""
    ) -> bool:
        """Add trials in one transaction, numbered on from the last.

        With ``state``, the study changes to it too; then nothing is done, and False returned, when it is not at
        work any more.
        """
        with self._writing() as connection:
            if state is not None and not self._at_work(connection, study_id):
                return False
            self._lock_study(connection, study_id)
            last = connection.scalar(select(func.max(trials.c.number)).where(trials.c.study == study_id))
            for number, trial in enumerate(new, start=0 if last is None else last + 1):
                connection.execute(insert(trials).values(_new_row(study_id, number, trial)))
                self._append(connection, study_id, number, "added", {"kind": trial.kind})
            if state is not None:
                self._set_study_state(connection, study_id, state, message, None)
            return True

    def trials(self, study_id: str, with_reports: bool = False, numbers: Sequence[int] | None = None) -> list[Trial]:
        """All trials of a study in order, or those of these numbers; their measurements only if asked for."""
        where = trials.c.study == study_id
        if numbers is not None:
            where = and_(where, trials.c.number.in_(numbers))
        with self._reading() as connection:
            rows = connection.execute(select(trials).where(where).order_by(trials.c.number)).all()
            found = self._measurements(connection, study_id, numbers) if with_reports else {}
        return [trial_from(row, found.get(row.number, ())) for row in rows]

    def trial(self, study_id: str, number: int) -> Trial:
        """One trial with its measurements.

        Raises:
            NotFoundError: the study has no such trial.
        """
        with self._reading() as connection:
            row = connection.execute(
                select(trials).where(trials.c.study == study_id, trials.c.number == number)
            ).one_or_none()
            if row is None:
                raise NotFoundError(f"study {study_id} has no trial {number}", f"See: servelab status {study_id}")
            return trial_from(row, self._measurements(connection, study_id, [number]).get(number, ()))

    def _measurements(
        self, connection: Connection, study_id: str, numbers: Sequence[int] | None
    ) -> Mapping[int, tuple[Measurement, ...]]:
        query = select(measurements).where(measurements.c.study == study_id).order_by(measurements.c.created_at)
        if numbers is not None:
            query = query.where(measurements.c.trial.in_(numbers))
        found: dict[int, tuple[Measurement, ...]] = {}
        for row in connection.execute(query):
            found[row.trial] = (*found.get(row.trial, ()), measurement_from(row))
        return found

    def add_measurement(self, study_id: str, number: int, worker: str, measurement: Measurement) -> None:
        """Store a measurement of a claimed trial.

        Raises:
            StoreError: this place was measured already, or the worker has lost its claim.
        """
        row = {
            "study": study_id,
            "trial": number,
            "phase": measurement.phase,
            "point": measurement.point,
            "repeat": measurement.repeat,
            "report": measurement.report.model_dump_json(),
            "created_at": time.time(),
        }
        try:
            with self._writing() as connection:
                self._require_claim(connection, study_id, number, worker)
                connection.execute(insert(measurements).values(row))
                place = {name: row[name] for name in ("phase", "point", "repeat")}
                self._append(connection, study_id, number, "measured", place)
        except IntegrityError as error:
            raise StoreError(
                f"trial {number} of {study_id} was measured twice at the same place",
                f"The first measurement is kept. Go on with: servelab resume {study_id}",
            ) from error

    def finish_trial(
        self,
        study_id: str,
        number: int,
        worker: str,
        *,
        state: TrialState,
        timings: Timings,
        outcome: Mapping[str, float],
        failure: Failure | None = None,
        note: str = "",
        command: Sequence[str] = (),
        value: float | None = None,
        feasible: bool | None = None,
    ) -> None:
        """Make a claimed trial final.

        Raises:
            StoreError: the worker has lost its claim.
        """
        changes = {
            "state": state,
            "timings": timings.model_dump(),
            "outcome": dict(outcome),
            "failure": failure.model_dump() if failure else None,
            "note": note,
            "command": list(command),
            "value": value,
            "feasible": feasible,
            "finished_at": time.time(),
            "worker": None,
            "lease_until": None,
        }
        with self._writing() as connection:
            self._require_claim(connection, study_id, number, worker)
            connection.execute(
                update(trials).where(trials.c.study == study_id, trials.c.number == number).values(changes)
            )
            told = {
                "state": state,
                "failure": failure.message if failure else "",
                "note": note,
                "outcome": dict(outcome),
            }
            self._append(connection, study_id, number, "finished", told)

    def summary(self, study_id: str) -> Summary:
        """Counts, and the best feasible trial of the search, by queries that stay cheap with many trials."""
        with self._reading() as connection:
            document = connection.scalar(select(studies.c.document).where(studies.c.id == study_id))
            objectives = json.loads(document or "{}").get("objectives") or [{}]
            counts = connection.execute(
                select(trials.c.kind, trials.c.state, func.count())
                .where(trials.c.study == study_id)
                .group_by(trials.c.kind, trials.c.state)
            ).all()
            order = trials.c.value.desc() if objectives[0].get("direction") == "maximize" else trials.c.value.asc()
            eligible = and_(
                trials.c.study == study_id,
                trials.c.kind != "verification",
                trials.c.feasible.is_(True),
                trials.c.value.is_not(None),
            )
            best = connection.execute(
                select(trials.c.number, trials.c.value).where(eligible).order_by(order).limit(1)
            ).one_or_none()
        return summary_from(objectives[0], [tuple(row) for row in counts], tuple(best) if best else None)

    # Events

    def append_event(self, study_id: str, trial: int | None, kind: str, data: Mapping[str, Any]) -> None:
        """Record that something happened."""
        with self._writing() as connection:
            self._append(connection, study_id, trial, kind, data)

    def events(self, after: int, study_id: str | None = None, limit: int = 1000) -> list[Event]:
        """Events with an id above ``after``, in order."""
        where = events.c.id > after
        if study_id is not None:
            where = and_(where, events.c.study == study_id)
        with self._reading() as connection:
            rows = connection.execute(select(events).where(where).order_by(events.c.id).limit(limit))
            return [event_from(row) for row in rows]


def _new_row(study_id: str, number: int, trial: Trial) -> dict[str, Any]:
    return {
        "study": study_id,
        "number": number,
        "kind": trial.kind,
        "verifies": trial.verifies,
        "round": trial.round,
        "parameters": trial.parameters,
        "state": "waiting",
        "attempts": 0,
        "timings": trial.timings.model_dump(),
        "note": "",
        "command": [],
        "outcome": {},
        "created_at": time.time(),
    }
