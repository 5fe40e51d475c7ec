"""The accelerators of a cluster, counted against a real API server."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from servelab.kube.cluster import Cluster
from servelab.kube.kinds import NODE, POD
from servelab.request.cluster import free_accelerators
from servelab.request.values import own_values
from tests.kubernetes import Kubernetes

PRODUCT = "NVIDIA-OF-THIS-TEST"
VALUES = own_values().model_copy(update={"accelerators": (PRODUCT,)})


@pytest.mark.usefixtures("tekton")
async def test_what_one_engine_could_have(cluster: Cluster, api: Kubernetes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("servelab.request.cluster.TIMEOUT", 120.0)  # a busy machine is no cluster that is silent
    assert await free_accelerators(VALUES, api.kubeconfig()) == 0
    name = f"gpus-of-{cluster.namespace}"
    await cluster.create(NODE, {"metadata": {"name": name, "labels": {VALUES.accelerator_label: PRODUCT}}})
    amounts = {"nvidia.com/gpu": "8", "pods": "100"}
    ready = {"allocatable": amounts, "capacity": amounts, "conditions": [{"type": "Ready", "status": "True"}]}
    await cluster.merge(NODE, name, {"status": ready}, subresource="status")
    assert await free_accelerators(VALUES, api.kubeconfig()) == 8
    taken = {"name": "vllm", "image": "vllm", "resources": {"limits": {"nvidia.com/gpu": "4"}}}
    await cluster.create(POD, {"metadata": {"name": "engine"}, "spec": {"nodeName": name, "containers": [taken]}})
    assert await free_accelerators(VALUES, api.kubeconfig()) == 4
    await cluster.delete(NODE, name)


async def test_a_cluster_that_does_not_answer_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()  # takes connections, and says nothing
        config = tmp_path / "config"
        config.write_text(
            f"""
apiVersion: v1
kind: Config
current-context: here
clusters: [{{name: here, cluster: {{server: "http://127.0.0.1:{silent.getsockname()[1]}"}}}}]
contexts: [{{name: here, context: {{cluster: here, user: me}}}}]
users: [{{name: me, user: {{token: none}}}}]
"""
        )
        monkeypatch.setenv("KUBECONFIG", str(config))
        assert await free_accelerators(VALUES) is None
    assert await free_accelerators(VALUES) is None  # nobody listens


async def test_without_a_kubeconfig_nobody_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert await free_accelerators(VALUES) is None
