"""Who may ask the page server what: by sockets, as an attacker would."""

from __future__ import annotations

import json
import re
import time
from types import SimpleNamespace

import pytest

from servelab.web import limits
from servelab.web.guard import LARGEST
from tests.web.served import Served
from tests.web.wire import send

SECURE = (
    "content-security-policy",
    "x-content-type-options",
    "x-frame-options",
    "referrer-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
)


def test_names_that_are_ours_are_let_in(served: Served) -> None:
    for name in ("127.0.0.1", "localhost", "LOCALHOST", "[::1]"):
        for host in (name, f"{name}:{served.port}", f"{name}:1"):
            assert send(served.port, "GET /api/v1/studies", host=host).status == 200, host


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8640",
        "localhost.",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.2",
        "evil.example@localhost",
        "localhost/evil",
        "localhost#",
        "[::2]",
        "",
        "[",
        "localhost:a",
        "2130706433",
        None,
    ],
)
def test_other_names_are_dns_rebinding(served: Served, host: str | None) -> None:
    for path in ("/", "/api/v1/studies", "/static/servelab.css", "/healthz", "/_nicegui_ws/socket.io/?EIO=4"):
        answer = send(served.port, f"GET {path}", host=host)
        assert answer.status in (400, 421), (path, answer)
        assert b"servelab-" not in answer.body


def test_two_names_are_none(served: Served) -> None:
    answer = send(served.port, "GET /api/v1/studies", "Host: evil.example")
    assert answer.status in (400, 421)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "PROPFIND"])
@pytest.mark.parametrize(
    "header",
    [
        "Origin: http://evil.example",
        "Origin: http://127.0.0.1:1",
        "Origin: http://127.0.0.1",
        "Origin: null",
        "Origin: ",
        "Origin: http://[",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
    ],
)
def test_nothing_is_changed_from_a_page_of_another_site(served: Served, method: str, header: str) -> None:
    answer = send(served.port, f"{method} /api/v1/studies", header, host=f"127.0.0.1:{served.port}")
    assert answer.status == 403
    assert b"another site" in answer.body


def test_nothing_is_read_from_a_page_of_another_site(served: Served) -> None:
    host = f"127.0.0.1:{served.port}"
    for path in ("/api/v1/studies", "/api/v1/events?after=0", "/_nicegui_ws/socket.io/?EIO=4&transport=polling"):
        for headers in (["Origin: http://evil.example"], ["Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: no-cors"]):
            answer = send(served.port, f"GET {path}", *headers, host=host)
            assert answer.status == 403, (path, headers)
            assert "access-control-allow-origin" not in answer.headers
    link = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"]
    assert send(served.port, "GET /", *link, "Sec-Fetch-Dest: document", host=host).status == 200
    assert send(served.port, "GET /", *link, "Sec-Fetch-Dest: iframe", host=host).status == 403
    assert send(served.port, "POST /api/v1/studies", *link, "Sec-Fetch-Dest: document", host=host).status == 403


def test_our_own_page_and_programs_are_let_in(served: Served) -> None:
    host = f"127.0.0.1:{served.port}"
    for headers in ([f"Origin: http://{host}"], ["Sec-Fetch-Site: same-origin"], []):
        answer = send(served.port, "POST /api/v1/studies", *headers, "Content-Length: 0", host=host)
        assert answer.status == 422, headers


def test_a_socket_is_opened_from_our_own_page_only(served: Served) -> None:
    host = f"127.0.0.1:{served.port}"
    line = "GET /_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    upgrade = (
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )

    def opened(*headers: str, host: str = host) -> int:
        named = f"{line} HTTP/1.1\r\nHost: {host}\r\n" + "\r\n".join((*upgrade, *headers))
        return _status(served.port, f"{named}\r\nConnection: Upgrade\r\n\r\n")

    assert opened(f"Origin: http://{host}") == 101
    assert opened() == 101
    assert opened("Origin: http://evil.example") == 403
    assert opened("Origin: null") == 403
    assert opened("Sec-Fetch-Site: same-site") == 403
    assert opened(f"Origin: http://evil.example:{served.port}", host=f"evil.example:{served.port}") == 403


