"""Run the page server."""

from __future__ import annotations

import errno
import os
import socket

import uvicorn

from servelab.lab.paths import data_directory
from servelab.spec.errors import ServelabError
from servelab.store.store import Store
from servelab.web.context import Context
from servelab.web.guard import LARGEST
from servelab.web.live import Live
from servelab.web.settings import Settings

PATIENCE = 3  # seconds that open connections get when the server ends


def serve(store: Store, settings: Settings, listening: socket.socket) -> None:
    """Serve until interrupted."""
    # Nothing of NiceGUI's is kept, and nothing is read from the directory that the server was started in.
    os.environ["NICEGUI_STORAGE_PATH"] = str(data_directory() / "pages")
    from servelab.web.app import create_app

    context = Context(store, Live(store), settings, settings.tokens)
    config = uvicorn.Config(
        create_app(context),
        log_level="warning",
        access_log=False,  # addresses of pages may hold what a person typed
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=PATIENCE,
        ws_max_size=LARGEST,
    )
    _Server(config, context.live).run(sockets=[listening])


class _Server(uvicorn.Server):
    """Ends what clients follow before it waits for their connections to end."""

    def __init__(self, config: uvicorn.Config, live: Live) -> None:
        super().__init__(config)
        self._live = live

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._live.end()
        await super().shutdown(sockets)


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
    except (OSError, OverflowError) as error:
        found.close()
        raise _explained(host, port, error) from error
    return found


def _explained(host: str, port: int, error: OSError | OverflowError) -> ServelabError:
    code = error.errno if isinstance(error, OSError) else errno.ERANGE
    remedy = {
        errno.EADDRINUSE: "Is one running already? Open it, or give another port: servelab serve --port N",
        errno.EACCES: "Ports below 1024 are for the administrator. Give another: servelab serve --port N",
        errno.EADDRNOTAVAIL: "Give an address of this machine (ip addr), or 0.0.0.0 for all of them.",
        errno.ERANGE: "Ports are 0 to 65535; 0 takes one that is free.",
    }.get(code or 0, "Give another address or port.")
    said = error.strerror if isinstance(error, OSError) else "no such port"
    return ServelabError(f"cannot listen on {host}, port {port}: {said}", remedy)
