"""The token, the sessions it opens, and a proxy that lets people in."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from itsdangerous import URLSafeTimedSerializer, timed
from playwright.sync_api import Browser, expect

from servelab.web.tokens import COOKIE, LIFETIME, Tokens
from tests.web.served import Served
from tests.web.wire import Wired, send

EVERYWHERE = ("--host", "0.0.0.0")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str]]:
    """A server that other machines reach, and its token."""
    found = Served(tmp_path_factory.mktemp("guarded"), EVERYWHERE).start()
    shown = re.search(r"token: (\S+)", found.log)
    assert shown, found.log
    yield found, shown[1]
    found.stop()


def enter(served: Served, token: str, query: str = "", *headers: str) -> Wired:
    body = f"token={token}".encode()
    form = ("Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}", *headers)
    return send(served.port, f"POST /login{query}", *form, body=body)


def cookie(answer: Wired) -> str:
    return answer.headers["set-cookie"].partition(";")[0]


def test_nothing_is_told_without_the_token(guarded: tuple[Served, str]) -> None:
    served, token = guarded
    for line in (
        "GET /api/v1/studies",
        "POST /api/v1/studies",
        "GET /api/v1/events?after=0",
        "GET /api/v1/openapi.json",
        "GET /static/servelab.css",
        "GET /_nicegui_ws/socket.io/?EIO=4&transport=polling",
        "GET //login",
        "GET /login/../api/v1/studies",
        "GET /LOGIN",
    ):
        for wrong in ("X: y", "Authorization: Bearer x", "Authorization: Basic x", f"Authorization: {token}"):
            answer = send(served.port, line, wrong)
            assert answer.status == 401, (line, wrong)
            assert answer.headers["www-authenticate"] == "Bearer"
            assert b"token" in answer.body
    assert send(served.port, "GET /api/v1/studies", f"Authorization: Bearer {token}").status == 200
    assert send(served.port, "GET /api/v1/studies", f"Cookie: {COOKIE}=x").status == 401
    assert send(served.port, "GET /healthz").body == b"ok\n"
    assert send(served.port, "GET /readyz").body == b"ok\n"


def test_a_person_is_asked_and_led_back(guarded: tuple[Served, str]) -> None:
    served, token = guarded
    asked = send(served.port, "GET /studies/x?tab=2", "Accept: text/html")
    assert (asked.status, asked.headers["location"]) == (303, "/login?next=/studies/x%3Ftab%3D2")
    assert enter(served, "wrong").status == 401
    answer = enter(served, token, "?next=/studies/x%3Ftab%3D2")
    assert (answer.status, answer.headers["location"]) == (303, "/studies/x?tab=2")
    flags = answer.headers["set-cookie"].lower()
    assert "httponly" in flags
    assert "samesite=strict" in flags
    assert "secure" not in flags
    assert "secure" in enter(served, token, "", "Origin: https://127.0.0.1").headers["set-cookie"].lower()
    assert send(served.port, "GET /api/v1/studies", f"Cookie: {cookie(answer)}").status == 200
    again = send(served.port, "GET /login?next=/compare", f"Cookie: {cookie(answer)}")
    assert (again.status, again.headers["location"]) == (303, "/compare")


@pytest.mark.parametrize(
    "target", ["//evil.example", "/\\evil.example", "https://evil.example", "/%09/evil.example", "%0d%0aX:y", ""]
)
def test_signing_in_leads_nowhere_else(guarded: tuple[Served, str], target: str) -> None:
    served, _ = guarded
    page = send(served.port, f"GET /login?next={target}").body.decode()
    assert re.findall(r'action="([^"]*)"', page) == ["/login"]
    session = Tokens(served.home).session()
    entered = send(served.port, f"GET /login?next={target}", f"Cookie: {COOKIE}={session}")
    assert entered.headers["location"] == "/"


def test_the_token_is_kept_as_its_hash_by_this_user_alone(guarded: tuple[Served, str]) -> None:
    served, token = guarded
    kept = [path for path in served.home.rglob("web-*") if path.is_file()]
    assert len(kept) >= 1
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in kept)
    assert not [path for path in kept if token.encode() in path.read_bytes()]
    assert served.process is not None
    process = psutil.Process(served.process.pid)
    assert token not in " ".join(process.cmdline()) + json.dumps(process.environ())


def test_a_session_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(tmp_path)
    tokens.renew()
    session = tokens.session()
    assert tokens.is_session(session)
    # Not the last letter: some of its bits are none of the signature's.
    assert not tokens.is_session(session[:-2] + ("A" if session[-2] != "A" else "B") + session[-1])
    assert not tokens.is_session("")
    assert not tokens.is_session(URLSafeTimedSerializer("key", salt="no token").dumps("x"))
    other = Tokens(tmp_path / "other")
    other.renew()
    assert not tokens.is_session(other.session())
    later = timed.time.time() + LIFETIME + 2
    monkeypatch.setattr(timed.time, "time", lambda: later)
    assert not tokens.is_session(session)
    monkeypatch.undo()
    tokens.renew()
    assert not tokens.is_session(session), "a new token ends all sessions"


def test_a_new_token_ends_the_old_one_and_all_sessions(tmp_path: Path) -> None:
    served = Served(tmp_path, EVERYWHERE).start()
    try:
        old = re.findall(r"token: (\S+)", served.log)[-1]
        session = cookie(enter(served, old))
        served.stop()
        served.start()
        assert "the token that was shown before" in served.log
        assert send(served.port, "GET /api/v1/studies", f"Cookie: {session}").status == 200, (
            "sessions outlive a restart"
        )
        served.stop()
        served.arguments = (*EVERYWHERE, "--new-token")
        served.start()
        new = re.findall(r"token: (\S+)", served.log)[-1]
        assert new != old
        assert send(served.port, "GET /api/v1/studies", f"Authorization: Bearer {new}").status == 200
        assert send(served.port, "GET /api/v1/studies", f"Authorization: Bearer {old}").status == 401
        assert send(served.port, "GET /api/v1/studies", f"Cookie: {session}").status == 401
    finally:
        served.stop()


def test_a_proxy_is_believed_from_its_address_only(tmp_path: Path) -> None:
    served = Served(tmp_path / "a", (*EVERYWHERE, "--user-header", "X-Forwarded-User", "--proxy", "127.0.0.1")).start()
    other = Served(tmp_path / "b", (*EVERYWHERE, "--user-header", "X-Forwarded-User", "--proxy", "127.0.0.9")).start()
    try:
        for header, status in (("X-Forwarded-User: jo", 200), ("X-Forwarded-User:", 401), ("X-Other: jo", 401)):
            assert send(served.port, "GET /api/v1/studies", header).status == status, header
            assert send(other.port, "GET /api/v1/studies", header).status == 401
    finally:
        served.stop()
        other.stop()


def test_where_no_token_is_asked_for_there_is_nothing_to_sign_in_to(served: Served) -> None:
    assert send(served.port, "GET /login?next=/compare").headers["location"] == "/compare"
    assert enter(served, "x").status == 401


def test_signing_in_and_out_by_mouse(guarded: tuple[Served, str], browser: Browser) -> None:
    served, token = guarded
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{served.url}/")
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Studies", exact=True)).to_be_visible(timeout=120_000)
    (kept,) = [one for one in context.cookies() if one["name"] == COOKIE]
    assert kept["httpOnly"]
    assert kept["sameSite"] == "Strict"
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible(timeout=120_000)
    assert not [one for one in context.cookies() if one["name"] == COOKIE]
    context.close()


def test_nothing_of_the_token_is_in_the_log(guarded: tuple[Served, str]) -> None:
    served, token = guarded
    send(served.port, "GET /no/such/page", f"Authorization: Bearer {token}", "Accept: text/html")
    assert served.log.count(token) == 1, "shown once, when it was made"
