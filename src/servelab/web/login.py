"""Signing in with the token, signing out, and whether the server is well."""

from __future__ import annotations

import asyncio
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from servelab.spec.errors import StoreError
from servelab.web.context import Context, context_of
from servelab.web.tokens import COOKIE, LIFETIME

router = APIRouter(include_in_schema=False)
Here = Annotated[Context, Depends(context_of)]

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>servelab: sign in</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; display: grid; place-content: center; min-height: 90vh; margin: 1rem }}
form {{ display: grid; gap: .75rem; max-width: 24rem }} h1 {{ font-size: 1.25rem; margin: 0 }} p {{ margin: 0 }}
input, button {{ font: inherit; padding: .5rem .75rem; border: 1px solid #767676; border-radius: 6px }}
button {{ background: #1d5fbf; color: #fff; border-color: #1d5fbf; cursor: pointer }} .bad {{ color: #b3261e }}
@media (prefers-color-scheme: dark) {{ .bad {{ color: #ffb4ab }} }}
</style></head><body><main><form method="post" action="/login{query}">
<h1>servelab</h1>{said}
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<p>It was shown when this server was first started. A new one: <code>servelab serve --new-token</code></p>
<button>Sign in</button></form></main></body></html>"""


@router.get("/login")
def ask(request: Request, here: Here) -> Response:
    """Ask for the token, where it is asked for."""
    target = _target(request)
    if not here.settings.token or here.tokens.is_session(request.cookies.get(COOKIE, "")):
        return RedirectResponse(target, 303)
    return _page(target, "")


@router.post("/login")
def enter(request: Request, here: Here, token: Annotated[str, Form()] = "") -> Response:
    """Let in whoever has the token."""
    target = _target(request)
    if not here.settings.token or not here.tokens.is_token(token):
        return _page(target, '<p class="bad" role="alert">That is not the token.</p>', 401)
    answer = RedirectResponse(target, 303)
    secure = request.headers.get("origin", "").startswith("https:")  # a proxy in front speaks it
    answer.set_cookie(COOKIE, here.tokens.session(), LIFETIME, httponly=True, samesite="strict", secure=secure)
    return answer


@router.post("/logout")
def leave() -> Response:
    """End the session of this browser."""
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE)
    return answer


@router.get("/healthz")
def alive() -> PlainTextResponse:
    """The process answers."""
    return PlainTextResponse("ok\n")


@router.get("/readyz")
async def ready(here: Here) -> Response:
    """The store can be read."""
    try:
        await asyncio.to_thread(here.store.last_event)
    except StoreError as error:
        known = not here.settings.guarded  # who asks has shown no token: where the store lies is not for everybody
        return PlainTextResponse(f"{error.message if known else 'the store cannot be used'}\n", 503)
    return PlainTextResponse("ok\n")


def _page(target: str, said: str, status: int = 200) -> HTMLResponse:
    query = f"?next={quote(target, safe='/')}" if target != "/" else ""
    return HTMLResponse(_PAGE.format(query=query, said=said), status, {"Cache-Control": "no-store"})


def _target(request: Request) -> str:
    """Where to go then: a path of ours, whatever the address says."""
    asked = request.query_params.get("next", "/")
    plain = asked.startswith("/") and not asked.startswith(("//", "/\\")) and asked.isprintable()
    return asked if plain else "/"
