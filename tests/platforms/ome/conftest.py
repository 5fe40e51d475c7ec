"""A namespace with OME's definitions, a model and a runtime, and a kubeconfig whose context means it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from servelab.kube.cluster import Cluster
from servelab.kube.ensure import ensure
from servelab.kube.kinds import Manifest
from servelab.platforms.ome.kinds import CLUSTER_BASE_MODEL, CLUSTER_SERVING_RUNTIME
from tests.kubernetes import ROOT, Kubernetes, definitions
from tests.platforms.ome.lab import base_model, runtime

USER = "dev"
"""Has no rights of its own."""


@pytest.fixture
async def ome(api: Kubernetes, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The cluster in a namespace of the test's own, which KUBECONFIG's context names."""
    definitions("ome")
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(api, "admin", cluster.namespace, tmp_path)))
    await ensure(cluster, CLUSTER_BASE_MODEL, base_model())
    await ensure(cluster, CLUSTER_SERVING_RUNTIME, runtime())
    return cluster


@pytest.fixture
async def documented_rights(api: Kubernetes, ome: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """KUBECONFIG is of a user who may do what the Role of docs/ome.md grants, and nothing else."""
    for manifest in documented_role(ome.namespace):
        await ome.apply(manifest)
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(api, USER, ome.namespace, tmp_path)))


def kubeconfig(api: Kubernetes, user: str, namespace: str, directory: Path) -> Path:
    """A kubeconfig of ``user`` in ``directory``, whose context means ``namespace``."""
    yaml = YAML(typ="safe", pure=True)
    document = yaml.load(api.kubeconfig(user).read_text())
    document["contexts"][0]["context"]["namespace"] = namespace
    file = directory / f"{user}.kubeconfig"
    with file.open("w") as sink:
        yaml.dump(document, sink)
    return file


def documented_role(namespace: str) -> list[Manifest]:
    """Role and RoleBinding of docs/ome.md, in ``namespace`` and for the user without rights."""
    text = (ROOT / "docs" / "ome.md").read_text()
    (block,) = (one for one in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "kind: Role\n" in one)
    block = block.replace("namespace: tuning", f"namespace: {namespace}").replace("name: you}", f"name: {USER}}}")
    return list(YAML(typ="safe", pure=True).load_all(block))
