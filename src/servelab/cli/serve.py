"""The command that runs the page server."""

from __future__ import annotations

import importlib.util
import webbrowser
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import cyclopts

from servelab.cli.output import StoreUrl, console, notes
from servelab.spec.errors import ServelabError
from servelab.store.store import open_store

if TYPE_CHECKING:  # the page is an extra
    from servelab.web.settings import Settings


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 8640,
    name: Annotated[tuple[str, ...], cyclopts.Parameter(negative="")] = (),
    new_token: Annotated[bool, cyclopts.Parameter(negative="")] = False,
    user_header: str = "",
    proxy: Annotated[tuple[str, ...], cyclopts.Parameter(negative="")] = (),
    open: Annotated[bool, cyclopts.Parameter(negative="")] = False,
    store: StoreUrl = None,
) -> None:
    """Open the page: start studies, watch them live, see the answer.

    Parameters
    ----------
    host
        Address to listen on; any but this machine's own asks for a token.
    port
        Port to listen on.
    name
        Further name that browsers reach it by; may be repeated.
    new_token
        Make a new token; the old one and all sessions end.
    user_header
        Header in which a proxy names the person that it has let in, as X-Forwarded-User.
    proxy
        Address of a proxy that is believed in that; may be repeated.
    open
        Open it in this machine's browser.
    """
    if importlib.util.find_spec("nicegui") is None:
        raise ServelabError("the page is not installed", "Install it: pip install 'servelab[web]'")
    from servelab.web.server import listen
    from servelab.web.server import serve as run
    from servelab.web.settings import Settings

    settings = Settings(host, port, name, user_header=user_header, proxies=frozenset(proxy)).checked()
    opened = open_store(store)
    listening = listen(settings.host, settings.port)
    settings = replace(settings, port=listening.getsockname()[1])
    _tell(settings, new_token)
    if open:
        webbrowser.open(settings.url)
    run(opened, settings, listening)


def _tell(settings: Settings, new_token: bool) -> None:
    console.print(f"servelab: [bold]{settings.url}[/]  (Ctrl-C ends it; studies go on)", soft_wrap=True)
    if settings.token and (new_token or not settings.tokens.exists):
        token = settings.tokens.renew()
        console.print(f"token: [bold]{token}[/]  (shown once; to sign in at {settings.url}/login)", soft_wrap=True)
    elif settings.token:
        console.print("It asks for the token that was shown before; another one: servelab serve --new-token")
    elif new_token:
        notes.print("no token is asked for on this machine's own addresses: none was made")
