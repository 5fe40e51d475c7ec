"""Run a study to its end: workers side by side, leftovers of a crash removed first."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket

from servelab.lab.setup import Observer, Setup, set_up
from servelab.lab.suggest import Suggestions
from servelab.lab.worker import Worker
from servelab.spec.trial import StudyRecord, StudyState
from servelab.store.store import Store

RESUMABLE: tuple[StudyState, ...] = ("waiting", "running", "verifying", "paused")


async def run_study(store: Store, study_id: str, observe: Observer = lambda kind, data: None) -> StudyRecord:
    """Run or resume a study until it ends, pauses or is cancelled; returns it as it then is.

    When this task is cancelled, the running trials' engines are stopped and the study is left paused.

    Raises:
        ServelabError: a plug-in, the model or the store is unusable.
    """
    record = store.get_study(study_id)
    if record.state not in RESUMABLE:
        return record
    setup = await asyncio.to_thread(set_up, store, record, observe)
    _remove_leftovers(setup)
    store.set_study_state(record.id, _resumed_state(store, record), "")
    suggestions = Suggestions(record.study)
    stem = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    try:
        async with asyncio.TaskGroup() as group:
            for index in range(record.study.budget.parallel):
                worker = Worker(setup, f"{stem}-{index}", suggestions)
                group.create_task(worker.work())
    except asyncio.CancelledError:
        store.set_study_state(record.id, "paused", "interrupted")
        raise
    return store.get_study(record.id)


def _resumed_state(store: Store, record: StudyRecord) -> StudyState:
    verifying = any(trial.kind == "verification" for trial in store.trials(record.id))
    return "verifying" if verifying else "running"


def _remove_leftovers(setup: Setup) -> None:
    for leftover in setup.platform.leftovers([setup.record.id]):
        setup.observe("leftover", {"what": leftover.what})
        setup.platform.remove(leftover)
