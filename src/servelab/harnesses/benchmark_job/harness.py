"""Measures by an OME BenchmarkJob: genai-bench in a pod beside the engine, its results read back."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from servelab.harnesses.base import Job, Progress
from servelab.harnesses.benchmark_job.manifest import BENCHMARK_JOB, INFERENCE_SERVICE, benchmark_job, owner
from servelab.harnesses.benchmark_job.options import BenchmarkJobOptions
from servelab.harnesses.external.abilities import levels
from servelab.harnesses.external.genai_bench import OUTPUT, GenAIBench, check, read_results, warnings
from servelab.harnesses.external.measured import Measured, report
from servelab.harnesses.provenance import provenance
from servelab.kube.cluster import Cluster, connect
from servelab.kube.containers import HOPELESS, doing
from servelab.kube.copy import copy_out
from servelab.kube.ensure import ensure_claim
from servelab.kube.kinds import POD, Manifest
from servelab.kube.labels import STUDY, label
from servelab.kube.logs import logs
from servelab.kube.patience import Patience
from servelab.kube.reader import Volume, reader
from servelab.spec.errors import ClusterError, MeasureError
from servelab.spec.load import LoadPoint
from servelab.spec.options import read_options
from servelab.spec.report import Report
from servelab.spec.study import Study
from servelab.spec.workload import Workload

LOOK = 0.5  # seconds between looks at a job
AWAY = 300.0  # seconds that the API server may be away
LAST_WORDS = 30  # lines of a failed benchmark's log

DONE = ("Completed", "Complete")
"""The states of success: the CRD's, and that of OME before it."""


class BenchmarkJob:
    """genai-bench, run by OME in the cluster."""

    name: ClassVar[str] = "benchmark-job"

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = read_options(BenchmarkJobOptions, options, self.name)

    def check(self, study: Study) -> tuple[str, ...]:
        """See that genai-bench can be told every load; returns what it will do otherwise."""
        told: list[str] = []
        for load in levels(self.name, study):
            self._require_possible(study.workload, load)
            told += warnings(study.workload, load)
        return tuple(dict.fromkeys(told))

    def _require_possible(self, workload: Workload, load: LoadPoint) -> None:
        GenAIBench.abilities.check(self.name, workload, load)
        check(self.name, workload, load)

    async def measure(self, job: Job, progress: Callable[[Progress], None]) -> Report:
        """Create a BenchmarkJob, wait for its end, and read its results; cancellation deletes it.

        Raises:
            MeasureError: genai-bench cannot be told the workload, or the benchmark fails; with its last words.
        """
        self._require_possible(job.workload, job.load)
        if job.deployment.service is None:
            raise MeasureError(
                "a BenchmarkJob measures an InferenceService, and this engine is none",
                "Use it with platform: ome; elsewhere harness: genai-bench measures in the same way.",
            )
        started = datetime.now(UTC)
        namespace, _, name = job.deployment.service.partition("/")
        try:
            async with connect(self._options.context, namespace=namespace) as cluster:
                found = await self._measured(cluster, name, job, progress)
        except ClusterError as error:
            raise MeasureError(error.message, error.remedy) from error
        told = warnings(job.workload, job.load)
        found = dataclasses.replace(
            found, load=job.load, workload=job.workload, warnings=(*found.warnings, *told), harness=self.name
        )
        made = provenance(job, self.name, found.version, started, ("genai-bench", "benchmark", "(in a BenchmarkJob)"))
        return report(found, made, job.request_slo)

    async def _measured(
        self, cluster: Cluster, service_name: str, job: Job, progress: Callable[[Progress], None]
    ) -> Measured:
        service = await cluster.get(INFERENCE_SERVICE, service_name)
        name = f"{service_name}-{secrets.token_hex(2)}"
        claim, _ = self._options.claim
        if claim:
            await ensure_claim(cluster, claim, self._options.size, self._options.storage_class)
        await cluster.apply(benchmark_job(name, service, job, self._options))
        try:
            await self._wait(cluster, name, progress)
            directory = await self._fetch(cluster, service, name, job.directory)
            return read_results(directory, job.load)
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise MeasureError(
                f"BenchmarkJob {name} completed, and left no result that can be read: {error}",
                f"Look below {self._options.output}/{name}.",
            ) from error
        finally:
            await asyncio.shield(cluster.delete(BENCHMARK_JOB, name))

    async def _wait(self, cluster: Cluster, name: str, progress: Callable[[Progress], None]) -> None:
        trying = Patience(AWAY)
        begun = time.monotonic()
        while True:
            try:
                benchmark = await cluster.get(BENCHMARK_JOB, name)
                pods = (await cluster.list(POD, labels={"benchmark": name})).items
                trying.succeeded()
            except ClusterError as error:
                await trying.wait(error)
                continue
            status = benchmark.get("status") or {}
            state = str(status.get("state") or "Pending")
            if state in DONE:
                return
            waits = next(filter(None, map(doing, pods)), "")
            if state == "Failed":
                raise await _failed(cluster, name, str(status.get("failureMessage") or "no reason given"), pods)
            if any(reason in waits for reason in HOPELESS if reason != "ErrImagePull"):
                raise MeasureError(
                    f"BenchmarkJob {name} cannot start: {waits}", "Name an image: harness.options.image."
                )
            running = any((pod.get("status") or {}).get("phase") == "Running" for pod in pods)
            if not running and state == "Pending" and time.monotonic() - begun > self._options.start:
                raise MeasureError(
                    f"BenchmarkJob {name} did not start in {self._options.start:g} s: {waits or 'OME has made no pod'}",
                    "OME starts it when the service is Ready and the claim is there; raise harness.options.start, or "
                    "see kubectl logs -n ome deployment/ome-controller-manager.",
                )
            progress(Progress(done=0.0, total=1.0, note=f"BenchmarkJob {name}: {waits or state}"))
            await asyncio.sleep(LOOK)

    async def _fetch(self, cluster: Cluster, service: Manifest, name: str, directory: Path) -> Path:
        """Bring the results of one run here."""
        target = directory / OUTPUT
        claim, path = self._options.claim
        if not claim:
            assert self._options.mirror is not None  # as its options are checked
            return Path(shutil.copytree(self._options.mirror / name, target))
        volume = Volume(claim, self._options.reader_image)
        async with reader(cluster, label(service, STUDY), volume, f"{name}-reader", owner(service)) as root:
            await copy_out(dataclasses.replace(root, directory=f"{root.directory}/{path}/{name}"), target)
        return target


async def _failed(cluster: Cluster, name: str, reason: str, pods: list[Manifest]) -> MeasureError:
    said: list[str] = []
    for pod in pods:
        try:
            async with aclosing(logs(cluster, pod["metadata"]["name"], tail=LAST_WORDS)) as lines:
                said += [line async for line in lines]
        except ClusterError:
            continue  # it never started; the reason is all there is
    words = "\n".join(said)
    return MeasureError(
        f"BenchmarkJob {name} failed: {reason}{f', saying: {words}' if words else ''}",
        "Its image may not fit this OME: harness.options.image names another. harness: builtin measures from here.",
    )
