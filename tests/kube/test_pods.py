"""Logs, commands, ports and copies of real pods."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import aclosing
from pathlib import Path

import pytest

from servelab.kube import copy as copying
from servelab.kube.cluster import Cluster
from servelab.kube.copy import PART, Place, copy_out
from servelab.kube.errors import MissingError, RefusedError, UnreachableError
from servelab.kube.execute import execute
from servelab.kube.forward import forward
from servelab.kube.logs import logs
from servelab.spec.errors import ClusterError
from tests.kube.pods import pod, started
from tests.kubernetes import Kubernetes

pytestmark = [pytest.mark.usefixtures("pods"), pytest.mark.timeout(900)]


@pytest.fixture
async def box(cluster: Cluster) -> Cluster:
    """A pod ``box`` that waits."""
    await cluster.apply(pod("box", "sleep", "3600"))
    await started(cluster, "box")
    await execute(cluster, "box", ["busybox", "--install", "-s", "/bin"])
    return cluster


async def test_a_command_runs_and_tells(box: Cluster) -> None:
    done = await execute(box, "box", ["echo", "-n", "a b;$HOME"])
    assert (done.code, done.output, done.errors) == (0, b"a b;$HOME", "")
    failed = await execute(box, "box", ["sh", "-c", "echo no >&2; exit 7"])
    assert (failed.code, failed.output, failed.errors) == (7, b"", "no\n")
    with pytest.raises(RefusedError, match="no-such-program"):
        await execute(box, "box", ["no-such-program"])
    with pytest.raises(MissingError):
        await execute(box, "nobody", ["true"])


async def test_much_output_arrives_whole(box: Cluster) -> None:
    digest = hashlib.sha256()
    size = 0

    def take(data: bytes) -> None:
        nonlocal size
        digest.update(data)
        size += len(data)

    await execute(box, "box", ["dd", "if=/dev/urandom", "of=/tmp/big", "bs=1048576", "count=64"])
    await execute(box, "box", ["cat", "/tmp/big"], sink=take)
    there = (await execute(box, "box", ["sha256sum", "/tmp/big"])).output.decode()
    assert size == 64 * 2**20
    assert there.startswith(digest.hexdigest())


async def test_a_port_is_reached(box: Cluster) -> None:
    await execute(box, "box", ["sh", "-c", "mkdir -p /tmp/w; echo hello > /tmp/w/index.html"])
    await execute(box, "box", ["httpd", "-p", "8123", "-h", "/tmp/w"])

    async def ask(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /index.html HTTP/1.0\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer

    async with forward(box, "box", 8123) as port:
        answers = await asyncio.gather(*(ask(port) for _ in range(8)))
    assert all(answer.startswith(b"HTTP/1.") and answer.endswith(b"hello\n") for answer in answers)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    async with forward(box, "box", 1) as port:
        assert await ask(port) == b""


async def test_logs(cluster: Cluster) -> None:
    await cluster.apply(pod("talks", "sh", "-c", "for i in 1 2 3; do echo line $i; done"))
    await started(cluster, "talks", "Succeeded")
    assert [line async for line in logs(cluster, "talks")] == ["line 1", "line 2", "line 3"]
    assert [line async for line in logs(cluster, "talks", "main", tail=1)] == ["line 3"]
    with pytest.raises(RefusedError, match="container other is not valid"):
        await anext(logs(cluster, "talks", "other"))


async def test_following_a_log_survives_the_api_server(api: Kubernetes, cluster: Cluster) -> None:
    count = 40
    await cluster.apply(
        pod("counts", "sh", "-c", f"for i in $(seq {count}); do echo $i; echo again $i; sleep 0.25; done")
    )
    await started(cluster, "counts", "Running", "Succeeded")
    lines: list[str] = []
    restarting: asyncio.Task[None] | None = None
    async with aclosing(logs(cluster, "counts", follow=True)) as following:
        async for line in following:
            lines.append(line)
            if line == "8" and restarting is None:
                await asyncio.to_thread(api.kill)
                restarting = asyncio.create_task(asyncio.to_thread(api.start))
    assert restarting is not None
    await restarting
    assert lines == [text for i in range(1, count + 1) for text in (str(i), f"again {i}")]


async def test_a_directory_is_copied_and_what_is_here_is_not(
    box: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = "mkdir -p '/tmp/d/a b/c'; echo 1 > '/tmp/d/a b/c/one'; echo 2 > /tmp/d/-two; : > /tmp/d/empty;"
    make += "ln -s /etc/passwd /tmp/d/link; dd if=/dev/urandom of=/tmp/d/large bs=1024 count=200"
    await execute(box, "box", ["sh", "-c", make])
    monkeypatch.setattr(copying, "LARGE", 100 * 1024)
    place = Place(box, "box", "main", "/tmp/d")
    told: list[tuple[int, int]] = []
    files = await copy_out(place, tmp_path / "to", lambda done, total: told.append((done, total)))
    assert sorted(str(file.relative_to(tmp_path / "to")) for file in files) == ["-two", "a b/c/one", "empty", "large"]
    assert (tmp_path / "to" / "a b" / "c" / "one").read_text() == "1\n"
    assert told[-1] == (200 * 1024 + 4, 200 * 1024 + 4)
    assert not list(tmp_path.rglob(f"*{PART}"))

    (tmp_path / "to" / "-two").write_text("3\n")  # the same length: only the checksum tells
    large = tmp_path / "to" / "large"
    part = large.with_name(f"large{PART}")
    part.write_bytes(large.read_bytes()[:70_000])
    whole = large.read_bytes()
    large.unlink()
    sent: list[str] = []
    real = Place.run

    async def counted(self: Place, *command: str, sink: object = None) -> object:
        done = await real(self, *command, sink=sink)  # type: ignore[arg-type]
        if command[0] == "tail":
            sent.append(command[2])
        return done

    monkeypatch.setattr(Place, "run", counted)
    await copy_out(place, tmp_path / "to")
    assert large.read_bytes() == whole
    assert (tmp_path / "to" / "-two").read_text() == "2\n"
    assert sent == ["+70001"]  # the rest only


async def test_a_copy_goes_on_after_lost_connections(
    box: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is cut in the middle of the data, again and again; each try gets further."""
    await execute(box, "box", ["sh", "-c", "mkdir /tmp/e; dd if=/dev/urandom of=/tmp/e/large bs=1024 count=1000"])
    monkeypatch.setattr(copying, "LARGE", 1000)
    monkeypatch.setattr(copying, "PAUSE", 0.0)
    real = copying.execute

    async def cut(*arguments: object, sink: object = None) -> object:
        if sink is None:
            return await real(*arguments)  # type: ignore[arg-type]
        taken = 0

        def take(data: bytes) -> None:
            nonlocal taken
            taken += len(data)
            sink(data)  # type: ignore[operator]
            if taken > 300_000:
                raise UnreachableError("cut", "")

        return await real(*arguments, sink=take)  # type: ignore[arg-type]

    monkeypatch.setattr(copying, "execute", cut)
    (file,) = await copy_out(Place(box, "box", "main", "/tmp/e"), tmp_path)
    assert file.stat().st_size == 1_024_000


