"""Run a study to its end: workers side by side, leftovers of a crash removed first."""

from __future__ import annotations

import asyncio

from servelab.lab.identity import is_dead, worker_name
from servelab.lab.prior import prior_source
from servelab.lab.setup import Observer, set_up
from servelab.lab.suggest import Suggestions
from servelab.lab.worker import Worker
from servelab.spec.trial import StudyRecord, StudyState
from servelab.store.store import Store

RESUMABLE: tuple[StudyState, ...] = ("waiting", "running", "verifying", "paused")


async def run_study(store: Store, study_id: str, observe: Observer = lambda kind, data: None) -> StudyRecord:
    """Run or resume a study until it ends, pauses or is cancelled; returns it as it then is.

    When this task is cancelled, the running trials' engines are stopped and the study is left paused.

    Raises:
        ServelabError: a plug-in, the model or the store is unusable; the study can be resumed.
    """
    record = store.get_study(study_id)
    if record.state not in RESUMABLE:
        return record
    verifying = any(trial.kind == "verification" for trial in store.trials(record.id))
    store.set_study_state(record.id, "verifying" if verifying else "running", "")
    try:
        return await work_on(store, record.id, observe)
    except BaseException as error:  # an interrupt too: whatever it was, the study is left to be resumed
        if store.study_state(record.id) in ("running", "verifying"):
            store.set_study_state(record.id, "paused", str(error) or "interrupted")
        raise


async def work_on(store: Store, study_id: str, observe: Observer = lambda kind, data: None) -> StudyRecord:
    """Work on a study, beside whoever else does, until it ends, pauses or is cancelled.

    Raises:
        ServelabError: a plug-in, the model or the store is unusable.
    """
    record = store.get_study(study_id)
    if record.state == "waiting":
        store.set_study_state(record.id, "running", "")
    setup = await asyncio.to_thread(set_up, store, record, observe)
    store.release_dead(record.id, is_dead)
    for leftover in setup.platform.leftovers([record.id]):
        observe("leftover", {"what": leftover.what})
        setup.platform.remove(leftover)
    if record.study.space and (source := await asyncio.to_thread(prior_source, record.study)):
        store.append_event(record.id, None, "prior", {"source": source})
    suggestions = Suggestions(record.study)
    workers = [Worker(setup, worker_name(), suggestions) for _ in range(record.study.budget.parallel)]
    tasks = [asyncio.ensure_future(worker.work()) for worker in workers]
    try:
        # The first error ends them all; a TaskGroup would wrap it in an ExceptionGroup.
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return store.get_study(record.id)
