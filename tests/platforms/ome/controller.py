"""Plays OME's controller through the API: each InferenceService becomes a Deployment, whose pod runs what was rendered.

The runtime's engine and the service's are merged as OME's MergeEngineSpec does (a strategic merge: lists of words are
replaced, lists with names merged), and the pod gets OME's labels and MODEL_PATH. A BenchmarkJob becomes a Job.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from servelab.kube.cluster import Cluster, connect
from servelab.kube.errors import ConflictError
from servelab.kube.kinds import DEPLOYMENT, Kind, Manifest
from servelab.platforms.ome.kinds import (
    BENCHMARK_JOB,
    CLUSTER_BASE_MODEL,
    CLUSTER_SERVING_RUNTIME,
    CONTAINER,
    INFERENCE_SERVICE,
)
from servelab.platforms.ome.service import merged
from servelab.spec.errors import ClusterError

TICK = 0.1  # seconds
JOB = Kind("batch/v1", "Job", "jobs")


@dataclass
class Controller:
    """The controller of one namespace. ``without_pods``: it says Ready and makes none, as was met in the field."""

    cluster: Cluster
    without_pods: bool = False
    benchmark: Any = None
    """From a BenchmarkJob, and the address of its service's pod, to the pod spec of its Job."""
    made: list[Manifest] = field(default_factory=list)
    """Every InferenceService that it served, as it was."""

    async def work(self) -> None:
        """Reconcile for ever; an API server that is away is waited for."""
        while True:
            try:
                for service in (await self.cluster.list(INFERENCE_SERVICE)).items:
                    if not service["metadata"].get("deletionTimestamp"):
                        await self._serve(service)
                for job in (await self.cluster.list(BENCHMARK_JOB)).items:
                    await self._benchmark(job)
            except ClusterError:
                await asyncio.sleep(0.2)
            await asyncio.sleep(TICK)

    async def _serve(self, service: Manifest) -> None:
        if self.without_pods:
            return await self._set(service, ready=True, message="")
        model = await self.cluster.find(CLUSTER_BASE_MODEL, service["spec"]["model"]["name"])
        if model is None:
            return await self._refuse(service, "BaseModelNotFound", f"model {service['spec']['model']['name']}")
        runtime = await self._runtime(service, model)
        if runtime is None:
            return await self._refuse(service, "NoSupportingRuntime", "no runtime supports the model")
        name = f"{service['metadata']['name']}-engine"
        there = await self.cluster.find(DEPLOYMENT, name)
        if there is None:
            if await self.cluster.find(INFERENCE_SERVICE, service["metadata"]["name"]) is None:
                return None  # it was deleted since it was listed
            if service["metadata"]["uid"] not in [made["metadata"]["uid"] for made in self.made]:
                self.made.append(service)
            there = await self._deploy(service, model, runtime, name)
        ready = bool((there.get("status") or {}).get("readyReplicas"))
        return await self._set(service, ready=ready, message="" if ready else f"Deployment {name} is not ready")

    async def _runtime(self, service: Manifest, model: Manifest) -> Manifest | None:
        named = (service["spec"].get("runtime") or {}).get("name")
        if named:
            return await self.cluster.find(CLUSTER_SERVING_RUNTIME, named)
        for runtime in (await self.cluster.list(CLUSTER_SERVING_RUNTIME)).items:
            for supported in runtime["spec"]["supportedModelFormats"]:
                fits = supported.get("modelArchitecture") == model["spec"].get("modelArchitecture")
                if fits and supported.get("autoSelect"):
                    return runtime
        return None

    async def _deploy(self, service: Manifest, model: Manifest, runtime: Manifest, name: str) -> Manifest:
        engine = merged(runtime["spec"]["engineConfig"], service["spec"]["engine"])
        container = dict(engine["runner"])
        assert container["name"] == CONTAINER
        path = {"name": "MODEL_PATH", "value": model["spec"]["storage"]["path"]}
        container["env"] = [path, *(container.get("env") or [])]
        labels = {
            **service["metadata"]["labels"],
            "ome.io/inferenceservice": service["metadata"]["name"],
            "component": "engine",
            "app": f"isvc.{name}",
        }
        pod = {key: engine[key] for key in ("volumes", "tolerations", "nodeSelector") if key in engine}
        template = {
            "metadata": {"labels": labels},
            "spec": {**pod, "containers": [container], "terminationGracePeriodSeconds": 2},
        }
        spec = {"replicas": 1, "selector": {"matchLabels": {"app": f"isvc.{name}"}}, "template": template}
        metadata = {"name": name, "labels": labels, "ownerReferences": [owner(service)]}
        try:
            return await self.cluster.create(DEPLOYMENT, {"metadata": metadata, "spec": spec})
        except ConflictError:
            return await self.cluster.get(DEPLOYMENT, name)

    async def _refuse(self, service: Manifest, reason: str, message: str) -> None:
        info = {"reason": reason, "message": message}
        status = {"modelStatus": {"transitionStatus": "InvalidSpec", "lastFailureInfo": info}}
        await self.cluster.merge(
            INFERENCE_SERVICE, service["metadata"]["name"], {"status": status}, subresource="status"
        )

    async def _set(self, service: Manifest, *, ready: bool, message: str) -> None:
        before = ((service.get("status") or {}).get("conditions") or [{}])[0]
        value = "True" if ready else "False"
        if before.get("status") == value:
            return
        name, namespace = service["metadata"]["name"], self.cluster.namespace
        is_ready = {"type": "Ready", "status": value, "message": message, "lastTransitionTime": now()}
        status = {"conditions": [is_ready], "url": f"http://{name}.{namespace}.svc.cluster.local"}
        await self.cluster.merge(INFERENCE_SERVICE, name, {"status": status}, subresource="status")

    async def _benchmark(self, benchmark: Manifest) -> None:
        state = (benchmark.get("status") or {}).get("state", "")
        if self.benchmark is None or state in ("Completed", "Complete", "Failed"):
            return
        name = benchmark["metadata"]["name"]
        job = await self.cluster.find(JOB, name)
        if job is None:
            pod = await self.benchmark(self.cluster, benchmark)
            template = {"metadata": {"labels": {"benchmark": name}}, "spec": {**pod, "restartPolicy": "Never"}}
            spec = {"backoffLimit": 0, "template": template}
            metadata = {"name": name, "labels": {"benchmark": name}, "ownerReferences": [owner(benchmark)]}
            await self.cluster.create(JOB, {"metadata": metadata, "spec": spec})
            return await self._state(benchmark, {"state": "Pending"})
        status = job.get("status") or {}
        failed = [one for one in status.get("conditions") or [] if one["type"] == "Failed" and one["status"] == "True"]
        if failed:
            return await self._state(benchmark, {"state": "Failed", "failureMessage": failed[0]["message"]})
        if status.get("completionTime"):
            return await self._state(benchmark, {"state": "Completed", "completionTime": status["completionTime"]})
        if status.get("active") and state != "Running":
            return await self._state(benchmark, {"state": "Running"})
        return None

    async def _state(self, benchmark: Manifest, status: Manifest) -> None:
        await self.cluster.merge(BENCHMARK_JOB, benchmark["metadata"]["name"], {"status": status}, subresource="status")


@asynccontextmanager
async def controlled(kubeconfig: Path, namespace: str, **how: Any) -> AsyncIterator[Controller]:
    """A controller at work in a namespace."""
    async with connect(kubeconfig=kubeconfig, namespace=namespace) as cluster:
        controller = Controller(cluster, **how)
        working = asyncio.create_task(controller.work())
        try:
            yield controller
            if working.done():
                working.result()
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)


def owner(item: Manifest) -> Manifest:
    """A reference to an object that is to take its dependents with it."""
    metadata = item["metadata"]
    reference = {"apiVersion": item["apiVersion"], "kind": item["kind"], "name": metadata["name"]}
    return {**reference, "uid": metadata["uid"], "controller": True, "blockOwnerDeletion": True}


def now() -> str:
    """The time as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
