"""The commands against a cluster whose controller works beside them, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

from servelab.kube.cluster import Cluster, connect
from servelab.kube.kinds import CLAIM, NODE
from servelab.tekton.write import to_yaml
from tests.tekton.collection import experiment, tasks
from tests.tekton.controller import Behaviour, controlled

T = TypeVar("T")


class Beside:
    """A loop in a thread, with a connection to the cluster."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.kubeconfig, self.namespace = kubeconfig, namespace
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something there, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(240)

    def ask(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of a cluster."""

        async def asked() -> Any:
            async with connect(kubeconfig=self.kubeconfig, namespace=self.namespace) as cluster:
                return await getattr(cluster, method)(*arguments, **options)

        return self.run(asked())

    @contextlib.contextmanager
    def controller(self, **behaviours: Behaviour) -> Iterator[None]:
        """A controller at work."""
        stop = asyncio.Event()

        async def work() -> None:
            async with controlled(self.kubeconfig, self.namespace, **behaviours):
                await stop.wait()

        working = asyncio.run_coroutine_threadsafe(work(), self._loop)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(stop.set)
            working.result(240)

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(120)
        self._loop.close()


def write(directory: Path, name: str, **values: str) -> list[str]:
    """The files of the small collection; the arguments that name them."""
    directory.mkdir(exist_ok=True)
    for file, text in experiment(name, **values).files.items():
        (directory / file).write_text(text)
    (directory / "tasks.yaml").write_text("---\n".join(to_yaml(task) for task in tasks()))
    return [str(directory), "--tasks", str(directory / "tasks.yaml")]


async def with_node(cluster: Cluster) -> None:
    """A node that says that it has accelerators; one for all tests."""
    if await cluster.find(NODE, "big") is None:
        await cluster.create(NODE, {"metadata": {"name": "big", "labels": {"nvidia.com/gpu.product": "TEST"}}})
    amounts = {"nvidia.com/gpu": "8"}
    status = {"allocatable": amounts, "capacity": amounts, "conditions": [{"type": "Ready", "status": "True"}]}
    await cluster.merge(NODE, "big", {"status": status}, subresource="status")


async def with_claim(cluster: Cluster, name: str = "data-pvc", size: str = "50Gi") -> None:
    """A claim that says that it is bound."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    await cluster.create(CLAIM, {"metadata": {"name": name}, "spec": spec})
    await cluster.merge(
        CLAIM, name, {"status": {"phase": "Bound", "capacity": {"storage": size}}}, subresource="status"
    )
