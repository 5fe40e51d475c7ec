"""Reading, applying and deleting, on a real API server."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from servelab.kube.access import Right, may
from servelab.kube.cluster import Cluster, connect
from servelab.kube.errors import ConflictError, ForbiddenError, MissingError, RefusedError, UnreachableError
from servelab.kube.kinds import NODE, POD, Kind
from servelab.spec.errors import ClusterError
from tests.kubernetes import Kubernetes

CONFIG = Kind("v1", "ConfigMap", "configmaps")


def config(name: str, labels: dict[str, str] | None = None, **data: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels or {}}, "data": data}


async def test_apply_get_list_delete(cluster: Cluster) -> None:
    await cluster.apply(config("one", {"app": "a"}, x="1"))
    await cluster.apply(config("two", {"app": "b"}, x="2"))
    changed = await cluster.apply(config("one", {"app": "a"}, y="3"))
    assert changed["data"] == {"y": "3"}  # what we no longer apply is removed
    assert changed["metadata"]["managedFields"][0]["manager"] == "servelab"
    listed = await cluster.list(CONFIG, labels={"app": "a"})
    assert [item["metadata"]["name"] for item in listed.items] == ["one"]
    assert {item["metadata"]["name"] for item in (await cluster.list(CONFIG, labels={"app": None})).items} == {
        "one",
        "two",
    }
    assert await cluster.delete(CONFIG, "one")
    assert not await cluster.delete(CONFIG, "one")
    assert await cluster.find(CONFIG, "one") is None


async def test_a_list_comes_in_pages(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("servelab.kube.cluster.PAGE", 2)
    for number in range(5):
        await cluster.apply(config(f"c{number}"))
    names = [item["metadata"]["name"] for item in (await cluster.list(CONFIG)).items]
    assert [name for name in names if name.startswith("c")] == ["c0", "c1", "c2", "c3", "c4"]


async def test_the_server_checks_a_dry_run_and_stores_nothing(cluster: Cluster) -> None:
    await cluster.apply(config("dry"), dry_run=True)
    assert await cluster.find(CONFIG, "dry") is None
    with pytest.raises(RefusedError, match=r"data\[a/b\]: Invalid value"):
        await cluster.apply({**config("dry"), "data": {"a/b": "no"}}, dry_run=True)


async def test_a_field_of_another_manager_is_a_conflict(cluster: Cluster) -> None:
    await cluster.create(CONFIG, config("shared", x="theirs"))
    await cluster.http.patch(
        f"{cluster.path(CONFIG)}/shared",
        json=config("shared", x="theirs"),
        params={"fieldManager": "somebody", "force": "true"},
        headers={"Content-Type": "application/apply-patch+yaml"},
    )
    with pytest.raises(ConflictError, match="somebody"):
        await cluster.apply(config("shared", x="ours"))
    assert (await cluster.apply(config("shared", x="ours"), force=True))["data"] == {"x": "ours"}


async def test_a_kind_that_the_cluster_lacks(cluster: Cluster) -> None:
    with pytest.raises(ClusterError, match=r"no kind 'Thing' of 'example\.org/v1'\n.*CustomResourceDefinition"):
        await cluster.apply({"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "a"}})
    with pytest.raises(MissingError):
        await cluster.list(Kind("example.org/v1", "Thing", "things"))
    assert await cluster.find(Kind("example.org/v1", "Thing", "things"), "a") is None


@pytest.mark.parametrize("name", ["../secrets", "a/b", "A", "", "a" * 254, "-a", "a?b=c", "a\n"])
async def test_a_name_is_checked_before_it_reaches_a_path(cluster: Cluster, name: str) -> None:
    with pytest.raises(ClusterError, match="not a valid name"):
        await cluster.get(POD, name)
    with pytest.raises(ClusterError, match="not a valid"):
        await cluster.list(POD, labels={"app": f"{name},x!=y/"})
    if name:
        with pytest.raises(ClusterError, match="not a valid namespace"):
            await cluster.list(POD, name)


async def test_rights(api: Kubernetes, cluster: Cluster) -> None:
    assert await may(cluster, Right("create", "pods", subresource="exec"))
    async with connect(kubeconfig=api.kubeconfig("dev")) as dev:
        assert not await may(dev, Right("create", "pods", subresource="exec"))
        with pytest.raises(ForbiddenError) as refused:
            await dev.list(NODE)
    assert 'User "dev" cannot list resource "nodes"' in refused.value.message
    assert "--verb=list --resource=nodes" in refused.value.remedy


async def test_wrong_credentials(api: Kubernetes, tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(re.sub(r'(token"?: "?)[\w-]+', r"\1no-such-token", api.kubeconfig().read_text()))
    async with connect(kubeconfig=file) as stranger:
        with pytest.raises(RefusedError) as refused:
            await stranger.list(POD)
    assert refused.value.code == 401
    assert "log in to the cluster again" in refused.value.remedy
    assert "no-such-token" not in str(refused.value)


async def test_nothing_listens(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(_kubeconfig("https://127.0.0.1:1"))
    async with connect(kubeconfig=file) as nowhere:
        with pytest.raises(UnreachableError, match=r"cannot reach https://127\.0\.0\.1:1"):
            await nowhere.list(POD)


async def test_a_server_that_is_silent_is_said_to_be_late_not_to_have_a_wrong_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("servelab.kube.cluster.TIMEOUT", 0.5)
    file = tmp_path / "config"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        file.write_text(_kubeconfig(f"https://127.0.0.1:{silent.getsockname()[1]}"))
        async with connect(kubeconfig=file) as nowhere:
            with pytest.raises(UnreachableError, match="did not answer in time"):
                await nowhere.list(POD)


async def test_a_certificate_of_somebody_else(api: Kubernetes, tmp_path: Path) -> None:
    async with connect(kubeconfig=api.kubeconfig()) as known:
        server = known.access.server
    file = tmp_path / "config"
    file.write_text(_kubeconfig(server))
    async with connect(kubeconfig=file) as stranger:
        with pytest.raises(UnreachableError, match="TLS connection") as refused:
            await stranger.list(POD)
    assert "certificate-authority" in refused.value.remedy


def _kubeconfig(server: str) -> str:
    return (
        f"{{current-context: x, clusters: [{{name: x, cluster: {{server: '{server}'}}}}], users: [],"
        "contexts: [{name: x, context: {cluster: x}}]}"
    )
