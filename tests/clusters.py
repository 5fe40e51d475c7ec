"""The API server and the node that all tests share."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from servelab.kube.cluster import Cluster, connect
from servelab.kube.kinds import NAMESPACE
from tests.kubernetes import Assets, Scripted, definitions, kubernetes, node


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
async def cluster(api: Scripted | Assets) -> AsyncIterator[Cluster]:
    """The API server as its administrator, in a namespace of the test's own."""
    namespace = f"t-{uuid.uuid4().hex[:8]}"
    async with connect(kubeconfig=api.kubeconfig(), namespace=namespace) as connected:
        await connected.create(NAMESPACE, {"metadata": {"name": namespace}})
        yield connected
        await connected.delete(NAMESPACE, namespace)
