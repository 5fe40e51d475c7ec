"""Pause and cancel: a wish in the store, which the workers obey within a heartbeat. Delete: when nobody works on it."""

from __future__ import annotations

import shutil

from servelab.lab.identity import is_dead
from servelab.lab.paths import study_directory
from servelab.platforms.base import platform
from servelab.spec.errors import ClusterError, DeployError, ServelabError
from servelab.spec.trial import StudyRecord, StudyState
from servelab.store.store import Store


def pause_study(store: Store, study: str) -> StudyRecord:
    """Ask the workers to finish their trials and stop.

    Raises:
        NotFoundError: no such study.
        ServelabError: it has already ended.
    """
    return _set(store, study, "paused", "paused by request")


def cancel_study(store: Store, study: str) -> StudyRecord:
    """Ask the workers to give up their trials and end the study.

    Raises:
        NotFoundError: no such study.
        ServelabError: it has already ended.
    """
    return _set(store, study, "cancelled", "cancelled by request")


def delete_study(store: Store, study: str) -> StudyRecord:
    """Remove a study for good, with what it left on this machine or running anywhere; returns what it was.

    Raises:
        NotFoundError: no such study.
        StoreError: it is at work.
        ServelabError: it is removed, but where its engines ran nobody answers.
    """
    record = store.get_study(study)
    store.release_dead(record.id, is_dead)
    store.delete_study(record.id)
    shutil.rmtree(study_directory(record.id), ignore_errors=True)
    # Nobody would look for them later: clean-up ends what studies of the store have left.
    where = platform(record.study.platform.name, record.study.platform.options)
    try:
        for leftover in where.leftovers([record.id]):
            where.remove(leftover)
    except (DeployError, ClusterError) as error:
        raise ServelabError(
            f"{record.id} is removed, but whether it left an engine running is not known: {error.message}",
            f"Look there for what carries its id. {error.remedy}",
        ) from error
    return record


def _set(store: Store, study: str, state: StudyState, message: str) -> StudyRecord:
    record = store.get_study(study)
    if record.state in ("complete", "failed", "cancelled"):
        raise ServelabError(
            f"study {record.id} has already ended ({record.state})", f"See: servelab report {record.id}"
        )
    store.set_study_state(record.id, state, message)
    return store.get_study(record.id)
