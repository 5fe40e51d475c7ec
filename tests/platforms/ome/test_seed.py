"""The faults that the first autotuner met on OME, by their numbers: each is impossible here, and this shows it.

The API server is real, with OME's definitions; what its controller would do is in test_study.py.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from servelab.catalog.models import dns_name
from servelab.engines.base import engine
from servelab.harnesses.base import Job, harness
from servelab.harnesses.benchmark_job.harness import DONE, BenchmarkJob
from servelab.harnesses.benchmark_job.manifest import BENCHMARK_JOB, benchmark_job
from servelab.harnesses.benchmark_job.options import BenchmarkJobOptions
from servelab.kube.accepted import dropped
from servelab.kube.cluster import Cluster
from servelab.kube.ensure import ensure_claim
from servelab.kube.errors import RefusedError
from servelab.kube.kinds import CLAIM, Manifest
from servelab.kube.openapi import check_openapi
from servelab.kube.schemas import cluster_schemas
from servelab.platforms.ome.kinds import INFERENCE_SERVICE, KINDS
from servelab.platforms.ome.options import OmeOptions
from servelab.platforms.ome.platform import OmePlatform
from servelab.platforms.ome.presets import base_model, serving_runtime
from servelab.platforms.ome.progress import progress
from servelab.platforms.ome.service import inference_service, object_name
from servelab.spec.deployment import MODEL_PATH, Deployment, Launch, Mark
from servelab.spec.errors import DeployError, DocumentError, MeasureError
from servelab.spec.load import LoadPoint
from servelab.spec.model import EngineConfig, Model, Resources
from servelab.spec.workload import Workload

MODEL = Model(id="meta-llama/Llama-3.2-1B-Instruct")


def launched(name: str = "sglang", accelerators: int = 1, **parameters: Any) -> Launch:
    """A launch as a trial makes it."""
    platform = OmePlatform({})
    model, config = platform.seen(MODEL, EngineConfig(name=name))
    launch = engine(name).launch(model, config, parameters, platform.address())
    return launch.model_copy(update={"accelerators": accelerators, "model": MODEL.id})


def rendered(launch: Launch | None = None, mark: Mark | None = None, **options: Any) -> Manifest:
    """The InferenceService of a trial."""
    trial = mark or Mark(study="simple-tune-ab12c", trial=1)
    return inference_service(launch or launched(), trial, OmeOptions.model_validate(options), "me/1/2")


def runner(manifest: Manifest) -> dict[str, Any]:
    """Its engine's container."""
    return dict(manifest["spec"]["engine"]["runner"])


async def accepted(cluster: Cluster, manifest: Manifest) -> Manifest:
    """What the real API server makes of an object; nothing of it may be lost, nor be against the schema."""
    stored = await cluster.apply(manifest, dry_run=True)
    assert list(dropped(manifest, stored)) == []
    schemas = await cluster_schemas(cluster, KINDS)
    assert schemas is not None
    schema = schemas(manifest["apiVersion"], manifest["kind"])
    assert schema is not None
    assert list(check_openapi(manifest, schema)) == []
    return stored


def job(**changes: Any) -> Job:
    """A measurement for a BenchmarkJob."""
    workload = Workload.model_validate({"prompt": 100, "output": 100, "api": "chat", **changes})
    deployment = Deployment(url="http://127.0.0.1:1", model=MODEL.id, engine="sglang", service="ns/simple-tune-t1")
    load = LoadPoint(kind="concurrency", level=4, requests=50)
    return Job(deployment=deployment, workload=workload, load=load, seed=0, directory=Path())


SERVICE = {"metadata": {"name": "simple-tune-t1", "namespace": "ns", "uid": "u", "labels": {"servelab/study": "s"}}}


async def test_bug_1_labels_are_texts(ome: Cluster) -> None:
    manifest = rendered(mark=Mark(study="simple-tune-ab12c", trial=7, attempt=101))
    assert manifest["metadata"]["labels"]["servelab/trial"] == "7"
    assert all(isinstance(value, str) for value in manifest["metadata"]["labels"].values())
    await accepted(ome, manifest)


