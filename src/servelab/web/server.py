"""Run the page server."""

from __future__ import annotations

import socket

import uvicorn

from servelab.spec.errors import ServelabError
from servelab.store.store import Store
from servelab.web.app import create_app
from servelab.web.settings import Settings

PATIENCE = 3  # seconds that open connections get when the server ends


def serve(store: Store, settings: Settings) -> None:
    """Serve until interrupted.

    Raises:
        ServelabError: the address cannot be used.
    """
    listening = listen(settings.host, settings.port)
    config = uvicorn.Config(
        create_app(store, settings),
        log_level="warning",
        access_log=False,  # addresses of pages may hold what a person typed
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=PATIENCE,
    )
    uvicorn.Server(config).run(sockets=[listening])


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises:
        ServelabError: it cannot.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen(256)
    except OSError as error:
        found.close()
        raise ServelabError(
            f"cannot listen on {host}, port {port}: {error.strerror}",
            "Is one running already? Open it, or give another port: servelab serve --port N",
        ) from error
    return found
