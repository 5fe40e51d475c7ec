"""Results from a real volume through a real pod, and from a bucket, into files and the store."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from servelab.cli.main import app
from servelab.kube.cluster import Cluster, connect
from servelab.kube.kinds import POD
from servelab.spec.errors import ClusterError, NotFoundError, ServelabError
from servelab.store.store import open_store
from servelab.tekton.board import Board
from servelab.tekton.bucket import Bucket, bucket_of, fetch, open_bucket
from servelab.tekton.collect import collect
from servelab.tekton.follow import snapshot
from tests.kubernetes import Scripted
from tests.tekton.collection import experiment
from tests.tekton.controller import controlled
from tests.tekton.test_runs import followed, submitted
from tests.tekton.volume import IMAGE, load_tools, with_volume

pytestmark = pytest.mark.timeout(900)

RECORDED = Path(__file__).parents[1] / "harnesses" / "recorded" / "guidellm" / "guidellm.json"


def results(directory: Path, *treatments: str) -> None:
    """What run-workload leaves on the volume."""
    for treatment in treatments:
        (directory / treatment / "logs").mkdir(parents=True)
        (directory / treatment / "guidellm.json").write_bytes(RECORDED.read_bytes())
        (directory / treatment / "logs" / "harness.log").write_text("done\n")
    (directory / "of-somebody-else").mkdir()
    (directory / "of-somebody-else" / "secret").write_text("x")


@pytest.mark.usefixtures("tekton", "pods")
async def test_from_the_volume(
    api: Scripted, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_tools(api, tmp_path)
    results(tmp_path / "volume", "run-2")
    await with_volume(cluster, tmp_path / "volume")
    await submitted(cluster, "run")
    async with controlled(api.kubeconfig(), cluster.namespace):
        await followed(cluster, "run")
    board = await snapshot(cluster, "run")
    (tmp_path / "volume" / "run-2" / "same.log").hardlink_to(tmp_path / "volume" / "run-2" / "logs" / "harness.log")
    (tmp_path / "volume" / "run-2" / "passwd").symlink_to("/etc/passwd")
    told: list[tuple[str, int, int]] = []
    found = await collect(cluster, board, tmp_path / "to", IMAGE, lambda *step: told.append(step))
    names = {str(file.relative_to(tmp_path / "to")) for file in found.files["2"]}
    assert names == {"2/guidellm.json", "2/logs/harness.log", "2/same.log"}
    assert (tmp_path / "to" / "2" / "same.log").read_text() == "done\n"
    assert found.missing == ["4"]
    assert len(found.reports["2"]) > 0
    assert told[-1][0] == "2"
    assert told[-1][1] == told[-1][2]
    left = await cluster.find(POD, "run-reader")
    assert left is None or left["metadata"].get("deletionTimestamp")

    monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig()))
    monkeypatch.setenv("SERVELAB_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SERVELAB_STORE", raising=False)
    monkeypatch.chdir(tmp_path)
    command = ["tekton", "collect", "run", "--image", IMAGE, "-n", cluster.namespace, "--json"]
    for _ in range(2):  # the second time finds the files here, and the study in the store
        code, shown = await _called(command)
        assert code == 0
        assert (tmp_path / "servelab-results" / "run" / "2" / "guidellm.json").read_bytes() == RECORDED.read_bytes()
    store = open_store()
    (row,) = store.list_studies()
    assert shown["study"] == row.id
    trials = store.trials(row.id, with_reports=True)
    assert [(one.state, dict(one.parameters)) for one in trials] == [
        ("complete", {"tensor_parallel_size": 2}),
        ("failed", {"tensor_parallel_size": 4}),
    ]
    assert len(trials[0].reports) == shown["measurements"]
    assert trials[1].failure is not None
    assert "no results" in trials[1].failure.message


async def _called(command: list[str]) -> tuple[object, dict[str, object]]:
    """A command in a thread of its own, as it has a loop of its own."""
    import asyncio
    import contextlib

    def run() -> tuple[object, str]:
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            return app(command), shown.getvalue()

    code, text = await asyncio.to_thread(run)
    return code, json.loads(text)


@pytest.mark.usefixtures("tekton", "pods")
async def test_a_reader_that_cannot_start_says_why(api: Scripted, cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    await with_volume(cluster, tmp_path / "volume")
    await submitted(cluster, "sad")
    board = await snapshot(cluster, "sad")
    with pytest.raises(ClusterError, match=r"does not start: (ErrImagePull|ImagePullBackOff)"):
        await collect(cluster, board, tmp_path / "to", "lab.local/not-there:1")
    async with connect(kubeconfig=api.kubeconfig(), namespace=cluster.namespace) as another:
        left = await another.find(POD, "sad-reader")
    assert left is None or left["metadata"].get("deletionTimestamp")


class _S3(ThreadingHTTPServer):
    """Answers HEAD and GET of one bucket as S3 does, ranges too; it does not check signatures."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.refuses = False
        self.cut = 0  # bytes after which the connection is cut, once


