"""Guides from the web: over real TLS to a server of this machine that stands for GitHub."""

from __future__ import annotations

import http.server
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from servelab.guides.convert import convert
from servelab.guides.fetch import Fetcher, public
from servelab.guides.parse import GuideError
from tests.guides.test_fuzz import VALUES

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
HOSTS = ("raw.githubusercontent.com", "api.github.com", "example.com")


class Handler(http.server.BaseHTTPRequestHandler):
    files: ClassVar[dict[str, bytes]] = {}

    def do_GET(self) -> None:
        path = self.path
        if path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", path.removeprefix("/to/"))
            self.end_headers()
            return
        body = self.files.get(path)
        self.send_response(404 if body is None else 200)
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    names = ",".join(f"DNS:{host}" for host in HOSTS)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=test", "-addext",
         f"subjectAltName={names}", "-keyout", "key.pem", "-out", "cert.pem"],
        check=True, capture_output=True, cwd=folder,
    )  # fmt: skip
    return folder


@pytest.fixture
def fetcher(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fetcher]:
    """Fetches from the test's server, whatever the host; only the look-up of names is not the real one."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    real, connect = socket.getaddrinfo, socket.create_connection
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, port, *more, **named: real("127.0.0.1", port, *more, **named)
    )
    here = server.server_address[:2]
    monkeypatch.setattr(socket, "create_connection", lambda address, timeout: connect(here, timeout))
    monkeypatch.setattr("servelab.guides.fetch.TIMEOUT", 120.0)
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield Fetcher(
        allowed=lambda address: address == "127.0.0.1",
        context=ssl.create_default_context(cafile=certificate / "cert.pem"),
    )
    server.shutdown()
    server.server_close()


def test_a_directory_on_github(fetcher: Fetcher) -> None:
    base = "/llm-d/llm-d/main/guides/x"
    Handler.files = {
        f"{base}/helmfile.yaml.gotmpl": b"releases:\n- {name: ms, chart: a/llm-d-modelservice, version: v1, "
        b"values: [ms-x/values.yaml]}\n",
        f"{base}/ms-x/values.yaml": VALUES.encode(),
    }
    made = convert("https://github.com/llm-d/llm-d/tree/main/guides/x", fetcher=fetcher)
    assert made.config.name == "x"
    assert "# SOURCE: guides/x/ms-x/values.yaml#L2-L2" in made.files[0].text
    assert "# Based on https://github.com/llm-d/llm-d/tree/main/guides/x" in made.files[0].text


def test_a_directory_that_has_to_be_listed(fetcher: Fetcher) -> None:
    Handler.files = {
        "/repos/llm-d/llm-d/contents/guides/y?ref=main": b'[{"name": "ms-y"}]',
        "/repos/llm-d/llm-d/contents/guides/y/ms-y?ref=main": b'[{"name": "values.yaml"}, {"name": "values_amd.yaml"}]',
        "/llm-d/llm-d/main/guides/y/ms-y/values.yaml": VALUES.encode(),
        "/llm-d/llm-d/main/guides/y/ms-y/values_amd.yaml": VALUES.replace("cuda", "rocm").encode(),
    }
    made = convert("https://github.com/llm-d/llm-d/tree/main/guides/y", variant="amd", fetcher=fetcher)
    assert made.variants == ("default", "amd")
    assert "llm-d-rocm" in made.files[0].text


def test_files_from_github_and_elsewhere(fetcher: Fetcher) -> None:
    Handler.files = {
        "/o/r/v1/a/my-guide.yaml": VALUES.encode(),
        "/o/r/v1/guides/z/ms-z/values.yaml": VALUES.encode(),
        "/guide/values.yaml": VALUES.encode(),
    }
    assert convert("https://github.com/o/r/blob/v1/a/my-guide.yaml", fetcher=fetcher).config.name == "my-guide"
    raw = "https://raw.githubusercontent.com/o/r/refs/heads/v1/guides/z/ms-z/values.yaml"
    assert convert(raw, fetcher=fetcher).config.name == "z"
    made = convert("https://example.com/guide/values.yaml", fetcher=fetcher)
    assert (made.config.name, made.config.model_id) == ("guide", "a/b")
    assert "# SOURCE: guide/values.yaml#L" in made.files[0].text


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://example.com/missing.yaml", "there is no such file"),
        ("https://example.com/to/https://10.0.0.1/x.yaml", "private network"),
        ("https://example.com/to/http://example.com/x.yaml", "only plain https"),
        ("https://example.com/to/file:///etc/passwd.yaml", "only plain https"),
        ("https://example.com/to//to//to//to//to//to//to//x.yaml", "redirected more than"),
        ("https://example.com/large.yaml", "larger than"),
    ],
)
def test_what_is_refused(url: str, said: str, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    Handler.files = {"/large.yaml": b"# x\n" * 500_000}
    if "10.0.0.1" in url:
        before = socket.getaddrinfo

        def lookup(host: str, port: int, *more: object, **named: object) -> list:
            literal = [(0, 0, 0, "", (host, port))]
            return literal if host == "10.0.0.1" else before(host, port, *more, **named)

        monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(GuideError) as error:
        convert(url, fetcher=fetcher)
    assert said in error.value.message


def test_a_wrong_certificate_is_refused(fetcher: Fetcher) -> None:
    with pytest.raises(GuideError, match="certificate"):
        convert("https://example.org/x.yaml", fetcher=fetcher)


@pytest.mark.parametrize(
    "url",
    ["https://localhost/x.yaml", "https://127.0.0.1/x.yaml", "https://[::1]/x.yaml", "https://169.254.169.254/x.yaml"],
)
def test_private_addresses_are_refused(url: str) -> None:
    with pytest.raises(GuideError, match="private network"):
        convert(url)


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.1", "LOCALHOST.", "a.localhost", "[::ffff:10.0.0.1]"])
def test_private_addresses_are_not_asked_of_a_proxy(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(GuideError, match="private network"):
        convert(f"https://{host}/x.yaml")


@pytest.mark.parametrize("url", ["https://h:99999999/x.yaml", "https://[::1/x.yaml", "https://" + "x" * 90 + "/ü.yaml"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(GuideError, match=r"is no address|cannot be fetched"):
        convert(url)


def test_which_addresses_are_public() -> None:
    assert public("140.82.112.3")
    assert not any(
        public(one) for one in ("10.1.2.3", "192.168.0.1", "100.64.0.1", "127.0.0.1", "::1", "fe80::1", "0.0.0.0")
    )