def _status(port: int, text: str) -> int:
    import socket

    with socket.create_connection(("127.0.0.1", port), 120) as sock:
        sock.sendall(text.encode())
        return int(sock.recv(4096).split()[1])


def test_every_answer_has_the_headers_of_a_safe_page(served: Served) -> None:
    for line, host in (
        ("GET /", "127.0.0.1"),
        ("GET /no/such/page", "127.0.0.1"),
        ("GET /static/servelab.css", "127.0.0.1"),
        ("GET /static/nothing", "127.0.0.1"),
        ("GET /api/v1/studies", "127.0.0.1"),
        ("GET /api/v1/studies/nothing", "127.0.0.1"),
        ("GET /api/nowhere", "127.0.0.1"),
        ("PUT /api/v1/studies", "127.0.0.1"),
        ("GET /api/v1/openapi.json", "127.0.0.1"),
        ("GET /healthz", "127.0.0.1"),
        ("GET /", "evil.example"),
    ):
        answer = send(served.port, line, "Accept: text/html", host=host)
        assert not [name for name in SECURE if name not in answer.headers], line
        assert "server" not in answer.headers
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "http" not in policy.replace("https", "")
        if line.partition(" ")[2].startswith("/api"):
            assert "script-src" not in policy
            assert "default-src 'none'" in policy
            assert "sandbox" in policy
            assert answer.headers["cache-control"] == "no-store"


def test_bodies_have_a_limit_however_they_are_sent(served: Served) -> None:
    port, line, kind = served.port, "POST /api/v1/studies", "Content-Type: application/json"
    announced = send(port, line, kind, f"Content-Length: {LARGEST + 1}")
    assert announced.status == 413
    chunk = b"%x\r\n%b\r\n" % (LARGEST // 2, b" " * (LARGEST // 2))
    chunked = send(port, line, kind, "Transfer-Encoding: chunked", body=chunk * 2 + b"1\r\n \r\n0\r\n\r\n")
    assert chunked.status == 413
    assert json.loads(chunked.body)["message"].startswith("the body is larger")


def test_files_are_those_of_static_only(served: Served) -> None:
    for path in ("../settings.py", "..%2fsettings.py", "%2e%2e/settings.py", "..\\settings.py", "/etc/passwd", "%00"):
        answer = send(served.port, f"GET /static/{path}")
        assert answer.status in (400, 404), path
        assert b"import" not in answer.body


def test_a_path_that_is_none_is_told_as_a_problem(served: Served) -> None:
    nowhere = served.ask("/api/v1/nothing")
    assert nowhere.status == 404
    assert "/api/v1/openapi.json" in nowhere.data["message"]
    wrong = served.ask("/api/v1/studies", method="PUT")
    assert (wrong.status, wrong.headers["allow"]) == (405, "GET, POST")
    assert served.ask("/api/v1/studies/..%2f..%2fx").status in (404, 422)
    assert served.ask("/api/v1/studies/A_b").data["problems"][0].startswith("path.study_id")


def test_who_asks_too_often_is_told_when_to_come_back(served: Served) -> None:
    began, let_in = time.monotonic(), 0
    while (answer := send(served.port, "POST /login", "Content-Length: 0")).status == 401:
        let_in += 1
        assert let_in <= 10 + (time.monotonic() - began) / 10 + 1, "ten at once, and one more every ten seconds"
    assert let_in >= 10
    assert answer.status == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 10


def test_a_bucket_fills_while_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(limits, "time", SimpleNamespace(monotonic=lambda: now))
    bucket = limits.Buckets(rate=100, burst=2)
    assert [bucket.take("a") for _ in range(2)] == [0, 0]
    assert bucket.take("a") == pytest.approx(0.01)
    assert bucket.take("b") == 0
    waits = []
    for _ in range(1000):  # who keeps asking is let in at the rate
        now += 0.001
        waits.append(bucket.take("a"))
    assert waits.count(0) == pytest.approx(100, abs=1)


def test_nothing_secret_is_in_a_page(served: Served) -> None:
    page = send(served.port, "GET /", "Accept: text/html").body.decode()
    assert str(served.home) not in page
    assert not re.search(r"(hf_|sk-)[A-Za-z0-9]{8}", page)
