"""vLLM's HTTP API over the simulated engine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import traceback
import zlib
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from servelab.batching.request import Request
from servelab.engines.simulated.api import (
    MAX_BODY,
    VERSION,
    Generation,
    RefusedError,
    prefix_blocks,
    prompt_words,
    read_generation,
    stream_events,
    whole_answer,
)
from servelab.engines.simulated.clock import StepLoop
from servelab.engines.simulated.memory import OutOfMemoryError
from servelab.engines.simulated.metrics import metrics_text
from servelab.engines.simulated.options import Settings

LOADED = 8  # requests after which the faults under load strike


class Server:
    """Answers requests with as many words as they ask for, when the scheduler says so."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.loop = StepLoop(settings)
        self.seen = 0

    def application(self) -> web.Application:
        """The web application, with its stepping task."""
        found = web.Application(client_max_size=MAX_BODY)
        found.router.add_get("/health", self.health)
        found.router.add_get("/version", self.version)
        found.router.add_get("/v1/models", self.models)
        found.router.add_get("/metrics", self.metrics)
        found.router.add_post("/tokenize", self.tokenize)
        found.router.add_post("/v1/completions", self.generate)
        found.router.add_post("/v1/chat/completions", self.generate)
        found.on_response_prepare.append(_say_simulated)
        found.cleanup_ctx.append(self._stepping)
        return found

    async def _stepping(self, _: web.Application) -> AsyncIterator[None]:
        task = asyncio.ensure_future(self._step())
        yield
        task.cancel()

    async def _step(self) -> None:
        try:
            await self.loop.run()
        except OutOfMemoryError as error:
            _die(f"{error} (simulated)", 1)
        except Exception:  # noqa: BLE001 - a fault of ours: without steps every request would wait for ever
            _die(traceback.format_exc(), 1)

    async def health(self, _: web.Request) -> web.Response:
        """Ready."""
        return web.Response()

    async def version(self, _: web.Request) -> web.Response:
        """The version, which says what this is."""
        return web.json_response({"version": VERSION, "simulated": True, "profile": self.settings.profile_name})

    async def models(self, _: web.Request) -> web.Response:
        """The one model."""
        name, length = self.settings.served_name, self.settings.memory.max_model_len
        entry = {"id": name, "object": "model", "owned_by": "servelab-simulated", "max_model_len": length}
        return web.json_response({"object": "list", "data": [entry]})

    async def metrics(self, _: web.Request) -> web.Response:
        """Prometheus text with vLLM's names."""
        return web.Response(text=metrics_text(self.loop.scheduler, self.loop.latencies, self.settings.served_name))

    async def tokenize(self, request: web.Request) -> web.Response:
        """One token per word."""
        try:
            words = prompt_words(await _body(request))
        except RefusedError as error:
            return _error(error.status, error.message)
        tokens = [zlib.crc32(word.encode()) % 32000 for word in words if word]
        length = self.settings.memory.max_model_len
        return web.json_response({"count": len(tokens), "max_model_len": length, "tokens": tokens})

    async def generate(self, request: web.Request) -> web.StreamResponse:
        """Both APIs, streamed or not."""
        self.seen += 1
        refused = await self._fault()
        if refused is not None:
            return refused
        try:
            chat = request.path.endswith("/chat/completions")
            made = read_generation(await _body(request), chat, self.seen, self.settings)
            work = self._request(made)
        except RefusedError as error:
            return _error(error.status, error.message)
        tokens: asyncio.Queue[None] = asyncio.Queue()
        self.loop.submit(work, lambda: tokens.put_nowait(None))
        try:
            if made.stream:
                return await self._stream(request, made, tokens)
            for _ in range(made.output):
                await tokens.get()
        finally:
            self.loop.withdraw(work)
        return web.json_response(whole_answer(made))

    def _request(self, made: Generation) -> Request:
        blocks = prefix_blocks(made.words, self.settings.memory.block_size)
        work = Request(prompt=len(made.words), output=made.output, prefix=blocks)
        if not self.loop.scheduler.fits(work):
            raise RefusedError(400, "the request is larger than the KV cache")
        return work

    async def _stream(self, request: web.Request, made: Generation, tokens: asyncio.Queue[None]) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        broken = made.output // 2 if self.settings.fault == "half-stream" else -1
        with contextlib.suppress(ConnectionResetError):  # the client went away
            await answer.prepare(request)
            for number, event in enumerate(stream_events(made)):
                await tokens.get()
                if number == broken and request.transport is not None:
                    request.transport.abort()
                    break
                await answer.write(event)
        return answer

    async def _fault(self) -> web.StreamResponse | None:
        """Fail as asked on the command line."""
        fault = self.settings.fault
        loaded = self.seen > LOADED
        if fault == "die-under-load" and loaded:
            _die("!!!!!!! Segfault encountered !!!!!!! (simulated, as asked for by --fault)", 139)
        if fault == "no-answer" or (fault == "hang-under-load" and loaded):
            await asyncio.Event().wait()
        if fault in ("error-429", "error-500"):
            return _error(int(fault[-3:]), "as asked for by --fault")
        if fault == "garbage":
            return web.Response(body=b"data: {not json\n\n", content_type="text/event-stream")
        return None


async def _body(request: web.Request) -> Any:
    try:
        body = await request.json()
    except ValueError:
        raise RefusedError(400, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise RefusedError(400, "the body must be a JSON object")
    return body


async def _say_simulated(_: web.Request, answer: web.StreamResponse) -> None:
    answer.headers["Server"] = "servelab-simulated"


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message, "type": "simulated", "code": status}}, status=status)


def _die(line: str, code: int) -> None:
    """End as a crash does: at once, with every connection broken off."""
    print(line, file=sys.stderr, flush=True)
    os._exit(code)