async def test_bug_2_the_container_has_its_name(ome: Cluster) -> None:
    assert runner(await accepted(ome, rendered()))["name"] == "ome-container"
    assert runner(rendered(engine={"runner": {"imagePullPolicy": "Always"}}))["name"] == "ome-container"


async def test_bug_3_the_path_of_the_model_is_left_to_kubernetes(ome: Cluster) -> None:
    arguments = runner(await accepted(ome, rendered()))["args"]
    assert arguments[arguments.index("--model-path") + 1] == MODEL_PATH == "$(MODEL_PATH)"
    file, _ = OmePlatform({}).seen(Model(id="some/model-GGUF", path="model-Q4.gguf"), EngineConfig(name="llamacpp"))
    assert file.path == "$(MODEL_PATH)/model-Q4.gguf"
    other = runner(rendered(launched(chat_template="$(HOME)/t")))["args"]
    assert not any(word.startswith("$(HOME") or "=$(HOME" in word for word in other)
    assert any("$$(HOME)/t" in word for word in other)


async def test_bug_4_a_benchmark_says_where_its_results_go(ome: Cluster) -> None:
    manifest = benchmark_job("b", SERVICE, job(), BenchmarkJobOptions())
    manifest["metadata"]["namespace"] = ome.namespace
    stored = await accepted(ome, manifest)
    assert stored["spec"]["outputLocation"]["storageUri"].startswith("pvc://")
    del manifest["spec"]["outputLocation"]
    with pytest.raises(RefusedError, match="outputLocation"):
        await ome.apply(manifest, dry_run=True)


async def test_bug_5_results_are_stored_where_ome_can(ome: Cluster) -> None:
    with pytest.raises(DocumentError, match="neither pvc://"):
        harness("benchmark-job", {"output": "local:///tmp/benchmark-results"})
    with pytest.raises(DocumentError, match="mirror"):
        harness("benchmark-job", {"output": "oci://n/tenancy/b/results/o/tuning"})
    assert BenchmarkJobOptions(output="oci://n/tenancy/b/results/o/tuning", mirror="/mnt/bucket").claim == ("", "")  # type: ignore[arg-type]
    claim, path = BenchmarkJobOptions(output="pvc://benchmark-results-pvc/a/b").claim
    assert (claim, path) == ("benchmark-results-pvc", "a/b")
    assert await ensure_claim(ome, claim, "1Gi")
    assert not await ensure_claim(ome, claim, "1Gi")
    assert (await ome.get(CLAIM, claim))["spec"]["accessModes"] == ["ReadWriteOnce"]


async def test_results_in_a_bucket_are_read_where_it_is_mounted(tmp_path: Path) -> None:
    mounted, work = tmp_path / "bucket", tmp_path / "work"
    (mounted / "run").mkdir(parents=True)
    (mounted / "run" / "result.json").write_text("{}")
    options = {"output": "oci://n/tenancy/b/results/o/tuning", "mirror": str(mounted)}
    fetched = await BenchmarkJob(options)._fetch(None, SERVICE, "run", work)  # type: ignore[arg-type]
    assert [file.name for file in fetched.iterdir()] == ["result.json"]


async def test_bug_6_an_image_that_cannot_be_had_is_told_at_once() -> None:
    pod = waiting_pod("ImagePullBackOff", "Back-off pulling image kllambda/genai-bench:v251014")
    failure = progress(SERVICE, [pod]).failure
    assert failure is not None
    assert failure.kind == "image_pull"
    assert "Back-off pulling" in failure.evidence
    assert progress(SERVICE, [waiting_pod("ErrImagePull", "once")]).failure is None  # Kubernetes tries again


async def test_bug_7_out_of_memory_is_an_observation() -> None:
    log = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 128.00 MiB"
    failure = engine("sglang").diagnose(log, 1)
    assert failure is not None
    assert failure.kind == "out_of_memory"
    ended = progress(SERVICE, [ended_pod(137, "OOMKilled")])
    assert ended.failure is not None
    assert ended.failure.kind == "out_of_memory"
    crashed = progress(SERVICE, [ended_pod(137, "Error")])
    assert crashed.ended is not None
    assert crashed.ended.code == -9


