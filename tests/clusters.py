"""The API server and the node that all tests share."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from servelab.kube.cluster import Cluster, connect
from servelab.kube.kinds import NAMESPACE
from tests.kubernetes import Assets, Scripted, definitions, kubernetes, node


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave time for the API server to start, which is counted to the first test that needs it."""
    for item in items:
        if "api" in getattr(item, "fixturenames", ()) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def api() -> Iterator[Scripted | Assets]:
    """A running API server."""
    with kubernetes() as running:
        yield running


@pytest.fixture(scope="module")
def pods(api: Scripted | Assets) -> Iterator[None]:
    """A node, so that pods run."""
    with node(api):
        yield


@pytest.fixture(scope="session")
def tekton(api: Scripted | Assets) -> Scripted | Assets:
    """The API server, with Tekton's definitions."""
    definitions("tekton")
    return api


@pytest.fixture
async def cluster(api: Scripted | Assets, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
    """The API server as its administrator, in a namespace of the test's own."""
    monkeypatch.setattr("servelab.kube.cluster.TIMEOUT", 240.0)  # seconds: a busy machine's cluster may be slow
    namespace = f"t-{uuid.uuid4().hex[:8]}"
    async with connect(kubeconfig=api.kubeconfig(), namespace=namespace) as connected:
        await connected.create(NAMESPACE, {"metadata": {"name": namespace}})
        yield connected
        await connected.delete(NAMESPACE, namespace)
