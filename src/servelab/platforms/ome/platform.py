"""Engines as OME InferenceServices."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from servelab.kube.accepted import dropped
from servelab.kube.blocking import run_blocking
from servelab.kube.cluster import Cluster, connect
from servelab.kube.ensure import ensure_namespace
from servelab.kube.kinds import Manifest
from servelab.kube.kubeconfig import find_access
from servelab.kube.labels import STUDY, TRIAL, label
from servelab.platforms.base import Leftover, Tell, silent
from servelab.platforms.marked import identity, is_alive
from servelab.platforms.ome.enginelog import EngineLog
from servelab.platforms.ome.kinds import INFERENCE_SERVICE
from servelab.platforms.ome.options import OmeOptions
from servelab.platforms.ome.presets import create_missing
from servelab.platforms.ome.reaching import reached
from servelab.platforms.ome.removal import remove_service
from servelab.platforms.ome.running import RunningService
from servelab.platforms.ome.service import ATTEMPT, OWNER, RUNTIME_IMAGE, inference_service, object_name
from servelab.spec.base import Parameters
from servelab.spec.deployment import MODEL_PATH, Address, Launch, Mark
from servelab.spec.errors import DeployError
from servelab.spec.finding import Finding
from servelab.spec.model import EngineConfig, Model
from servelab.spec.options import read_options

QUICK = 10.0  # seconds of grace for what a crash left behind


class OmePlatform:
    """An InferenceService per trial, in a namespace of a cluster that has OME."""

    name: ClassVar[str] = "ome"
    starts_engine: ClassVar[bool] = True
    sees_files: ClassVar[bool] = False

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = read_options(OmeOptions, options, self.name)

    def seen(self, model: Model, config: EngineConfig) -> tuple[Model, EngineConfig]:
        """OME brings the model and says where; the engine is in the study's image or the runtime's.

        A relative path of the model is of a file in what OME brings.
        """
        file = f"/{model.path}" if model.path and not model.path.startswith("/") else ""
        image = config.image or RUNTIME_IMAGE
        return model.model_copy(update={"path": MODEL_PATH + file}), config.model_copy(update={"image": image})

    def address(self) -> Address:
        """All addresses of the pod, at the port that the runtime probes."""
        return Address(host="0.0.0.0", port=self._options.port)  # noqa: S104 - of the pod's own network

    def manifest(self, launch: Launch, mark: Mark) -> Manifest:
        """The InferenceService of a trial.

        Raises:
            DeployError: the study asks for what has no place in a cluster.
        """
        return inference_service(launch, mark, self._options, _owner())

    async def start(
        self, launch: Launch, mark: Mark, log: Path, parameters: Parameters, tell: Tell = silent
    ) -> RunningService:
        """Apply the InferenceService; namespace, model and runtime before it where they are missing.

        Raises:
            DeployError: the study asks for what the cluster does not take.
            MachineError: the cluster is away, or out of order.
            ClusterError: a right is missing, or there is no cluster.
            StoreError: the log cannot be written.
        """
        del parameters  # they are in the command
        manifest = self.manifest(launch, mark)
        cluster = Cluster(find_access(self._options.context, namespace=self._options.namespace))
        written = EngineLog(log)
        try:
            with reached():
                await self._prepare(cluster, launch, mark, tell)
                await _apply(cluster, manifest)
            return RunningService(cluster, launch, mark, self._options, written, tell)
        except BaseException:  # an interrupt too: nothing of a trial that did not start is left
            await written.close()
            await asyncio.shield(_undo(cluster, mark))
            raise

    async def _prepare(self, cluster: Cluster, launch: Launch, mark: Mark, tell: Tell) -> None:
        if await ensure_namespace(cluster):
            tell(f"namespace {cluster.namespace} was created")
        for name in await create_missing(cluster, self._options, launch.model):
            tell(f"{name} was created in OME")
        # A worker that died may have left this trial's service, wherever it ran.
        await remove_service(cluster, mark, grace=QUICK, patience=self._options.timeouts.gone)

    def leftovers(self, studies: Sequence[str]) -> list[Leftover]:
        """InferenceServices with the mark of one of these studies, whose starter was on this machine and is dead.

        Of what another machine started nothing can be told from here: a trial that is run again removes its own.

        Raises:
            ClusterError: the cluster cannot be asked.
        """
        return run_blocking(self._leftovers(frozenset(studies)))

    async def _leftovers(self, studies: frozenset[str]) -> list[Leftover]:
        async with connect(self._options.context, namespace=self._options.namespace) as cluster:
            if INFERENCE_SERVICE.name not in await cluster.kinds(INFERENCE_SERVICE.api_version):
                return []
            found = (await cluster.list(INFERENCE_SERVICE, labels={STUDY: None})).items
            return [_leftover(cluster, one) for one in found if label(one, STUDY) in studies and _orphaned(one)]

    def remove(self, leftover: Leftover) -> None:
        """Delete it, and return when its pods are gone.

        Raises:
            ClusterError: they do not go away.
        """
        run_blocking(self._remove(leftover))

    async def _remove(self, leftover: Leftover) -> None:
        async with connect(self._options.context, namespace=self._options.namespace) as cluster:
            there = await cluster.find(INFERENCE_SERVICE, object_name(leftover.mark))
            if there is None or there["metadata"]["uid"] == leftover.id:
                await remove_service(cluster, leftover.mark, grace=QUICK, patience=self._options.timeouts.gone)

    def examine(self, accelerators: int = 0) -> Iterator[Finding]:
        """Check the cluster and what OME needs in it, each with its remedy."""
        from servelab.platforms.ome.doctor import examine

        yield from run_blocking(examine(self._options, accelerators))


async def _apply(cluster: Cluster, manifest: Manifest) -> None:
    """Apply the service; older API servers drop unknown fields without a word, and then it would be another one."""
    lost = list(dropped(manifest, await cluster.apply(manifest)))
    if lost:
        raise DeployError(
            f"the cluster's OME does not know {', '.join(lost[:5])} of an InferenceService",
            "Correct platform.options.engine; kubectl explain inferenceservice.spec.engine shows what there is. "
            "A newer OME may know it.",
        )


async def _undo(cluster: Cluster, mark: Mark) -> None:
    try:
        await cluster.delete(INFERENCE_SERVICE, object_name(mark))
    except Exception:  # noqa: BLE001, S110 - what led here is told; a leftover carries its mark
        pass
    finally:
        await cluster.close()


def _owner() -> str:
    return f"{socket.gethostname()}/{identity(os.getpid())}"


def _orphaned(service: Manifest) -> bool:
    machine, _, process = str((service["metadata"].get("annotations") or {}).get(OWNER, "")).partition("/")
    return machine == socket.gethostname() and not is_alive(process)


def _leftover(cluster: Cluster, service: Manifest) -> Leftover:
    mark = Mark(
        study=label(service, STUDY), trial=int(label(service, TRIAL)), attempt=int(label(service, ATTEMPT) or 1)
    )
    what = f"InferenceService {cluster.namespace}/{service['metadata']['name']}"
    return Leftover(mark=mark, what=what, id=service["metadata"]["uid"])