async def test_bug_8_a_tokenizer_does_not_decide_over_the_endpoint(ome: Cluster) -> None:
    """OME brings the model's own tokenizer where the service is named, which it always is; a gated one has a Secret."""
    own = benchmark_job("b", SERVICE, job(), BenchmarkJobOptions(hugging_face_secret="hf"))
    named = dataclasses.replace(job(), tokenizer="meta-llama/Llama-3.2-1B-Instruct")
    assert benchmark_job("b", SERVICE, named, BenchmarkJobOptions(hugging_face_secret="hf")) == own
    own["metadata"]["namespace"] = ome.namespace
    assert (await accepted(ome, own))["spec"]["huggingFaceSecretReference"] == {"name": "hf"}


async def test_bug_9_no_backend_is_named_that_asks_for_a_key(ome: Cluster) -> None:
    manifest = benchmark_job("b", SERVICE, job(), BenchmarkJobOptions())
    manifest["metadata"]["namespace"] = ome.namespace
    said = json.dumps((await accepted(ome, manifest))["spec"])
    assert "apiFormat" not in said
    assert "openai" not in said


async def test_bug_11_the_service_is_named_since_a_url_cannot_carry_a_key(ome: Cluster) -> None:
    manifest = benchmark_job("b", SERVICE, job(), BenchmarkJobOptions())
    manifest["metadata"]["namespace"] = ome.namespace
    stored = await accepted(ome, manifest)
    assert stored["spec"]["endpoint"] == {"inferenceService": {"name": "simple-tune-t1", "namespace": "ns"}}
    by_url = {"url": "http://engine:8080", "apiFormat": "openai", "modelName": "m", "apiKey": "k"}
    manifest["spec"]["endpoint"] = {"endpoint": by_url}
    assert list(dropped(manifest, await ome.apply(manifest, dry_run=True))) == ["spec.endpoint.endpoint.apiKey"]


async def test_bug_10_only_what_differs_from_the_runtime_is_said(ome: Cluster) -> None:
    """The image stays the runtime's, and no field is used that OME does not have."""
    manifest = await accepted(ome, rendered(runtime="sglang"))
    assert "image" not in runner(manifest)
    assert manifest["spec"]["runtime"]["name"] == "sglang"
    assert "runtimeParameters" not in str(manifest["spec"])
    named = launched().model_copy(update={"image": "lmsysorg/sglang:v0.5.5"})
    assert runner(await accepted(ome, rendered(named)))["image"] == "lmsysorg/sglang:v0.5.5"
    wrong = rendered(engine={"resources": {"limits": {"nvidia.com/gpu": "1"}}})
    assert list(dropped(wrong, await ome.apply(wrong, dry_run=True))) == ["spec.engine.resources"]


async def test_bug_12_kubernetes_chooses_the_gpus(ome: Cluster) -> None:
    launch = launched(accelerators=2, tp_size=2)
    resources = runner(await accepted(ome, rendered(launch)))["resources"]
    assert resources["limits"] == resources["requests"] == {"nvidia.com/gpu": "2"}
    chosen = launch.model_copy(update={"environment": {"CUDA_VISIBLE_DEVICES": "7"}})
    with pytest.raises(DeployError, match="Kubernetes says which"):
        rendered(chosen)


async def test_bug_13_the_states_of_a_benchmark_are_those_of_its_status(ome: Cluster) -> None:
    manifest = benchmark_job("b", SERVICE, job(), BenchmarkJobOptions())
    manifest["metadata"] |= {"namespace": ome.namespace, "ownerReferences": []}
    await ome.apply(manifest)
    states = ("Pending", "Running", "Failed", "Completed")
    for state in states:
        await ome.merge(BENCHMARK_JOB, "b", {"status": {"state": state}}, subresource="status")
    assert "Completed" in DONE
    assert "Complete" in DONE  # of an older OME
    schemas = await cluster_schemas(ome, [BENCHMARK_JOB])
    assert schemas is not None
    schema = schemas(BENCHMARK_JOB.api_version, BENCHMARK_JOB.name)
    assert schema is not None
    assert set(schema["properties"]["status"]["properties"]["state"]["enum"]) == set(states)


