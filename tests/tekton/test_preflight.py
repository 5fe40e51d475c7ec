"""The checks before a run, each against a real API server in the state that it is to find."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from servelab.cli.main import app
from servelab.kube.cluster import Cluster, connect
from servelab.kube.kinds import CLAIM, NAMESPACE, NODE, POD, QUOTA, SECRET, Manifest
from servelab.kube.labels import marked
from servelab.spec.finding import Finding
from servelab.tekton.accelerators import accelerator_nodes
from servelab.tekton.collision import next_free
from servelab.tekton.installation import CONFIG, DEPLOYMENT
from servelab.tekton.kinds import PIPELINE_RUN
from servelab.tekton.needs import Needs, needs_of, usual_needs
from servelab.tekton.preflight import preflight
from servelab.tekton.prerequisites import SERVICE_ACCOUNT
from tests.kubernetes import Kubernetes

pytestmark = [pytest.mark.usefixtures("tekton"), pytest.mark.timeout(900)]

LABEL = "nvidia.com/gpu.product"
H100 = "NVIDIA-H100-80GB-HBM3"


async def found(cluster: Cluster, needs: Needs | None = None, **options: Any) -> dict[str, Finding]:
    return {finding.check: finding async for finding in preflight(cluster, needs or usual_needs(), **options)}


async def claim(cluster: Cluster, name: str, size: str, phase: str = "Bound", **spec: Any) -> None:
    requests = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec}
    await cluster.create(CLAIM, {"metadata": {"name": name}, "spec": requests})
    await cluster.merge(CLAIM, name, {"status": {"phase": phase, "capacity": {"storage": size}}}, subresource="status")


async def secret(cluster: Cluster, name: str, *keys: str) -> None:
    await cluster.create(
        SECRET, {"metadata": {"name": name}, "stringData": dict.fromkeys(keys, "of-nobody's-business")}
    )


async def node(cluster: Cluster, name: str, accelerators: int, ready: str = "True") -> None:
    await cluster.delete(NODE, name)
    await cluster.create(NODE, {"metadata": {"name": name, "labels": {LABEL: H100}}})
    amounts = {"nvidia.com/gpu": str(accelerators), "pods": "100"}
    conditions = [{"type": "Ready", "status": ready}]
    status = {"allocatable": amounts, "capacity": amounts, "conditions": conditions}
    await cluster.merge(NODE, name, {"status": status}, subresource="status")


def engine(name: str, on: str, accelerators: int) -> Manifest:
    resources = {"limits": {"nvidia.com/gpu": str(accelerators)}}
    return {
        "metadata": {"name": name},
        "spec": {"nodeName": on, "containers": [{"name": "vllm", "image": "vllm", "resources": resources}]},
    }


async def test_all_is_well(cluster: Cluster) -> None:
    await secret(cluster, "hf-secret", "HF_TOKEN")
    await secret(cluster, "s3-secret", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    await claim(cluster, "model-pvc", "300Gi")
    await claim(cluster, "data-pvc", "1Ti")
    await cluster.create(SERVICE_ACCOUNT, {"metadata": {"name": "helm-installer"}})
    mine = f"gpu-{cluster.namespace}"
    await node(cluster, mine, 1)
    try:
        findings = await found(cluster, replace(usual_needs(), run="mine"))
    finally:
        await cluster.delete(NODE, mine)
    assert {check for check, finding in findings.items() if finding.verdict == "problem"} == set()
    assert findings["hf-secret"].text == "secret found, with HF_TOKEN"
    assert findings["data-pvc"].text == "claim bound (1Ti)"
    assert findings["experiment id"].text == "'mine' is free"
    assert findings["helm-installer"].text == "service account found"
    assert findings["accelerators"].verdict == "ok"
    assert "v1.20" in findings["cluster"].text or "Kubernetes v1" in findings["cluster"].text
    assert findings["Tekton"].verdict == "note"  # its definitions are here, its controller is not
    assert "business" not in str(findings)


async def test_a_missing_namespace_is_offered_and_created(api: Kubernetes) -> None:
    name = f"not-there-yet-{uuid.uuid4().hex[:8]}"
    async with connect(kubeconfig=api.kubeconfig(), namespace=name) as cluster:
        findings = await found(cluster)
        assert findings["namespace"].verdict == "problem"
        assert f"kubectl create namespace {name}" in findings["namespace"].remedy
        assert "hf-secret" not in findings  # what depends on it is not asked for
        assert (await found(cluster, fix=True))["namespace"].verdict == "ok"
        assert await cluster.find(NAMESPACE, name) is not None


async def test_secrets_and_claims_that_are_wrong(cluster: Cluster) -> None:
    await secret(cluster, "hf-secret", "token")
    await claim(cluster, "model-pvc", "200Gi")
    await claim(cluster, "data-pvc", "20Gi", phase="Pending", storageClassName="slow")
    findings = await found(cluster)
    assert findings["hf-secret"].text == "the secret lacks HF_TOKEN; it has token"
    assert findings["s3-secret"].verdict == "note"  # uploading is optional
    assert "there is no secret s3-secret" in findings["s3-secret"].text
    assert "--from-file=AWS_SECRET_ACCESS_KEY" in findings["s3-secret"].remedy
    assert findings["model-pvc"].text == "the claim has 200Gi, and 300Gi is needed"
    assert findings["data-pvc"].text == "the claim is Pending, not Bound; its storage class is slow"
    assert all(findings[name].verdict == "problem" for name in ("hf-secret", "model-pvc", "data-pvc"))
    assert findings["helm-installer"].verdict == "problem"
    assert "servelab tekton manifests roles" in findings["helm-installer"].remedy
    assert (await found(cluster, Needs(secrets={"s3-secret": ("KEY",)})))["s3-secret"].verdict == "problem"


async def test_a_claim_that_waits_for_its_pod_is_no_problem(cluster: Cluster) -> None:
    name = f"later-{cluster.namespace}"
    await cluster.apply(
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": name},
            "provisioner": "x/y",
            "volumeBindingMode": "WaitForFirstConsumer",
        }
    )
    await claim(cluster, "data-pvc", "20Gi", phase="Pending", storageClassName=name)
    assert (await found(cluster))["data-pvc"].verdict == "note"


async def test_a_user_without_rights_is_told_which(api: Kubernetes, cluster: Cluster) -> None:
    async with connect(kubeconfig=api.kubeconfig("dev"), namespace=cluster.namespace) as dev:
        findings = await found(dev)
    assert findings["namespace"].verdict == "note"
    assert findings["rights"].verdict == "problem"
    assert "create pipelineruns.tekton.dev" in findings["rights"].text
    assert "create pods/exec" in findings["rights"].text
    assert "--verb=create --resource=pipelineruns.tekton.dev" in findings["rights"].remedy


async def test_accelerators_that_pods_hold_are_not_free(cluster: Cluster) -> None:
    needs = replace(usual_needs(), accelerators=4, products=(H100,))
    mine = f"gpu-{cluster.namespace}"
    try:
        await node(cluster, f"{mine}-a", 8)
        await node(cluster, f"{mine}-down", 8, ready="False")
        await cluster.create(POD, engine("one", f"{mine}-a", 4))
        await cluster.create(POD, engine("over", f"{mine}-a", 2))
        await cluster.merge(POD, "over", {"status": {"phase": "Succeeded"}}, subresource="status")
        nodes = await accelerator_nodes(cluster, LABEL, (H100,))
        assert [(one.name, one.allocatable, one.used, one.free) for one in nodes] == [(f"{mine}-a", 8, 4, 4)]
        assert (await found(cluster, needs))["accelerators"].verdict == "ok"
        await cluster.create(POD, engine("two", f"{mine}-a", 2))
        short = (await found(cluster, needs))["accelerators"]
        assert short.verdict == "problem"
        assert f"only 2 on one node ({mine}-a), 2 in all" in short.text
        assert "[2] reduce tensor parallelism to 2" in short.remedy
        other = (await found(cluster, replace(needs, products=("NVIDIA-A100",))))["accelerators"]
        assert "no ready node has NVIDIA-A100" in other.text
        await node(cluster, f"{mine}-b", 8)
        assert (await found(cluster, needs))["accelerators"].verdict == "ok"
        await cluster.create(QUOTA, {"metadata": {"name": "tight"}, "spec": {"hard": {"requests.nvidia.com/gpu": "3"}}})
        limited = (await found(cluster, needs))["accelerators"]
        assert "ResourceQuota tight leaves 3" in limited.text
        assert "reduce tensor parallelism to 3" in limited.remedy
    finally:
        for name in ("a", "down", "b"):
            await cluster.delete(NODE, f"{mine}-{name}")


async def test_the_version_and_a_controller_that_is_not_ready(cluster: Cluster) -> None:
    labels = {
        "app.kubernetes.io/name": "controller",
        "app.kubernetes.io/part-of": "tekton-pipelines",
        "app.kubernetes.io/version": "v1.9.0",
    }
    pods = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "c"}]}}
    controller = {"metadata": {"name": "tekton", "labels": labels}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": pods}
    await cluster.create(DEPLOYMENT, {**controller, "spec": spec})
    try:
        assert "v1.9.0 is installed, but its controller" in (await found(cluster))["Tekton"].text
        ready = {"status": {"readyReplicas": 1, "replicas": 1}}
        await cluster.merge(DEPLOYMENT, "tekton", ready, subresource="status")
        assert (await found(cluster))["Tekton"].text.startswith("Tekton v1.9.0, controller ready in t-")
    finally:
        await cluster.delete(DEPLOYMENT, "tekton")


async def test_the_cluster_resolver(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("servelab.tekton.installation.RESOLVER_HOMES", (cluster.namespace,))
    needs = Needs(resolved_in=("pipelines",))

    async def resolver() -> Finding:
        return (await found(cluster, needs))["cluster resolver"]

    async def config(name: str, **data: str) -> None:
        manifest = {"apiVersion": "v1", "kind": CONFIG.name, "metadata": {"name": name}}
        await cluster.apply({**manifest, "data": {key.replace("_", "-"): value for key, value in data.items()}})

    assert (await resolver()).verdict == "note"
    await config("resolvers-feature-flags", enable_cluster_resolver="false")
    assert (await resolver()).text == "it is switched off"
    await config("resolvers-feature-flags", enable_cluster_resolver="true")
    assert (await resolver()).verdict == "ok"
    await config("cluster-resolver-config", allowed_namespaces="a, b")
    assert (await resolver()).text == "it may not fetch Tasks from pipelines"
    await config("cluster-resolver-config", allowed_namespaces="a,pipelines")
    assert (await resolver()).verdict == "ok"


async def test_what_is_taken_and_what_is_to_be_applied(cluster: Cluster) -> None:
    spec = {"pipelineRef": {"name": "p"}}
    for name in ("mine", "mine-v2"):
        await cluster.create(PIPELINE_RUN, marked({"metadata": {"name": name}, "spec": spec}, name))
    steps = [{"name": "say", "image": "busybox", "script": "true"}]
    task = {"apiVersion": "tekton.dev/v1", "kind": "Task", "metadata": {"name": "greet"}, "spec": {"steps": steps}}
    needs = replace(usual_needs(), run="mine", definitions=(task,))
    findings = await found(cluster, needs)
    assert "1 of 1 StepActions and Tasks are not there yet" in findings["definitions"].text
    assert findings["experiment id"].remedy.splitlines()[0] == "[1] use another id: --id mine-v3"
    await cluster.apply(task)
    assert (await found(cluster, needs))["definitions"].verdict == "ok"


@pytest.mark.parametrize(
    ("name", "taken", "free"),
    [
        ("a", ["a"], "a-v2"),
        ("a-v2", ["a-v2", "a-v3"], "a-v4"),
        ("x" * 50, [], "x" * 37 + "-v2"),
        ("a-v", ["a-v"], "a-v-v2"),
    ],
)
def test_the_next_free_name(name: str, taken: list[str], free: str) -> None:
    assert next_free(name, taken) == free


def test_what_a_run_needs() -> None:
    run = {
        "metadata": {"name": "r"},
        "spec": {
            "taskRunTemplate": {"serviceAccountName": "installer"},
            "workspaces": [
                {"name": "model-cache", "persistentVolumeClaim": {"claimName": "models"}},
                {"name": "token", "secret": {"secretName": "hf", "items": [{"key": "HF_TOKEN", "path": "t"}]}},
            ],
        },
    }
    parameters = [{"name": "kind", "value": "task"}, {"name": "namespace", "value": "pipelines"}]
    pipeline = {"spec": {"tasks": [{"name": "a", "taskRef": {"resolver": "cluster", "params": parameters}}]}}
    decode = {"acceleratorTypes": {"labelKey": LABEL, "labelValues": [H100]}}
    stack = {"treatments": {"tensorParallelism": [2, 4]}, "model": {"helmValues": {"decode": decode}}}
    assert needs_of(run, pipeline, (), {"stack": stack}) == Needs(
        run="r",
        secrets={"hf": ("HF_TOKEN",)},
        claims={"models": "300Gi"},
        service_account="installer",
        accelerators=4,
        products=(H100,),
        resolved_in=("pipelines",),
    )


def test_doctor_tells_by_its_exit_code(
    api: Kubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig()))
    assert app(["doctor", "--cluster", "-n", "nowhere-at-all", "--json"]) == 1
    told = {finding["check"]: finding for finding in json.loads(capsys.readouterr().out)}
    assert told["namespace"]["verdict"] == "problem"
    assert app(["doctor", "--cluster", "-n", "default"]) == 1
    assert "kind: PersistentVolumeClaim" in capsys.readouterr().out
    assert app(["doctor", "--cluster", "-n", "default", "--json"]) == 1
    checks = {finding["check"] for finding in json.loads(capsys.readouterr().out)}
    documented = {"definitions", "cluster resolver", "helm-installer", "accelerators", "rights", "Tekton"}
    assert checks >= documented | {"hf-secret", "s3-secret", "model-pvc", "data-pvc"}
    assert app(["doctor", "--cluster", "-n", "default", "--accelerators", "0", "--json"]) == 1
    assert "accelerators" not in {finding["check"] for finding in json.loads(capsys.readouterr().out)}
    file = tmp_path / "config"
    file.write_text(
        "{current-context: x, clusters: [{name: x, cluster: {server: 'https://127.0.0.1:1'}}],"
        " contexts: [{name: x, context: {cluster: x}}]}"
    )
    monkeypatch.setenv("KUBECONFIG", str(file))
    assert app(["doctor", "--cluster", "-n", "default"]) == 1
    assert "cannot reach https://127.0.0.1:1" in capsys.readouterr().out
