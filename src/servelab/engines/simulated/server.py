"""vLLM's HTTP API over the simulated engine."""

from __future__ import annotations

import asyncio
import json
import os
import zlib
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from servelab.engines.simulated.clock import OutOfMemory, StepLoop
from servelab.engines.simulated.metrics import metrics_text
from servelab.engines.simulated.options import Settings
from servelab.engines.simulated.scheduler import Request

VERSION = "simulated-1"
DEFAULT_OUTPUT = 16  # tokens, as vLLM's completions API has it
LOADED = 8  # requests after which the faults under load strike
WORD = " word"


class Server:
    """Answers requests with as many words as they ask for, when the scheduler says so."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.loop = StepLoop(settings)
        self.seen = 0

    def application(self) -> web.Application:
        """The web application, with its stepping task."""
        found = web.Application(middlewares=[_simulated])
        found.router.add_get("/health", self.health)
        found.router.add_get("/version", self.version)
        found.router.add_get("/v1/models", self.models)
        found.router.add_get("/metrics", self.metrics)
        found.router.add_post("/tokenize", self.tokenize)
        found.router.add_post("/v1/completions", self.generate)
        found.router.add_post("/v1/chat/completions", self.generate)
        found.cleanup_ctx.append(self._stepping)
        return found

    async def _stepping(self, _: web.Application) -> AsyncIterator[None]:
        task = asyncio.ensure_future(self._step())
        yield
        task.cancel()

    async def _step(self) -> None:
        try:
            await self.loop.run()
        except OutOfMemory:
            print("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.20 GiB. (simulated)", flush=True)
            os._exit(1)

    async def health(self, _: web.Request) -> web.Response:
        """Ready."""
        return web.Response()

    async def version(self, _: web.Request) -> web.Response:
        """The version, which says what this is."""
        return web.json_response({"version": VERSION, "simulated": True})

    async def models(self, _: web.Request) -> web.Response:
        """The one model."""
        s = self.settings
        entry = {"id": s.served_name, "object": "model", "owned_by": "servelab", "max_model_len": s.max_model_len}
        return web.json_response({"object": "list", "data": [entry]})

    async def metrics(self, _: web.Request) -> web.Response:
        """Prometheus text with vLLM's names."""
        return web.Response(text=metrics_text(self.loop.scheduler, self.settings.served_name))

    async def tokenize(self, request: web.Request) -> web.Response:
        """One token per word."""
        body = await request.json()
        tokens = [zlib.crc32(word.encode()) % 32000 for word in str(body.get("prompt", "")).split()]
        found = {"count": len(tokens), "max_model_len": self.settings.max_model_len, "tokens": tokens}
        return web.json_response(found)

    async def generate(self, request: web.Request) -> web.StreamResponse:
        """Both APIs, streamed or not."""
        self.seen += 1
        refused = await self._fault(request)
        if refused is not None:
            return refused
        try:
            body = await request.json()
        except ValueError:
            return _error(400, "the body is not JSON")
        words = _words(body)
        output = int(body.get("max_tokens") or body.get("max_completion_tokens") or DEFAULT_OUTPUT)
        if len(words) + output > self.settings.max_model_len:
            return _error(
                400,
                f"This model's maximum context length is {self.settings.max_model_len} tokens. However, you requested "
                f"{len(words) + output} tokens.",
            )
        work = Request(prompt=max(1, len(words)), output=output, prefix=self._blocks(words))
        if not self.loop.scheduler.fits(work):
            return _error(400, "the request is larger than the KV cache")
        tokens: asyncio.Queue[None] = asyncio.Queue()
        self.loop.submit(work, lambda: tokens.put_nowait(None))
        try:
            if body.get("stream"):
                return await self._stream(request, body, work, tokens)
            for _ in range(output):
                await tokens.get()
        finally:
            self.loop.withdraw(work)
        whole = _event(request, body, self.settings.served_name, WORD * output, "length")
        return web.json_response({**whole, "usage": _usage(work)})

    async def _stream(
        self, request: web.Request, body: dict[str, Any], work: Request, tokens: asyncio.Queue[None]
    ) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        for number in range(1, work.output + 1):
            await tokens.get()
            if self.settings.fault == "half-stream" and number > work.output // 2:
                _drop(request)
                return answer
            finish = "length" if number == work.output else None
            await answer.write(_data(_event(request, body, self.settings.served_name, WORD, finish)))
        if (body.get("stream_options") or {}).get("include_usage"):
            last = _event(request, body, self.settings.served_name, "", None)
            await answer.write(_data({**last, "choices": [], "usage": _usage(work)}))
        await answer.write(b"data: [DONE]\n\n")
        return answer

    async def _fault(self, request: web.Request) -> web.StreamResponse | None:
        """Fail as asked on the command line."""
        fault = self.settings.fault
        loaded = self.seen > LOADED
        if fault == "die-under-load" and loaded:
            os._exit(139)
        if fault == "no-answer" or (fault == "hang-under-load" and loaded):
            await asyncio.Event().wait()
        if fault in ("error-429", "error-500"):
            return _error(int(fault[-3:]), "as asked for by --fault")
        if fault == "garbage":
            return web.Response(body=b"data: {not json\n\n", content_type="text/event-stream")
        return None

    def _blocks(self, words: list[str]) -> tuple[int, ...]:
        """A hash for each full block of the prompt, each of all words up to its end."""
        size, found, running = self.settings.block_size, [], 0
        for start in range(0, len(words) - size + 1, size):
            running = zlib.crc32(" ".join(words[start : start + size]).encode(), running)
            found.append(running)
        return tuple(found)


@web.middleware
async def _simulated(request: web.Request, handler: Any) -> web.StreamResponse:
    answer: web.StreamResponse = await handler(request)
    if not answer.prepared:
        answer.headers["X-Simulated"] = "true"
    return answer


def _words(body: dict[str, Any]) -> list[str]:
    if "messages" in body:
        return [word for message in body["messages"] for word in str(message.get("content", "")).split()]
    prompt = body.get("prompt", "")
    return [str(token) for token in prompt] if isinstance(prompt, list) else str(prompt).split()


def _event(request: web.Request, body: dict[str, Any], model: str, text: str, finish: str | None) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": 0, "finish_reason": finish}
    if request.path.endswith("/chat/completions"):
        choice["delta" if body.get("stream") else "message"] = {"role": "assistant", "content": text}
    else:
        choice["text"] = text
    return {"id": "simulated", "model": model, "system_fingerprint": "simulated", "choices": [choice]}


def _usage(work: Request) -> dict[str, int]:
    total = work.prompt + work.output
    return {"prompt_tokens": work.prompt, "completion_tokens": work.output, "total_tokens": total}


def _data(message: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(message).encode() + b"\n\n"


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message, "code": status}}, status=status)


def _drop(request: web.Request) -> None:
    """Break the connection off in the middle."""
    if request.transport is not None:
        request.transport.abort()
