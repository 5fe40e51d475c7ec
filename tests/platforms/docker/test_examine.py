"""servelab doctor --platform docker: each finding, and its remedy."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re

import pytest
from aiohttp import web

from servelab.platforms.docker.examine import examine
from servelab.platforms.docker.options import DockerOptions
from servelab.platforms.docker.platform import DockerPlatform
from tests.lab.gpus import uuid
from tests.lab.studies import servelab
from tests.platforms.docker.engines import played

GOOD = {
    "version": {"Version": "28.2.2", "ApiVersion": "1.50"},
    "info": {"Runtimes": {"runc": {}, "nvidia": {}}, "DockerRootDir": "/"},
    "containers/json": [],
}


async def findings(tmp_path, accelerators: int = 0, **changes):
    """What is found of an engine that answers so."""
    app = web.Application()
    answers = GOOD | changes

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(answers[re.sub(r"^v[0-9.]+/", "", request.match_info["path"])])

    app.router.add_get("/{path:.+}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    path = f"{tmp_path}/d.sock"
    await web.UnixSite(runner, path).start()
    try:
        found = await examine(DockerOptions(host=f"unix://{path}"), accelerators)
    finally:
        await runner.cleanup()
    return {finding.check: finding for finding in found}


async def test_an_engine_that_is_fit(tmp_path):
    found = await findings(tmp_path, accelerators=1)
    assert found["docker socket"].verdict == "ok"
    assert found["docker version"].text == "Docker 28.2.2, API 1.50"
    assert found["docker nvidia"].verdict == "ok"


async def test_the_nvidia_runtime_is_missing(tmp_path):
    bare = {"Runtimes": {"runc": {}}, "DockerRootDir": "/nowhere/at/all"}
    found = await findings(tmp_path, accelerators=1, info=bare)
    assert found["docker nvidia"].verdict == "problem"
    assert "nvidia-ctk runtime configure" in found["docker nvidia"].remedy
    assert (await findings(tmp_path, info=bare))["docker nvidia"].verdict == "note"
    assert found["docker disk"].verdict == "note"
    cdi = bare | {"DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=0"}]}
    assert (await findings(tmp_path, accelerators=1, info=cdi))["docker nvidia"].verdict == "ok"


async def test_too_old_an_engine(tmp_path):
    old = {"Version": "19.3.1", "ApiVersion": "1.40"}
    found = await findings(tmp_path, version=old)
    assert found["docker version"].verdict == "problem"
    assert "20.10" in found["docker version"].remedy


async def test_too_little_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("servelab.platforms.docker.examine.LOW_DISK", 1e18)
    found = await findings(tmp_path)
    assert found["docker disk"].verdict == "problem"
    assert "docker image prune" in found["docker disk"].remedy


def test_no_engine(tmp_path):
    (found,) = DockerPlatform({"host": f"unix://{tmp_path}/none"}).examine()
    assert (found.check, found.verdict) == ("docker socket", "problem")
    assert "systemctl start docker" in found.remedy


@pytest.mark.parametrize(
    ("host", "text", "remedy"),
    [
        ("ssh://me:secret@box", "the Docker Engine at ssh://box is another machine's", "Run servelab there"),
        ("ssh://localhost", "the Docker Engine at ssh://localhost is another machine's", "Run servelab there"),
        ("tcp://192.0.2.1:2375", "the Docker Engine at tcp://192.0.2.1 is another machine's", "Run servelab there"),
        ("box://me:secret@box", "'box' is no address of a Docker Engine", "unix:///var/run/docker.sock"),
        ("garbage", "'garbage' is no address of a Docker Engine", "unix:///var/run/docker.sock"),
        ("npipe:////./pipe/docker", "is no address of a Docker Engine", "unix:///var/run/docker.sock"),
        ("tcp://", "is no address of a Docker Engine", "unix:///var/run/docker.sock"),
        ("tcp://[box", "is no address of a Docker Engine", "unix:///var/run/docker.sock"),
    ],
)
@pytest.mark.parametrize("by", ["option", "variable"])
def test_an_address_that_leads_to_no_engine_here(monkeypatch, host, text, remedy, by):
    monkeypatch.setenv("DOCKER_HOST", host if by == "variable" else "unix:///no/such.sock")
    (found,) = asyncio.run(examine(DockerOptions(host=host if by == "option" else None), 0))
    assert (found.check, found.verdict) == ("docker socket", "problem")
    assert text in found.text
    assert remedy in found.remedy
    assert "secret" not in found.text
    assert "systemctl" not in found.remedy


def test_dockers_context(tmp_path, monkeypatch):
    """A context of another machine is refused, one that is not there told, and DOCKER_HOST comes before both."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    meta = tmp_path / ".docker" / "contexts" / "meta" / hashlib.sha256(b"box").hexdigest()
    meta.mkdir(parents=True)
    (tmp_path / ".docker" / "config.json").write_text(json.dumps({"currentContext": "box"}))

    def told():
        (found,) = asyncio.run(examine(DockerOptions(), 0))
        return f"{found.text}: {found.remedy}"

    assert "docker context use default" in told()
    for host in ("ssh://me@box", "tcp://192.0.2.1:2375"):
        (meta / "meta.json").write_text(json.dumps({"Endpoints": {"docker": {"Host": host}}}))
        assert "another machine's" in told()
        assert "Run servelab there" in told()
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such.sock")
    assert "unix:///no/such.sock" in told()


def test_the_command(home, monkeypatch):
    with played(gpus=[uuid(0)]) as docker:
        monkeypatch.setenv("DOCKER_HOST", docker.host)
        done = servelab("doctor", "--platform", "docker", check=False)
    assert "docker socket" in done.stdout
    assert "the NVIDIA runtime is set up" in done.stdout
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such.sock")
    absent = servelab("doctor", "--platform", "docker", check=False)
    assert absent.returncode == 1
    assert "Cannot connect to Docker Engine via unix:///no/such.sock" in absent.stdout
    assert "systemctl start docker" in " ".join(absent.stdout.split())


@pytest.mark.parametrize("host", ["unix:///no/such.sock", "tcp://127.0.0.1:1"])
def test_an_engine_that_does_not_answer_is_told_quickly(host):
    found = asyncio.run(examine(DockerOptions(host=host), 0))
    assert found[0].verdict == "problem"
