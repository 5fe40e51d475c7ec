"""Run the simulated engine: ``python -m servelab.engines.simulated MODEL --port N [vLLM's flags]``."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time

from aiohttp import web

from servelab.engines.simulated.memory import OutOfMemoryError
from servelab.engines.simulated.options import ConfigurationError, Settings, read_settings
from servelab.engines.simulated.server import Server

EXIT_REFUSED = 1


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    try:
        settings = read_settings()
        log(f"SIMULATED engine: plays {settings.profile.title}; nothing here is a measurement of a real engine")
        if settings.without_effect:
            log(f"accepted, but not simulated: {', '.join(settings.without_effect)}")
        server = Server(settings)
    except ConfigurationError as error:
        log(f"ValueError: {error}")
        return EXIT_REFUSED
    except OutOfMemoryError as error:
        log(str(error))
        return EXIT_REFUSED
    time.sleep(settings.startup)
    if settings.fault == "die-at-start":
        log("RuntimeError: Engine core initialization failed. (simulated, as asked for by --fault)")
        return EXIT_REFUSED
    if settings.fault == "hang-at-start":
        signal.pause()
    try:
        asyncio.run(serve(server, settings))
    except OSError as error:
        log(f"OSError: {error}")
        return EXIT_REFUSED
    return 0


async def serve(server: Server, settings: Settings) -> None:
    """Listen until told to end."""
    runner = web.AppRunner(server.application(), access_log=None, handler_cancellation=True)
    await runner.setup()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await web.TCPSite(runner, settings.host, settings.port, shutdown_timeout=0.2).start()
    log(f"listening on http://{settings.host}:{settings.port}")
    await ended.wait()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1.0):
            await runner.cleanup()


def log(line: str) -> None:
    """Write a line to the log."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