async def test_ready_without_pods_is_not_ready() -> None:
    ready = {**SERVICE, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    now = progress(ready, [])
    assert not now.ready
    assert now.stage == "pod"
    assert "it says Ready, and there is no pod" in now.text


async def test_a_model_without_format_has_a_remedy(ome: Cluster) -> None:
    options = OmeOptions.model_validate({"model": {"preset": "llama-3-2-1b-instruct"}, "runtime": {"preset": "sglang"}})
    model = await accepted(ome, base_model(options.model, MODEL.id))
    assert model["metadata"]["name"] == dns_name(MODEL.id) == "llama-3-2-1b-instruct"
    assert model["spec"]["modelFormat"]["name"] == "safetensors"
    assert model["spec"]["modelParameterSize"] == "1.24B"
    await accepted(ome, serving_runtime(options.runtime, options))
    info = {"reason": "RuntimeNotReady", "message": "model format 'mt:' not in supported formats"}
    status = {"modelStatus": {"transitionStatus": "InvalidSpec", "lastFailureInfo": info}}
    failure = progress({**SERVICE, "status": status}, []).failure
    assert failure is not None
    assert "modelFormat" in failure.remedy


async def test_every_engine_and_option_is_taken_as_it_is(ome: Cluster) -> None:
    more = {
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
        "nodeSelector": {"gpu": "h100"},
        "volumes": [{"name": "cache", "emptyDir": {}}],
        "runner": {"volumeMounts": [{"name": "cache", "mountPath": "/cache"}], "env": [{"name": "A", "value": "b"}]},
    }
    for name in ("vllm", "sglang", "simulated", "llamacpp"):
        launch = launched(name).model_copy(
            update={
                "environment": {"HF_HUB_OFFLINE": "1"},
                "environment_from": ("HF_TOKEN",),
                "resources": Resources(cpus=8, memory_gb=64),
            }
        )
        stored = runner(await accepted(ome, rendered(launch, secret="hf", engine=more)))
        by_name = {one["name"]: one for one in stored["env"]}
        assert by_name["HF_TOKEN"]["valueFrom"]["secretKeyRef"] == {"name": "hf", "key": "HF_TOKEN"}
        assert by_name["A"]["value"] == "b"
        assert by_name["SERVELAB_STUDY"]["value"] == "simple-tune-ab12c"
        assert stored["resources"]["requests"] == {"nvidia.com/gpu": "1", "cpu": "8", "memory": "64000M"}
        assert [*stored["command"], *stored["args"]] == [*launch.command]
    with pytest.raises(DeployError, match="no place for a secret") as caught:
        rendered(launched().model_copy(update={"environment_from": ("HF_TOKEN",)}))
    assert "--from-file=HF_TOKEN=" in caught.value.remedy, "a value on a command line is seen by everybody"


async def test_names_are_short_enough_for_what_ome_makes_of_them(ome: Cluster) -> None:
    mark = Mark(study="a-study-with-a-name-as-long-as-they-may-be-ab12c", trial=1234)
    name = object_name(mark)
    assert len(f"isvc.{name}-engine") <= 63
    assert "ab12c" in name
    await accepted(ome, rendered(mark=mark))
    assert INFERENCE_SERVICE.name in (await ome.kinds(INFERENCE_SERVICE.api_version))


async def test_an_engine_that_is_no_service_cannot_have_a_benchmark_job() -> None:
    alone = job()
    alone = dataclasses.replace(alone, deployment=alone.deployment.model_copy(update={"service": None}))
    with pytest.raises(MeasureError, match="measures an InferenceService"):
        await harness("benchmark-job", {}).measure(alone, lambda _: None)


def waiting_pod(reason: str, message: str) -> Manifest:
    state = {"waiting": {"reason": reason, "message": message}}
    return a_pod({"name": "ome-container", "state": state, "image": "an/image:tag"})


def ended_pod(code: int, reason: str) -> Manifest:
    return a_pod({"name": "ome-container", "state": {"terminated": {"exitCode": code, "reason": reason}}})


def a_pod(status: dict[str, Any]) -> Manifest:
    return {
        "metadata": {"name": "p"},
        "spec": {"nodeName": "n"},
        "status": {"containerStatuses": [status]},
    }
