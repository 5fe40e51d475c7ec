"""A namespace with OME's definitions, a model and a runtime, and a kubeconfig whose context means it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from servelab.kube.cluster import Cluster
from servelab.kube.ensure import ensure
from servelab.platforms.ome.kinds import CLUSTER_BASE_MODEL, CLUSTER_SERVING_RUNTIME
from tests.kubernetes import Kubernetes, definitions
from tests.platforms.ome.lab import base_model, runtime


@pytest.fixture
async def ome(api: Kubernetes, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The cluster in a namespace of the test's own, which KUBECONFIG's context names."""
    definitions("ome")
    yaml = YAML(typ="safe", pure=True)
    document = yaml.load(api.kubeconfig().read_text())
    document["contexts"][0]["context"]["namespace"] = cluster.namespace
    file = tmp_path / "kubeconfig"
    with file.open("w") as sink:
        yaml.dump(document, sink)
    monkeypatch.setenv("KUBECONFIG", str(file))
    await ensure(cluster, CLUSTER_BASE_MODEL, base_model())
    await ensure(cluster, CLUSTER_SERVING_RUNTIME, runtime())
    return cluster
