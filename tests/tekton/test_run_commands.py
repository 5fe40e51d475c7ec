"""The commands, as a person or a script uses them, against a real API server."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from servelab.cli.main import app
from servelab.kube.cluster import Cluster, connect
from servelab.kube.kinds import CLAIM, NAMESPACE, POD
from servelab.spec.errors import NotFoundError, ServelabError
from servelab.tekton.kinds import PIPELINE_RUN, TASK_RUN
from servelab.tekton.source import CONFIG
from servelab.tekton.values import read_mapping
from tests.kubernetes import Kubernetes
from tests.tekton.commands import Beside, with_claim, with_node, write
from tests.tekton.controller import Behaviour

pytestmark = [pytest.mark.usefixtures("tekton"), pytest.mark.timeout(900)]

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def beside(api: Kubernetes, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Beside]:
    """The cluster as the commands find it; in a home of the test's own."""
    monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig()))
    monkeypatch.setenv("SERVELAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    one = Beside(api.kubeconfig(), cluster.namespace)
    one.run(_prepare(one))
    yield one
    one.close()


async def _prepare(beside: Beside) -> None:
    async with connect(kubeconfig=beside.kubeconfig, namespace=beside.namespace) as cluster:
        await with_claim(cluster)
        await with_node(cluster)


def call(*arguments: str, where: Beside) -> int:
    code = app(["tekton", *arguments, "-n", where.namespace])
    return code if isinstance(code, int) else 0


def engine_that_ran_out_of_memory(beside: Beside, run: str) -> None:
    beside.ask(
        "create",
        POD,
        {
            "metadata": {"name": "engine", "labels": {"llm-d.ai/model": f"{run}-2"}},
            "spec": {"containers": [{"name": "vllm", "image": "v"}]},
        },
    )
    terminated = {"exitCode": 137, "reason": "OOMKilled"}
    state = {"name": "vllm", "image": "v", "imageID": "", "ready": False, "restartCount": 0}
    status = {"phase": "Failed", "containerStatuses": [{**state, "state": {"terminated": terminated}}]}
    beside.ask("merge", POD, "engine", {"status": status}, subresource="status")


def test_from_submission_to_cleanup(beside: Beside, tmp_path: Path, capsys: Captured) -> None:
    files = write(tmp_path / "exp", "first")
    assert call("submit", *files, "--dry-run", where=beside) == 0
    assert "accepts all 5 manifests" in capsys.readouterr().out
    assert beside.ask("find", PIPELINE_RUN, "first") is None
    with beside.controller():
        assert call("submit", *files, where=beside) == 0
    told = capsys.readouterr()
    assert re.findall(r"\[(\d)/7\]", told.out) == ["1", "2", "3", "4", "5", "6", "7"]
    assert "applied 0 StepActions and 3 Tasks" in told.out
    assert "Succeeded  run-workload-4" in told.err
    assert (tmp_path / "state" / "servelab" / "tekton" / "first" / "values.yaml").exists()
    assert call("status", "first", "--json", where=beside) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["state"], len(shown["tasks"]), shown["diagnosis"]) == ("SUCCESS", 7, None)
    assert call("status", where=beside) == 0
    assert "SUCCESS" in capsys.readouterr().out
    assert call("cleanup", "first", "--json", where=beside) == 0
    assert {one["kind"] for one in json.loads(capsys.readouterr().out)} >= {
        "PipelineRun",
        "Pipeline",
        "Task",
        "ConfigMap",
    }
    assert beside.ask("list", TASK_RUN).items == []
    with pytest.raises(NotFoundError, match=f"there is no run first in {beside.namespace}, and nothing of one"):
        call("cleanup", "first", where=beside)