async def test_what_a_copy_refuses(box: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClusterError, match=r"No such file.*\n.*Is /nowhere there"):
        await copy_out(Place(box, "box", "main", "/nowhere"), tmp_path)
    await execute(box, "box", ["sh", "-c", "mkdir /tmp/f; echo x > '/tmp/f/a\nb'"])
    with pytest.raises(ClusterError, match="a name that cannot be copied"):
        await copy_out(Place(box, "box", "main", "/tmp/f"), tmp_path)
    await execute(box, "box", ["sh", "-c", "mkdir -p /tmp/g/out; echo x > /tmp/g/out/file"])
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "out").symlink_to(tmp_path)
    with pytest.raises(ClusterError, match="leads outside"):
        await copy_out(Place(box, "box", "main", "/tmp/g"), tmp_path / "here")
    monkeypatch.setattr(copying, "PAUSE", 0.0)
    endless = "busybox --install -s /bin; mkdir /tmp/h; while :; do i=$((i+1)); echo $i >> /tmp/h/log; done"
    await box.apply(pod("writes", "sh", "-c", endless))
    await started(box, "writes")
    async with asyncio.timeout(120):
        while (await execute(box, "writes", ["busybox", "test", "-s", "/tmp/h/log"])).code:
            await asyncio.sleep(0.1)
    with pytest.raises(ClusterError, match=r"1 of 1 files|more than its files had when they were listed"):
        await copy_out(Place(box, "writes", "main", "/tmp/h"), tmp_path)


async def test_an_archive_that_would_leave_its_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod that lies: what it was not asked for is not unpacked, wherever it would go."""
    import io
    import tarfile

    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as opened:
        for name, kind in (("../evil", b"0"), ("/evil", b"0"), ("wanted", b"2"), ("extra", b"0")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            opened.addfile(member)
    content = b"x"
    listed = {
        "find": lambda command: (
            b"1 /d/wanted\n" if "stat" in command else hashlib.sha256(content).hexdigest().encode() + b"  /d/wanted\n"
        )
    }

    async def lies(cluster: object, pod: str, command: tuple[str, ...], *_: object, sink: object = None) -> object:
        from servelab.kube.execute import Finished

        if sink is not None:
            sink(archive.getvalue())  # type: ignore[operator]
        return Finished(0, listed[command[0]](command) if command[0] in listed else b"", "")

    monkeypatch.setattr(copying, "execute", lies)
    with pytest.raises(ClusterError, match="could not be copied"):
        await copy_out(Place(None, "p", "c", "/d"), tmp_path / "to")  # type: ignore[arg-type]
    assert [file.name for file in tmp_path.rglob("*")] == ["to"]
    assert not Path("/evil").exists()
