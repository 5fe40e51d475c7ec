"""A whole experiment on a real cluster with real pods, through the worst days of the API server and of the client."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from servelab.kube.cluster import Cluster, connect
from servelab.kube.kinds import NODE, POD, Manifest
from servelab.kube.labels import MANAGED, STUDY
from servelab.store.store import open_store
from servelab.tekton.cleanup import remaining
from servelab.tekton.kinds import PIPELINE_RUN, TASK_RUN
from servelab.tekton.status import FINAL, run_state
from tests.kubernetes import Scripted
from tests.tekton.commands import Beside, write
from tests.tekton.controller import Behaviour
from tests.tekton.test_collect import RECORDED
from tests.tekton.volume import IMAGE, load_tools, with_volume

pytestmark = [pytest.mark.usefixtures("tekton", "pods"), pytest.mark.timeout(900)]

MEMORY = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."


class Client:
    """A servelab command in a process of its own, whose output goes to a file."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self._file = directory / f"client-{time.monotonic_ns()}.txt"
        with self._file.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "servelab", "tekton", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=directory,
                env=os.environ.copy(),
            )

    @property
    def said(self) -> str:
        return self._file.read_text()

    def until(self, text: str) -> None:
        """Wait until it has said this."""
        until(lambda: text in self.said, lambda: f"{text!r} was not said: {self.said}")

    def kill(self) -> None:
        """kill -9."""
        assert self._process.poll() is None, f"it ended by itself: {self.said}"
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(30)

    def code(self) -> int:
        """Its exit code."""
        return self._process.wait(240)


def until(holds: Callable[[], bool], otherwise: Callable[[], str] = lambda: "it did not come") -> None:
    """Wait for something, generously."""
    deadline = time.monotonic() + 240
    while not holds():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.1)


@pytest.fixture
def beside(api: Scripted, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Beside]:
    """The cluster as the commands find it, with a volume, an accelerator node and a controller's thread."""
    monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig()))
    monkeypatch.setenv("SERVELAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("SERVELAB_STORE", raising=False)
    load_tools(api, tmp_path)
    (tmp_path / "volume").mkdir()
    one = Beside(api.kubeconfig(), cluster.namespace)
    one.run(_prepare(one, tmp_path / "volume"))
    yield one
    one.close()


async def _prepare(beside: Beside, directory: Path) -> None:
    async with connect(kubeconfig=beside.kubeconfig, namespace=beside.namespace) as cluster:
        await with_volume(cluster, directory)
        await cluster.merge(NODE, "localhost", {"metadata": {"labels": {"nvidia.com/gpu.product": "TEST"}}})
        amounts = {"nvidia.com/gpu": "8"}  # as the administrator of a node says that it has them
        await cluster.merge(NODE, "localhost", {"status": {"capacity": amounts, "allocatable": amounts}}, "", "status")


def workload() -> Manifest:
    """The pod of a workload: what it measures is a recorded report; the labels say where it belongs."""
    names = {"STUDY": "servelab/study", "TRIAL": "servelab/trial"}
    env = [
        {"name": name, "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{of}']"}}}
        for name, of in names.items()
    ]
    script = "sleep 3; d=/data/$STUDY-$TRIAL; mkdir -p $d; cat /recorded/guidellm.json > $d/guidellm.json"
    container = {
        "name": "step-run",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", script],
        "env": env,
        "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "recorded", "mountPath": "/recorded"}],
    }
    volumes: list[dict[str, Any]] = [
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-pvc"}},
        {"name": "recorded", "hostPath": {"path": str(RECORDED.parent)}},
    ]
    return {"spec": {"containers": [container], "volumes": volumes, "restartPolicy": "Never"}}


def engine(beside: Beside, run: str) -> None:
    """An engine that really runs, says that it has no memory, and ends."""
    container = {
        "name": "vllm",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", f"echo '{MEMORY}'; exit 1"],
    }
    metadata = {"name": "engine", "labels": {"llm-d.ai/model": f"{run}-2"}}
    beside.ask("create", POD, {"metadata": metadata, "spec": {"containers": [container], "restartPolicy": "Never"}})
    until(lambda: beside.ask("get", POD, "engine")["status"].get("phase") == "Failed")


def started(beside: Beside, run: str) -> set[str]:
    """The tasks of a run that have TaskRuns."""
    found = beside.ask("list", TASK_RUN, labels={"tekton.dev/pipelineRun": run}).items
    return {one["metadata"]["labels"]["tekton.dev/pipelineTask"] for one in found}