def test_a_failure_is_explained_and_mended(beside: Beside, tmp_path: Path, capsys: Captured) -> None:
    files = write(tmp_path / "exp", "oom")
    engine_that_ran_out_of_memory(beside, "oom")
    with beside.controller(deploy_model_2=Behaviour(seconds=0.5, fails=True)):
        assert call("submit", *files, where=beside) == 7
        told = capsys.readouterr()
        assert "engine/vllm was ended by the kernel" in told.out
        assert "1. [More host memory] memory=64Gi -> 128Gi" in told.out
        assert "2. [Reduce batch] max_num_seqs=256 -> 128" in told.out
        assert "retry oom --fix N" in told.err
    beside.ask("delete", POD, "engine", grace=0)  # what showed the cause is gone; what was found stays
    assert call("status", "oom", where=beside) == 7
    assert "More host memory" in capsys.readouterr().out
    with beside.controller():
        tasks = files[1:]
        assert call("retry", "oom", "--fix", "2", "--set", "max_model_len=4096", *tasks, where=beside) == 0
    told = capsys.readouterr()
    assert "oom -> oom-v2: max_num_seqs=256 -> 128, max_model_len=8192 -> 4096" in told.out
    source = beside.ask("get", CONFIG, "oom-v2-experiment")
    stack = read_mapping(source["data"]["values.yaml"], "values")["stack"]
    assert (stack["MAX_NUM_SEQS"], stack["MAX_MODEL_LEN"]) == (128, 4096)
    run = beside.ask("get", PIPELINE_RUN, "oom-v2")
    assert {one["name"]: one["value"] for one in run["spec"]["params"]}["experimentId"] == "oom-v2"


