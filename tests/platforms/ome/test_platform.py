"""The platform against a real API server without a node: what waits for ever, what is refused, what is left behind."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from servelab.engines.base import engine
from servelab.kube.cluster import Cluster
from servelab.kube.kinds import NAMESPACE, NODE, POD, Manifest
from servelab.platforms.base import DiagnosedError
from servelab.platforms.marked import identity
from servelab.platforms.ome import running
from servelab.platforms.ome.doctor import MUTATING
from servelab.platforms.ome.kinds import CLUSTER_BASE_MODEL, CLUSTER_SERVING_RUNTIME, INFERENCE_SERVICE
from servelab.platforms.ome.options import OmeOptions
from servelab.platforms.ome.platform import OmePlatform
from servelab.platforms.ome.running import RunningService
from servelab.platforms.ome.service import inference_service, object_name
from servelab.spec.deployment import Launch, Mark
from servelab.spec.errors import ClusterError, DeployError, DocumentError, MachineError
from servelab.spec.model import EngineConfig, Model
from tests.kubernetes import Kubernetes
from tests.platforms.ome.controller import controlled
from tests.platforms.ome.lab import MODEL
from tests.platforms.ome.test_doctor import present

MARK = Mark(study="small-ab12c", trial=3, attempt=100)


def launched(platform: OmePlatform, accelerators: int = 0) -> Launch:
    model, config = platform.seen(Model(id="HuggingFaceTB/SmolLM2-135M-Instruct"), EngineConfig(name="simulated"))
    launch = engine("simulated").launch(model, config, {}, platform.address())
    return launch.model_copy(update={"accelerators": accelerators, "model": model.id})


async def begin(tmp_path: Path, accelerators: int = 0, told: list[str] | None = None, **options: Any) -> RunningService:
    platform = OmePlatform(options)
    tell = (told if told is not None else []).append
    return await platform.start(launched(platform, accelerators), MARK, tmp_path / "engine.log", {}, tell)


async def services(cluster: Cluster) -> list[str]:
    return [item["metadata"]["name"] for item in (await cluster.list(INFERENCE_SERVICE)).items]


async def said_ready(cluster: Cluster) -> None:
    """Wait until the controller says of the trial's service that it is Ready."""
    async with asyncio.timeout(120):
        while not (await cluster.get(INFERENCE_SERVICE, object_name(MARK))).get("status"):
            await asyncio.sleep(0.1)


def engine_pod(accelerators: int = 0) -> Manifest:
    """A pod of the trial as OME would make it; no scheduler runs here."""
    labels = {"servelab/study": MARK.study, "servelab/trial": str(MARK.trial), "component": "engine"}
    resources = {"limits": {"nvidia.com/gpu": str(accelerators)}} if accelerators else {}
    container = {"name": "ome-container", "image": "an/image:1", "resources": resources}
    return {"metadata": {"name": "engine-pod", "labels": labels}, "spec": {"containers": [container]}}


async def test_a_service_that_is_ready_without_pods_is_given_up(api: Kubernetes, ome: Cluster, tmp_path: Path) -> None:
    told: list[str] = []
    service = await begin(tmp_path, told=told, timeouts={"pod": 2})
    try:
        async with controlled(api.kubeconfig(), ome.namespace, without_pods=True):
            await said_ready(ome)
            with pytest.raises(DiagnosedError) as caught:
                await service.wait_ready(200)
    finally:
        await service.stop(1)
    assert "it says Ready, and there is no pod" in caught.value.failure.message
    assert "doctor --platform ome" in caught.value.failure.remedy
    assert any("it says Ready" in line for line in told)
    assert await services(ome) == []


async def test_a_model_that_ome_does_not_know_is_told_at_once(api: Kubernetes, ome: Cluster, tmp_path: Path) -> None:
    service = await begin(tmp_path, model="never-heard-of")
    try:
        async with controlled(api.kubeconfig(), ome.namespace):
            with pytest.raises(DiagnosedError, match="BaseModelNotFound: model never-heard-of"):
                await service.wait_ready(200)
    finally:
        await service.stop(1)


async def test_a_pod_that_no_node_could_ever_take(ome: Cluster, tmp_path: Path) -> None:
    service = await begin(tmp_path, 4, timeouts={"scheduled": 1})
    await ome.create(POD, engine_pod(4))
    try:
        with pytest.raises(DiagnosedError) as caught:
            await service.wait_ready(200)
    finally:
        await service.stop(1)
    assert caught.value.failure.kind == "unsupported"
    assert "4 nvidia.com/gpu are needed on one node" in caught.value.failure.message
    assert "device plugin" in caught.value.failure.remedy


async def test_a_pod_that_no_node_takes_now(ome: Cluster, tmp_path: Path) -> None:
    """The trial is not to blame: it is tried again, and then the study pauses."""
    name = f"gpus-{ome.namespace}"
    async with present(ome, NODE, {"metadata": {"name": name}}):
        amounts = {"nvidia.com/gpu": "8"}
        await ome.merge(NODE, name, {"status": {"allocatable": amounts, "capacity": amounts}}, subresource="status")
        service = await begin(tmp_path, 4, timeouts={"scheduled": 1})
        await ome.create(POD, engine_pod(4))
        try:
            with pytest.raises(MachineError, match="waits for a node"):
                await service.wait_ready(200)
        finally:
            await service.stop(1)
    assert (await ome.list(POD)).items == [], "its pod is deleted by force, since nobody else does"


async def test_what_the_cluster_does_not_know_is_refused_and_leaves_nothing(ome: Cluster, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"does not know spec\.engine\.resourcez"):
        await begin(tmp_path, engine={"resourcez": {"limits": {"cpu": "1"}}})
    assert await services(ome) == []
    with pytest.raises(DeployError, match="minReplicas"):
        await begin(tmp_path, engine={"minReplicas": "many"})
    assert await services(ome) == []


