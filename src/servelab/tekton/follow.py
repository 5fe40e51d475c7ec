"""Follow a run until it ends or fails, by watches; all is read from the cluster, so following can begin at any time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import aclosing

from servelab.kube.cluster import Cluster
from servelab.kube.watch import Change, watch
from servelab.spec.errors import ClusterError, NotFoundError
from servelab.tekton.board import Board
from servelab.tekton.kinds import PIPELINE, PIPELINE_RUN, TASK_RUN
from servelab.tekton.labels import PIPELINE_RUN_LABEL
from servelab.tekton.pods import engine_pod, engine_pods
from servelab.tekton.status import RunStatus

PODS_EVERY = 60.0  # seconds between looks at the engines' pods


async def follow(cluster: Cluster, board: Board, told: Callable[[Board], object] = lambda _: None) -> RunStatus:
    """Keep ``board`` up to date; return when the run is final, or when one of its tasks has failed.

    ``told`` is called after every change. A failed task ends the following at once, while what shows the cause is
    still there: Tekton's final tasks remove the engines.

    Raises:
        NotFoundError: there is no such run, or it was deleted.
        ClusterError: the cluster refuses, or was away for too long.
    """
    run = await cluster.find(PIPELINE_RUN, board.name)
    if run is None:
        raise _no_run(board.name, cluster.namespace)
    board.run = run
    await _find_pipeline(cluster, board)
    ended: asyncio.Future[RunStatus] = asyncio.get_running_loop().create_future()

    def changed() -> None:
        told(board)
        if ended.done():
            return
        if board.gone:
            ended.set_exception(_no_run(board.name, cluster.namespace))
        elif board.over and (status := board.status) is not None:
            ended.set_result(status)

    watches: list[asyncio.Task[None]] = [
        asyncio.create_task(_watch_run(cluster, board, changed)),
        asyncio.create_task(_watch_tasks(cluster, board, changed)),
        asyncio.create_task(_look_at_pods(cluster, board, changed)),
    ]
    try:
        for watching in watches:
            watching.add_done_callback(lambda one: _pass_on(one, ended))
        status = await ended
        if status.final:
            await _take_last_tasks(cluster, board, told)
            return board.status or status
        return status
    finally:
        for task in watches:
            task.cancel()
        await asyncio.gather(*watches, return_exceptions=True)
        ended.cancel()


async def _take_last_tasks(cluster: Cluster, board: Board, told: Callable[[Board], object]) -> None:
    """Take in how the tasks of a run ended: their watch may be behind the run's."""
    with contextlib.suppress(ClusterError):
        for run in (await cluster.list(TASK_RUN, labels={PIPELINE_RUN_LABEL: board.name})).items:
            board.take_task(Change("modified", run))
            told(board)


def _pass_on(watching: asyncio.Task[None], ended: asyncio.Future[RunStatus]) -> None:
    """A watch ends only by an error, which ends the following."""
    error = None if watching.cancelled() else watching.exception()
    if error is not None and not ended.done():
        ended.set_exception(error)


async def snapshot(cluster: Cluster, name: str) -> Board:
    """A run as it is now.

    Raises:
        NotFoundError: there is no such run.
    """
    board = Board(name)
    board.run = await cluster.find(PIPELINE_RUN, name)
    if board.run is None:
        raise _no_run(name, cluster.namespace)
    await _find_pipeline(cluster, board)
    for run in (await cluster.list(TASK_RUN, labels={PIPELINE_RUN_LABEL: name})).items:
        board.take_task(Change("added", run))
    board.pods = [engine_pod(pod) for pod in await engine_pods(cluster, board.study, board.trials)]
    return board


def _no_run(name: str, namespace: str) -> NotFoundError:
    return NotFoundError(
        f"there is no PipelineRun {name} in {namespace}", f"List them: servelab tekton status -n {namespace}"
    )


async def _find_pipeline(cluster: Cluster, board: Board) -> None:
    reference = ((board.run or {}).get("spec") or {}).get("pipelineRef") or {}
    if reference.get("name"):
        board.pipeline = await cluster.find(PIPELINE, reference["name"])


async def _watch_run(cluster: Cluster, board: Board, changed: Callable[[], None]) -> None:
    seen = False
    async with aclosing(watch(cluster, PIPELINE_RUN, fields={"metadata.name": board.name})) as changes:
        async for change in changes:
            seen = seen or change.type == "added"
            board.take_run(change)
            board.gone = board.gone or (change.type == "synced" and not seen)  # deleted before the watch began
            changed()


async def _watch_tasks(cluster: Cluster, board: Board, changed: Callable[[], None]) -> None:
    async with aclosing(watch(cluster, TASK_RUN, labels={PIPELINE_RUN_LABEL: board.name})) as changes:
        async for change in changes:
            board.take_task(change)
            changed()


async def _look_at_pods(cluster: Cluster, board: Board, changed: Callable[[], None]) -> None:
    while True:
        with contextlib.suppress(ClusterError):  # the watches tell of a cluster that is away
            board.pods = [engine_pod(pod) for pod in await engine_pods(cluster, board.study, board.trials)]
            changed()
        await asyncio.sleep(PODS_EVERY)
