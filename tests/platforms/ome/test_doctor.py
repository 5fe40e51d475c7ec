"""``servelab doctor --platform ome`` against a real API server, in the states that it is to find."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from servelab.kube.cluster import Cluster
from servelab.kube.kinds import DEFINITION, DEPLOYMENT, NODE, Kind, Manifest
from servelab.platforms.ome.doctor import MUTATING, examine
from servelab.platforms.ome.options import OmeOptions
from servelab.spec.finding import Finding
from tests.kubernetes import Kubernetes
from tests.lab.studies import SERVELAB
from tests.platforms.ome.conftest import documented_role


async def found(options: OmeOptions | None = None, accelerators: int = 0) -> dict[str, Finding]:
    return {finding.check: finding for finding in await examine(options or OmeOptions(), accelerators)}


@asynccontextmanager
async def present(cluster: Cluster, kind: Kind, manifest: Manifest) -> AsyncIterator[None]:
    """An object that all tests on this API server would see, for a while."""
    await cluster.create(kind, manifest)
    try:
        yield
    finally:
        await cluster.delete(kind, manifest["metadata"]["name"], manifest["metadata"].get("namespace", ""))


def definition(name: str) -> Manifest:
    plural, _, group = name.partition(".")
    schema = {"openAPIV3Schema": {"type": "object"}}
    versions = [{"name": "v1", "served": True, "storage": True, "schema": schema}]
    names = {"plural": plural, "kind": plural.capitalize()}
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": versions}
    return {"metadata": {"name": name, "labels": {"app.kubernetes.io/version": "v1.16.2"}}, "spec": spec}


def controller(namespace: str) -> Manifest:
    labels = {"control-plane": "ome-controller-manager"}
    container = {"name": "manager", "image": "ghcr.io/moirai-internal/ome-manager:v0.1.3"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": 3, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": "ome-controller-manager", "namespace": namespace, "labels": labels}, "spec": spec}


async def test_a_cluster_that_lacks_everything_but_the_definitions(ome: Cluster) -> None:
    checks = await found()
    assert checks["OME"].verdict == "ok"
    for check, words in (("cert-manager", "jetstack/cert-manager"), ("KEDA", "rollout restart")):
        assert checks[check].verdict == "problem"
        assert words in checks[check].remedy
    assert checks["controller"].verdict == "problem"
    assert "ome-resources" in checks["controller"].remedy
    assert checks["namespace"].verdict == "ok"
    assert checks["rights"].verdict == "ok"
    assert "smollm2-135m-instruct" in checks["models"].text
    assert "host" in checks["runtimes"].text
    assert checks["accelerators"].verdict == "note"
    assert "device plugin" in checks["accelerators"].remedy


async def test_a_cluster_that_has_everything(ome: Cluster) -> None:
    node: dict[str, Any] = {"metadata": {"name": f"gpus-{ome.namespace}"}}
    async with (
        present(ome, DEFINITION, definition("certificates.cert-manager.io")),
        present(ome, DEFINITION, definition("scaledobjects.keda.sh")),
        present(ome, DEPLOYMENT, controller(ome.namespace)),
        present(ome, NODE, node),
    ):
        status: dict[str, Any] = {"replicas": 3, "readyReplicas": 2}
        await ome.merge(DEPLOYMENT, "ome-controller-manager", {"status": status}, subresource="status")
        amounts = {"nvidia.com/gpu": "8", "pods": "100"}
        status = {"allocatable": amounts, "capacity": amounts}
        await ome.merge(NODE, node["metadata"]["name"], {"status": status}, subresource="status")
        checks = await found(accelerators=8)
        assert {name: one.text for name, one in checks.items() if one.verdict == "problem"} == {}
        assert checks["cert-manager"].text == "installed (v1.16.2)"
        assert checks["controller"].text.startswith(f"2 of 3 replicas ready in {ome.namespace}")
        assert "at most 8 on one" in checks["accelerators"].text
        assert (await found(accelerators=16))["accelerators"].verdict == "problem"
        await ome.merge(DEPLOYMENT, "ome-controller-manager", {"status": {"readyReplicas": 0}}, subresource="status")
        assert (await found())["controller"].verdict == "problem"


async def test_a_webhook_that_does_not_answer(ome: Cluster) -> None:
    rule = {
        "apiGroups": ["ome.io"],
        "apiVersions": ["v1beta1"],
        "operations": ["CREATE"],
        "resources": ["inferenceservices"],
    }
    hook = {
        "name": "inferenceservice.ome-webhook-server.defaulter",
        "clientConfig": {"url": "https://127.0.0.1:1/mutate"},
        "rules": [rule],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 1,
    }
    async with present(ome, MUTATING, {"metadata": {"name": "inferenceservice.ome.io"}, "webhooks": [hook]}):
        async with asyncio.timeout(200):
            while (check := (await found())["webhooks"]).verdict != "problem":
                await asyncio.sleep(0.2)  # the API server takes a moment to know a webhook
    assert "failed calling webhook" in check.text
    assert "cert" in check.remedy


async def test_no_cluster_and_few_rights(api: Kubernetes, ome: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig("dev")))
    checks = await found(OmeOptions(namespace=ome.namespace))
    assert checks["rights"].verdict == "problem"
    assert "create inferenceservices.ome.io" in checks["rights"].text
    assert checks["KEDA"].verdict == "note"
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    (only,) = (await found()).values()
    assert only.verdict == "problem"
    assert "kubeconfig" in only.text


@pytest.mark.usefixtures("documented_rights")
@pytest.mark.timeout(600)
async def test_the_role_of_the_documentation_is_enough_and_nothing_of_it_is_missed(ome: Cluster) -> None:
    role, _ = documented_role(ome.namespace)
    await until_lacking(set())
    for rule in role["rules"]:
        (group,), (resource,) = rule["apiGroups"], rule["resources"]
        if resource in ("benchmarkjobs", "pods/exec", "persistentvolumeclaims"):
            continue  # the harness's, which the check does not know
        await ome.apply({**role, "rules": [other for other in role["rules"] if other is not rule]})
        remedy = await until_lacking({f"{resource}{group and f'.{group}'}"})
        assert "docs/ome.md" in remedy


async def until_lacking(resources: set[str]) -> str:
    """Wait until rights on exactly these are missed: the API server takes a moment to know a Role. The remedy."""
    async with asyncio.timeout(120):
        while True:
            check = (await found())["rights"]
            listed = check.text.removeprefix("you may not ").split(", ") if check.verdict == "problem" else []
            if {right.partition(" ")[2] for right in listed} == resources:
                return check.remedy
            await asyncio.sleep(0.2)


async def test_the_command(ome: Cluster) -> None:
    command = [*SERVELAB, "doctor", "--platform", "ome", "--namespace", "not-there-yet", "--json"]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 1, done.stderr
    checks = {one["check"]: one for one in json.loads(done.stdout)}
    assert checks["namespace"]["verdict"] == "note"
    assert "a study creates it" in checks["namespace"]["text"]