async def _until_refused(tmp_path: Path) -> None:
    """Start services until one is refused: the API server takes a moment to know a webhook."""
    async with asyncio.timeout(200):
        while True:
            await (await begin(tmp_path)).stop(1)


async def test_a_webhook_that_is_down_is_no_fault_of_the_trial(ome: Cluster, tmp_path: Path) -> None:
    rule = {"apiGroups": ["ome.io"], "apiVersions": ["v1beta1"], "operations": ["CREATE"]}
    hook = {
        "name": "inferenceservice.ome-webhook-server.defaulter",
        "clientConfig": {"url": "https://127.0.0.1:1/mutate"},
        "rules": [{**rule, "resources": ["inferenceservices"]}],
        "namespaceSelector": {"matchLabels": {"webhook": ome.namespace}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 1,
    }
    await ome.merge(NAMESPACE, ome.namespace, {"metadata": {"labels": {"webhook": ome.namespace}}})
    async with present(ome, MUTATING, {"metadata": {"name": f"down-{ome.namespace}"}, "webhooks": [hook]}):
        with pytest.raises(MachineError) as caught:
            await _until_refused(tmp_path)
    assert "failed calling webhook" in caught.value.message
    assert "cert-manager" in caught.value.remedy
    assert await services(ome) == []


async def test_namespace_model_and_runtime_are_created_once(
    ome: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    fresh = f"{ome.namespace}-fresh"
    made = f"m-{ome.namespace}"
    options: dict[str, Any] = {
        "namespace": fresh,
        "model": {"name": made, "preset": "smollm2-135m-instruct"},
        "runtime": {"name": made, "preset": "vllm"},
    }
    try:
        for _ in range(2):
            await (await begin(tmp_path, told=told, **options)).stop(1)
        assert told == [f"namespace {fresh} was created", f"{made} was created in OME", f"{made} was created in OME"]
        model = await ome.get(CLUSTER_BASE_MODEL, made)
        assert model["spec"]["storage"]["storageUri"] == "hf://HuggingFaceTB/SmolLM2-135M-Instruct"
        assert model["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "servelab"
    finally:
        await ome.delete(CLUSTER_BASE_MODEL, made)
        await ome.delete(CLUSTER_SERVING_RUNTIME, made)
        await ome.delete(NAMESPACE, fresh)
    with pytest.raises(DeployError, match="no preset of runtimes called 'sglank'"):
        await begin(tmp_path, runtime={"preset": "sglank"})


async def test_only_what_a_dead_servelab_left_is_a_leftover(ome: Cluster, tmp_path: Path) -> None:
    here = socket.gethostname()
    options = OmeOptions(model={"name": MODEL})  # type: ignore[arg-type]
    platform = OmePlatform({})
    owners = {0: f"{here}/999999999/1", 1: f"{here}/{identity(1)}", 2: "another-machine/1/1"}
    for trial, owner in owners.items():
        mark = Mark(study=MARK.study, trial=trial, attempt=100)
        await ome.apply(inference_service(launched(platform), mark, options, owner))
    assert await asyncio.to_thread(platform.leftovers, ["of-another-ab12c"]) == []
    (leftover,) = await asyncio.to_thread(platform.leftovers, [MARK.study])
    assert leftover.mark == Mark(study=MARK.study, trial=0, attempt=100)
    await asyncio.to_thread(platform.remove, leftover)
    kept = [object_name(Mark(study=MARK.study, trial=trial)) for trial in (1, 2)]
    assert await services(ome) == kept


async def test_a_trial_removes_its_own_service_of_before_wherever_it_was_started(ome: Cluster, tmp_path: Path) -> None:
    options = OmeOptions(model={"name": MODEL})  # type: ignore[arg-type]
    await ome.apply(inference_service(launched(OmePlatform({})), MARK, options, "another-machine/1/1"))
    before = await ome.get(INFERENCE_SERVICE, object_name(MARK))
    service = await begin(tmp_path)
    after = await ome.get(INFERENCE_SERVICE, object_name(MARK))
    await service.stop(1)
    assert before["metadata"]["uid"] != after["metadata"]["uid"]


async def test_a_service_that_somebody_deletes(ome: Cluster, tmp_path: Path) -> None:
    service = await begin(tmp_path)
    try:
        await ome.delete(INFERENCE_SERVICE, object_name(MARK))
        with pytest.raises(MachineError, match="was deleted by somebody else"):
            await service.wait_ready(200)
    finally:
        await service.stop(1)
        await service.stop(1)


@pytest.mark.timeout(900)
async def test_a_cluster_that_is_away(
    api: Kubernetes, ome: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a service is waited for, a restart of the API server is waited for too."""
    service = await begin(tmp_path, timeouts={"pod": 800})
    monkeypatch.setattr(running, "LOOK", 0.05)
    waiting = asyncio.create_task(service.wait_ready(800))
    try:
        await asyncio.sleep(0.5)
        await asyncio.to_thread(api.kill)
        await asyncio.sleep(0.5)
        assert not waiting.done()
        await asyncio.to_thread(api.start)
        async with controlled(api.kubeconfig(), ome.namespace, without_pods=True):
            async with asyncio.timeout(200):
                while "it says Ready" not in service._told["state"]:
                    await asyncio.sleep(0.1)
        assert not waiting.done()
    finally:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await service.stop(1)
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    with pytest.raises(ClusterError, match="kubeconfig"):
        await begin(tmp_path)


def test_options_that_are_wrong_name_the_nearest() -> None:
    with pytest.raises(DocumentError, match="did you mean `namespace`"):
        OmePlatform({"namespce": "x"})