def test_what_goes_wrong_is_said(beside: Beside, tmp_path: Path, capsys: Captured) -> None:
    files = write(tmp_path / "exp", "same")
    with beside.controller():
        assert call("submit", *files, "--detach", where=beside) == 0
        with pytest.raises(ServelabError, match=r"'same' exists already\n\[1\] use another id: --id same-v2"):
            call("submit", *files, where=beside)
        assert call("submit", *files, "--id", "other", where=beside) == 0
    beside.ask("delete", POD, "x")
    with pytest.raises(ServelabError, match="no PipelineRun nobody"):
        call("status", "nobody", where=beside)
    with pytest.raises(ServelabError, match="did not fail"):
        call("retry", "other", "--fix", "1", where=beside)
    with pytest.raises(ServelabError, match="is not NAME=VALUE"):
        call("retry", "other", "--set", "x", where=beside)
    with pytest.raises(ServelabError, match="no pod of any task"):
        call("logs", "other", where=beside)
    with pytest.raises(ServelabError, match=r"has no pipeline\.yaml\.j2"):
        call("submit", "-f", str(tmp_path / "exp" / "values.yaml"), where=beside)
    text = (tmp_path / "exp" / "pipeline.yaml.j2").read_text().replace("runAfter: [download-model]", "runAfter: [gone]")
    (tmp_path / "exp" / "pipeline.yaml.j2").write_text(text)
    with pytest.raises(ServelabError, match="gone"):
        call("submit", *files, "--id", "third", where=beside)
    capsys.readouterr()
    beside.ask("delete", CLAIM, "data-pvc")
    write(tmp_path / "exp", "same")
    assert call("submit", *files, "--id", "fourth", where=beside) == 1
    assert "the claim is being deleted" in capsys.readouterr().out
    assert beside.ask("find", PIPELINE_RUN, "fourth") is None


ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A command in a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self._raw = ""
        self._read_to = 0
        self._master, slave = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40", "PYTHONPATH": "src"}
        root = Path(__file__).parent.parent.parent
        self._process = subprocess.Popen(
            [sys.executable, "-m", "servelab", "tekton", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            cwd=root,
            start_new_session=True,
        )
        os.close(slave)

    @property
    def shown(self) -> str:
        """All that was shown, without colours and movements."""
        return ESCAPES.sub("", self._raw)

    def until(self, text: str, seconds: float = 150.0) -> None:
        """Read until ``text`` was shown after what was waited for before (it may have come in one piece with it)."""
        deadline = time.monotonic() + seconds
        while (found := self.shown.find(text, self._read_to)) < 0:
            assert time.monotonic() < deadline, f"{text!r} was not shown: {self.shown[-3000:]}"
            if select.select([self._master], [], [], 0.2)[0]:
                self._raw += os.read(self._master, 65536).decode(errors="replace")
        self._read_to = found + len(text)

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(120)
        os.close(self._master)

    def code(self) -> int:
        deadline = time.monotonic() + 150
        while self._process.poll() is None and time.monotonic() < deadline:
            if select.select([self._master], [], [], 0.1)[0]:
                try:
                    self._raw += os.read(self._master, 65536).decode(errors="replace")
                except OSError:
                    break
        return self._process.wait(120)


def test_live_with_keys_through_the_terminals_death(beside: Beside, tmp_path: Path) -> None:
    files = write(tmp_path / "exp", "live")
    with beside.controller(run_workload_2=Behaviour(seconds=None), run_workload_4=Behaviour(seconds=1)):
        first = Terminal("submit", *files, "-n", beside.namespace)
        first.until("run-workload-2")
        first.until("Running")
        first.kill()
        second = Terminal("status", "live", "-f", "-n", beside.namespace)
        second.until("30-120m")
        second.type("p")
        second.until("no engine runs")
        second.type("s")
        second.until("finally-delete-model-4")
        second.type("c")
        second.until("cancelling")
        second.until("CANCELLED")
        assert second.code() == 8


def test_a_person_chooses_a_fix(beside: Beside, tmp_path: Path) -> None:
    files = write(tmp_path / "exp", "choose")
    engine_that_ran_out_of_memory(beside, "choose")
    endless = Behaviour(seconds=None)  # the other treatment still runs, however long the question takes to come
    with beside.controller(deploy_model_2=Behaviour(fails=True), deploy_model_4=endless):
        terminal = Terminal("submit", *files, "-n", beside.namespace)
        terminal.until("Select option 1-2")
        beside.ask("delete", POD, "engine", grace=0)
        terminal.type("1\n")
        terminal.until("Other treatments still run. Cancel them?")
        terminal.type("y\n")
        terminal.until("choose -> choose-v2: memory=64Gi -> 128Gi")
        terminal.until("[6/7]")
        terminal.until("deploy-model-2")
        terminal.kill()
    assert beside.ask("find", PIPELINE_RUN, "choose-v2") is not None
    assert beside.ask("get", PIPELINE_RUN, "choose")["spec"]["status"] == "CancelledRunFinally"


def test_a_person_is_asked_about_a_collision(beside: Beside, tmp_path: Path) -> None:
    files = write(tmp_path / "exp", "twice")
    with beside.controller():
        assert call("submit", *files, "-d", where=beside) == 0
        terminal = Terminal("submit", *files, "-d", "-n", beside.namespace)
        terminal.until("[1] use twice-v2")
        terminal.type("1\n")
        terminal.until("'twice-v2' created")
        assert terminal.code() == 0


def test_live_a_run_is_cancelled_and_removed_by_one_key(beside: Beside, tmp_path: Path) -> None:
    files = write(tmp_path / "exp", "gone")
    with beside.controller(run_workload_2=Behaviour(seconds=None)):
        terminal = Terminal("submit", *files, "-n", beside.namespace)
        terminal.until("run-workload-2")
        terminal.type("x")
        terminal.until("everything of it is removed")
        terminal.until("removed: ")
        assert terminal.code() == 8
    assert beside.ask("find", PIPELINE_RUN, "gone") is None
    assert beside.ask("list", TASK_RUN).items == []


def test_after_success_a_person_is_asked_what_comes_next(beside: Beside, tmp_path: Path) -> None:
    files = write(tmp_path / "exp", "done")
    with beside.controller():
        terminal = Terminal("submit", *files, "-n", beside.namespace)
        terminal.until("Bring the results here?")
        terminal.type("n\n")
        terminal.until("servelab tekton collect done")
        terminal.until("Remove the run from the cluster?")
        terminal.type("y\n")
        assert terminal.code() == 0
    assert beside.ask("find", PIPELINE_RUN, "done") is None


def test_a_missing_namespace_is_made_when_a_person_says_so(beside: Beside, tmp_path: Path) -> None:
    files = write(tmp_path / "exp", "far")
    name = f"{beside.namespace}-new"
    terminal = Terminal("submit", *files, "-n", name)
    terminal.until(f"Create namespace {name}?")
    terminal.type("y\n")
    terminal.until("was created")
    terminal.until("there is no PersistentVolumeClaim data-pvc")
    assert terminal.code() == 1
    assert beside.ask("find", NAMESPACE, name) is not None
