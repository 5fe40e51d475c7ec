"""An engine that runs as an InferenceService."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

from servelab.kube.cluster import Cluster
from servelab.kube.forward import forward
from servelab.kube.kinds import POD, Manifest
from servelab.kube.patience import Patience
from servelab.kube.watch import watch
from servelab.platforms.base import DiagnosedError, Exit, ExitedError, Tell
from servelab.platforms.ome.enginelog import EngineLog
from servelab.platforms.ome.kinds import INFERENCE_SERVICE
from servelab.platforms.ome.options import OmeOptions
from servelab.platforms.ome.places import remedy_without_node
from servelab.platforms.ome.progress import Progress, Stage, ended_engine, engine_status, progress
from servelab.platforms.ome.reaching import reached
from servelab.platforms.ome.removal import remove_service
from servelab.platforms.ome.service import object_name, selector
from servelab.platforms.ready import answers
from servelab.spec.deployment import Failure, Launch, Mark
from servelab.spec.errors import ClusterError, MachineError

LOOK = 0.5  # seconds between looks at a service that is not ready
AWAY = 300.0  # seconds that the API server may be away while a service is waited for


class RunningService:
    """The InferenceService of a trial, reached at one of its pods."""

    pid: int | None = None
    cpus: tuple[int, ...] = ()

    def __init__(
        self, cluster: Cluster, launch: Launch, mark: Mark, options: OmeOptions, log: EngineLog, tell: Tell
    ) -> None:
        self.url = ""
        self.log: Path | None = log.path
        self.service: str | None = f"{cluster.namespace}/{object_name(mark)}"
        self._cluster = cluster
        self._launch = launch
        self._mark = mark
        self._options = options
        self._log = log
        self._tell = tell
        self._told = {"state": "", "warning": ""}
        self._stopped = False
        self._pod = ""
        self._open = AsyncExitStack()

    async def wait_ready(self, timeout: float) -> None:
        """Return when the service is Ready, its pod is, and the engine in it answers.

        Raises:
            ExitedError: the engine ended.
            DiagnosedError: the service stays in a stage for too long, or never leaves it.
            MachineError: no node has room for the pod now, or the cluster is away.
        """
        trying = Patience(AWAY)
        stage: Stage = "pod"
        since = time.monotonic()
        async with asyncio.timeout(timeout):
            while True:
                try:
                    now = await self._look()
                    trying.succeeded()
                except ClusterError as error:
                    with reached():
                        await trying.wait(error)
                    continue
                if now.stage != stage:
                    stage, since = now.stage, time.monotonic()
                await self._judge(now, time.monotonic() - since)
                if now.ready and await self._serves(now):
                    return
                await asyncio.sleep(LOOK)

    async def wait_exit(self) -> Exit:
        """Return when the engine's container has ended or was restarted, or its pod is gone."""
        async with aclosing(watch(self._cluster, POD, fields={"metadata.name": self._pod})) as changes:
            synced = False
            there = False
            async for change in changes:
                synced = synced or change.type == "synced"
                there = there or change.type in ("added", "modified")
                if change.type == "deleted" or (synced and not there):
                    return Exit(code=None, log_tail=self.log_tail())
                engine = engine_status(change.object) if change.object else None
                ended = ended_engine(engine) if engine else None
                if ended is not None:
                    await self._log.finish(self._cluster, self._pod, restarted=ended.restarted)
                    return Exit(code=ended.code, log_tail=self.log_tail())
        raise AssertionError("a watch has no end")

    def log_tail(self, lines: int = 50) -> str:
        """The last lines of the engine's log, with what happened to its pod."""
        return self._log.tail(lines)

    async def stop(self, timeout: float) -> None:
        """Delete the service, and return when its pods are gone.

        Raises:
            ClusterError: they do not go away, or the cluster is away for too long.
        """
        if self._stopped:
            return
        self._stopped = True
        await self._open.aclose()
        await self._log.close()
        try:
            await remove_service(self._cluster, self._mark, grace=timeout, patience=self._options.timeouts.gone)
        finally:
            await self._cluster.close()

    async def _look(self) -> Progress:
        name = object_name(self._mark)
        service = await self._cluster.find(INFERENCE_SERVICE, name)
        if service is None:
            raise MachineError(
                f"InferenceService {self.service} was deleted by somebody else",
                "Look who: kubectl get events; the trial itself can be tried again: servelab resume",
            )
        pods = (await self._cluster.list(POD, labels=selector(self._mark))).items
        now = progress(service, pods)
        self._pod = now.pod["metadata"]["name"] if now.pod else ""
        warning = await self._log.events(self._cluster, name, *([self._pod] if now.pod else []))
        if now.running:
            self._log.follow(self._cluster, self._pod)
        self._tell_new("state", now.text)
        self._tell_new("warning", warning)
        return now

    def _tell_new(self, kind: str, text: str) -> None:
        if text and text != self._told[kind]:
            self._told[kind] = text
            self._tell(text)

    async def _judge(self, now: Progress, seconds: float) -> None:
        """End the waiting where it is in vain."""
        if now.ended is not None:
            await self._log.finish(self._cluster, self._pod, restarted=now.ended.restarted)
            if now.failure is None:
                raise ExitedError(Exit(code=now.ended.code, log_tail=self.log_tail()))
        if now.failure is not None:
            raise DiagnosedError(now.failure)
        limits: dict[Stage, float] = {
            "pod": self._options.timeouts.pod,
            "scheduled": self._options.timeouts.scheduled,
            "started": self._options.timeouts.started,
        }
        limit = limits.get(now.stage)
        if limit is None or seconds < limit:
            return
        if now.stage == "scheduled" and now.pod is not None:
            await self._no_node(now.pod, now.text)
        raise DiagnosedError(_too_long(now, limit))

    async def _no_node(self, pod: Manifest, text: str) -> None:
        with reached():
            failure = await remedy_without_node(self._cluster, self._launch.accelerators, self._options.resource, text)
        raise failure

    async def _serves(self, now: Progress) -> bool:
        """Whether the engine answers, at an address that is good for as long as the service runs."""
        if not self.url and self._options.reach == "pod" and now.pod is not None:
            self.url = f"http://{now.pod['status']['podIP']}:{self._launch.address.port}"
        elif not self.url:
            opened = forward(self._cluster, self._pod, self._launch.address.port)
            self.url = f"http://127.0.0.1:{await self._open.enter_async_context(opened)}"
        return await answers(self.url + self._launch.ready_path)


def _too_long(now: Progress, limit: float) -> Failure:
    remedies: dict[Stage, str] = {
        "pod": "Is OME's controller well (servelab doctor --platform ome), and the model there? Its log: "
        "kubectl logs -n ome deployment/ome-controller-manager. A model that is still downloaded needs a longer "
        "platform.options.timeouts.pod.",
        "started": "Large images take long at first: raise platform.options.timeouts.started, or pull it beforehand.",
    }
    return Failure(
        kind="ready_timeout",
        stage="ready",
        message=f"after {limit:g} s: {now.text}",
        remedy=remedies.get(now.stage, ""),
    )