class _Answer(BaseHTTPRequestHandler):
    server: _S3

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        content = self.server.objects.get(self.path.split("?")[0])
        assert self.headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=somebody/")
        if self.server.refuses or content is None:
            self.send_error(403 if self.server.refuses else 404)
            return
        first = int((re.findall(r"bytes=(\d+)-", self.headers.get("Range", "")) or ["0"])[0])
        if body:
            self.server.asked.append(f"from {first}")
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Content-Length", str(len(content) - first))
        self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.send_header("ETag", f'"{hashlib.md5(content).hexdigest()}"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()
        if body and self.server.cut:
            self.wfile.write(content[first : first + self.server.cut])
            self.server.cut = 0
            self.close_connection = True
        elif body:
            self.wfile.write(content[first:])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[_S3]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nobody-may-see-this")
    server = _S3()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def archive(contents: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as opened:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            opened.addfile(member, io.BytesIO(content))
        for name, kind in (("run-2/link", tarfile.SYMTYPE), ("run-2/device", tarfile.CHRTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            opened.addfile(member)
    return packed.getvalue()


async def test_from_a_bucket(s3: _S3, tmp_path: Path) -> None:
    content = archive({"run-2/guidellm.json": RECORDED.read_bytes(), "other/x": b"x"})
    s3.objects["/results/run-2.tar.gz"] = content
    store = open_bucket(Bucket("results", f"http://127.0.0.1:{s3.server_port}", "us-east-1"))
    (tmp_path / "2.tar.gz.servelab-part").write_bytes(content[:100])  # of a collection that was killed
    told: list[tuple[int, int]] = []
    files = await fetch(store, "run-2", tmp_path / "2", lambda *step: told.append(step))
    assert files == [tmp_path / "2" / "guidellm.json"]
    assert files[0].read_bytes() == RECORDED.read_bytes()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["2", "2.tar.gz", "guidellm.json"]
    assert told[-1] == (len(content), len(content))
    assert s3.asked == ["from 100"]
    assert await fetch(store, "run-2", tmp_path / "2") == files
    assert s3.asked == ["from 100"]  # what is here is not fetched again
    assert await fetch(store, "run-4", tmp_path / "4") is None


async def test_what_a_bucket_may_do_wrong(s3: _S3, tmp_path: Path) -> None:
    store = open_bucket(Bucket("results", f"http://127.0.0.1:{s3.server_port}", "us-east-1"))
    s3.objects["/results/run-2.tar.gz"] = archive({"run-2/../../evil": b"x"})
    with pytest.raises(ClusterError, match="outside of"):
        await fetch(store, "run-2", tmp_path / "a" / "b" / "2")
    assert not list(tmp_path.rglob("evil"))
    s3.objects["/results/run-2.tar.gz"] = archive({"run-2/x": os.urandom(100_000)})[:-200]
    with pytest.raises(ClusterError, match="cannot be unpacked"):
        await fetch(store, "run-2", tmp_path / "damaged")
    s3.refuses = True
    with pytest.raises(ClusterError, match=r"refuses to give run-2[^$]*AWS_ACCESS_KEY_ID") as refused:
        await fetch(store, "run-2", tmp_path / "refused")
    assert "nobody-may-see-this" not in str(refused.value)


def test_which_bucket_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    one = experiment("a")
    with pytest.raises(NotFoundError, match="uploads nothing to a bucket"):
        bucket_of(one)
    target = "\nupload_target: {type: s3, configuration: {bucket: results, endpoint: 'https://s3.example.com/'}}\n"
    text = one.values + target
    assert bucket_of(type(one)(one.template, text, one.run)) == Bucket("results", "https://s3.example.com", "eu-west-1")


@pytest.mark.usefixtures("tekton")
async def test_a_run_without_a_volume(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(ServelabError, match="has no volume with results"):
        await collect(cluster, Board("x", {"metadata": {"name": "x"}, "spec": {}}), tmp_path)
