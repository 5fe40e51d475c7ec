"""Kubeconfig files, credentials and proxies."""

from __future__ import annotations

import asyncio
import json
import os
import re
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from servelab.kube import credentials as crediting
from servelab.kube import kubeconfig as reading
from servelab.kube.cluster import connect
from servelab.kube.credentials import Plugin, TokenFile, credentials
from servelab.kube.kinds import POD
from servelab.kube.kubeconfig import find_access
from servelab.spec.errors import ClusterError
from tests.kubernetes import Kubernetes


def written(file: Path, document: dict[str, Any]) -> Path:
    file.parent.mkdir(exist_ok=True, parents=True)
    file.write_text(json.dumps(document))
    return file


def document(name: str, **cluster: str) -> dict[str, Any]:
    return {
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}.example", **cluster}}],
        "users": [{"name": name, "user": {"token": f"secret-of-{name}"}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": f"ns-{name}"}}],
    }


def test_several_files_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = written(tmp_path / "1" / "config", document("one", **{"certificate-authority": "ca.crt"}))
    two = written(tmp_path / "2" / "config", document("two"))
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join([str(one), str(tmp_path / "none"), str(two)]))
    found = find_access()
    assert (found.server, found.namespace) == ("https://one.example", "ns-one")
    assert found.cluster["certificate-authority"] == str(tmp_path / "1" / "ca.crt")
    assert find_access("two").server == "https://two.example"
    assert find_access("two", namespace="mine").namespace == "mine"
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("current-context: [", "is damaged"),
        ("- 1", "is damaged"),
        ("{}", "has no current context"),
        ("current-context: x", "has no context 'x'"),
        ("{current-context: x, contexts: [{name: x, context: {cluster: c}}]}", "names the cluster 'c'"),
        ("{current-context: x, contexts: [{name: x, context: {cluster: c}}], clusters: [{name: c}]}", "is damaged"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(ClusterError, match=said):
        find_access(kubeconfig=file)


def test_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ClusterError, match=r"no kubeconfig was found.*\n.*KUBECONFIG"):
        find_access()


def test_in_a_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    monkeypatch.setattr(reading, "SERVICE_ACCOUNT", tmp_path)
    (tmp_path / "token").write_text("t")
    (tmp_path / "namespace").write_text("lab")
    found = find_access()
    assert (found.server, found.namespace, found.context) == ("https://[fd00::1]:6443", "lab", "in-cluster")


async def test_a_token_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crediting, "TOKEN_AGE", 3600.0)
    file = tmp_path / "token"
    file.write_text("one\n")
    token = TokenFile(file)
    assert await token.header(fresh=False) == "Bearer one"
    file.write_text("two")
    assert await token.header(fresh=False) == "Bearer one"
    assert await token.header(fresh=True) == "Bearer two"
    monkeypatch.setattr(crediting, "TOKEN_AGE", 0.0)
    file.write_text("three")
    assert await token.header(fresh=False) == "Bearer three"


def plugin(directory: Path, body: str) -> dict[str, Any]:
    """A credential plug-in, a real program."""
    program = directory / "log-in"
    program.write_text(f"#!{sys.executable}\nimport json, os, pathlib, time\n{body}")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return {"apiVersion": "client.authentication.k8s.io/v1", "command": str(program), "args": ["a"], "env": []}


PRINT = """
info = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
asked = pathlib.Path(__file__).with_name("asked")
asked.write_text(asked.read_text() + "x" if asked.exists() else "x")
status = {"token": TOKEN, "expirationTimestamp": ENDS}
print(json.dumps({"apiVersion": info["apiVersion"], "kind": "ExecCredential", "status": status}))
"""


async def test_a_plugin_logs_in_at_a_real_server(api: Kubernetes, tmp_path: Path) -> None:
    text = api.kubeconfig().read_text()
    token = re.findall(r'token"?: "?([\w-]+)', text)[0]
    described = plugin(tmp_path, PRINT.replace("TOKEN", repr(token)).replace("ENDS", "None"))
    file = tmp_path / "config"
    file.write_text(re.sub(r'"?token"?: "?[\w-]+"?', f'"exec": {json.dumps(described)}', text))
    async with connect(kubeconfig=file) as cluster:
        await asyncio.gather(cluster.list(POD), cluster.read("version"), cluster.list(POD))
    assert (tmp_path / "asked").read_text() == "x"  # once for all


async def test_a_token_that_ends_is_asked_for_again(tmp_path: Path) -> None:
    body = PRINT.replace("TOKEN", "'t'").replace("ENDS", "'2020-01-01T00:00:00Z'")
    asking = Plugin(plugin(tmp_path, body), {})
    assert await asking.header(fresh=False) == "Bearer t"
    assert await asking.header(fresh=False) == "Bearer t"
    assert (tmp_path / "asked").read_text() == "xx"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise SystemExit(3)", "failed with exit code 3"),
        ("print('hello')", "gave no token"),
        ("print('{}')", "gave no token"),
        ("time.sleep(600)", "did not answer"),
    ],
)
async def test_a_plugin_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, said: str) -> None:
    monkeypatch.setattr(crediting, "PLUGIN_TIMEOUT", 2.0 if said == "did not answer" else 200.0)
    with pytest.raises(ClusterError, match=said):
        await Plugin(plugin(tmp_path, body), {}).header(fresh=False)


async def test_a_plugin_that_is_not_there() -> None:
    described = {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "/no/such", "installHint": "Get it."}
    with pytest.raises(ClusterError, match=r"cannot be started.*\nGet it\."):
        await Plugin(described, {}).header(fresh=False)
    with pytest.raises(ClusterError, match="speaks 'v9'"):
        Plugin({"apiVersion": "v9", "command": "x"}, {})
    with pytest.raises(ClusterError, match="auth-provider"):
        credentials({"auth-provider": {"name": "gcp"}}, {})


async def test_through_a_proxy(api: Kubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kubeconfig's proxy, then the environment's, then none: NO_PROXY."""
    asked: list[str] = []

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked.append(request.split()[1])
        host, port = asked[-1].rsplit(":", 1)
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)
            sink.close()

        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer), return_exceptions=True)

    server = await asyncio.start_server(tunnel, "127.0.0.1", 0)
    proxy = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    file = tmp_path / "config"
    file.write_text(re.sub(r'(cluster"?: \{)', rf'\1"proxy-url": "{proxy}", ', api.kubeconfig().read_text(), count=1))
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

    async def versions(kubeconfig: Path) -> int:
        async with connect(kubeconfig=kubeconfig) as cluster:
            await cluster.read("version")
            await cluster.list(POD)
        return len(asked)

    async with server:
        assert await versions(file) == 1
        assert await versions(api.kubeconfig()) == 1
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        assert await versions(api.kubeconfig()) == 2
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
        assert await versions(api.kubeconfig()) == 2