def test_through_everything(api: Scripted, beside: Beside, tmp_path: Path) -> None:
    where = ["-n", beside.namespace]

    def client(*arguments: str) -> Client:
        return Client(tmp_path, *arguments, *where)

    files = write(tmp_path / "experiment", "exp")
    engine(beside, "exp")
    download, endless, broken = Behaviour(seconds=None), Behaviour(seconds=None), Behaviour(seconds=None, fails=True)
    with beside.controller(download_model=download, deploy_model_2=broken, run_workload_4=endless):
        # submitted; the client dies while the first task runs
        first = client("submit", *files)
        first.until("Running  download-model")
        first.kill()
        # another client goes on; now the API server dies, and comes back
        second = client("status", "exp", "--follow")
        second.until("Running  download-model")
        api.kill()
        second.until("the cluster cannot be reached")
        api.start("cm", "sched")
        second.until("connected again")
        download.seconds = 0.0
        # the engine of one treatment runs out of memory, while the other is measured
        until(lambda: "run-workload-4" in started(beside, "exp"))
        broken.seconds = 0.0
        assert second.code() == 7
        assert "CUDA out of memory" in second.said
        assert "[Reduce context] max_model_len=8192 -> 4096" in second.said
        # its other treatment still runs: cancelled, and the final tasks clean up
        cancelled = client("cancel", "exp")
        assert cancelled.code() == 0
        until(lambda: run_state(beside.ask("get", PIPELINE_RUN, "exp")) in FINAL)
        assert "finally-delete-model-4" in started(beside, "exp")
        beside.ask("delete", POD, "engine", grace=0)

    download = Behaviour(seconds=None)
    measured = {f"run_workload_{trial}": Behaviour(pod=workload(), follows=True) for trial in (2, 4)}
    with beside.controller(download_model=download, **measured):
        # the remedy, under a new id; this client dies, too
        number = next(line.split(".")[0][-1] for line in second.said.splitlines() if "[Reduce context]" in line)
        again = client("retry", "exp", "--fix", number, *files[1:])
        again.until("exp -> exp-v2: max_model_len=8192 -> 4096")
        again.until("[6/7]")
        again.kill()
        download.seconds = 0.0
        last = client("status", "exp-v2", "--follow")
        assert last.code() == 0, last.said
        assert "Succeeded  run-workload-4" in last.said
        told = client("logs", "exp-v2", "run-workload-2")
        assert told.code() == 0, told.said

    trace = os.urandom(64 * 2**20)
    (tmp_path / "volume" / "exp-v2-2" / "trace.bin").write_bytes(trace)
    # collected: once by a client that dies as soon as its reader is there, once to the end
    collect = ("collect", "exp-v2", "--image", IMAGE, "--json")
    beside.ask("merge", NODE, "localhost", {"spec": {"unschedulable": True}})  # its reader waits, and so does it
    killed = client(*collect)
    until(lambda: beside.ask("find", POD, "exp-v2-reader") is not None, lambda: killed.said)
    killed.kill()
    assert beside.ask("find", POD, "exp-v2-reader") is not None, "what the killed client left"
    beside.ask("merge", NODE, "localhost", {"spec": {"unschedulable": False}})
    whole = client(*collect)
    assert whole.code() == 0, whole.said
    shown = json.loads(whole.said)
    assert shown["measurements"] > 0
    for trial in ("2", "4"):
        assert (
            tmp_path / "servelab-results" / "exp-v2" / trial / "guidellm.json"
        ).read_bytes() == RECORDED.read_bytes()
    assert (tmp_path / "servelab-results" / "exp-v2" / "2" / "trace.bin").read_bytes() == trace
    (row,) = open_store().list_studies()
    assert [trial.state for trial in open_store().trials(row.id)] == ["complete", "complete"]

    # cleaned up
    for run in ("exp", "exp-v2"):
        cleaned = client("cleanup", run)
        assert cleaned.code() == 0, cleaned.said
    assert beside.run(_left(beside)) == []


async def _left(beside: Beside) -> list[str]:
    async with connect(kubeconfig=beside.kubeconfig, namespace=beside.namespace) as cluster:
        found = [one for labels in ({STUDY: None}, {MANAGED: "servelab"}) for one in await remaining(cluster, labels)]
        tasks = [(TASK_RUN, one) for one in (await cluster.list(TASK_RUN)).items]
        return [f"{kind.name} {item['metadata']['name']}" for kind, item in [*found, *tasks]]
