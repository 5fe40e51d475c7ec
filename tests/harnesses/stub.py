"""A server with a known schedule, in a process of its own: ``python stub.py PORT``.

The first part of a path is what it plays, as ``/itl=0.02,per=4,fault=reset/v1/completions``. Times are in seconds:

- ``ttft``: before the first chunk; ``itl``: between chunks; ``per``: tokens in each chunk
- ``role=1``: a chunk without text comes at once
- ``fault``: reset, bad_json, no_usage, http_429, http_500, http10, empty, half, whole, close
- ``every``: only each n-th generation has the fault, not the first two; default: all of them
- ``stall`` and ``at``: a pause for all, from the ``at``-th generation on

``/tokenize`` has a token per word, ``/stub`` tells all generations as JSON and forgets them.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any


class Stub:
    """What it has seen."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.active = 0
        self.stalled_until: float | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while line := await reader.readline():
                await self._one(line.split()[1].decode(), reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _one(self, path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = 0
        while (header := await reader.readline()).strip():
            name, _, value = header.decode().partition(":")
            if name.lower() == "content-length":
                length = int(value)
        body = json.loads(await reader.readexactly(length)) if length else {}
        if path.endswith("/stub"):
            answer = json.dumps(self.seen)
            self.seen, self.stalled_until = [], None
            writer.write(plain(200, answer))
        elif path.endswith("/tokenize"):
            writer.write(plain(200, json.dumps({"tokens": list(range(len(body["prompt"].split())))})))
        elif path.endswith("/metrics"):
            text = f'stub:running{{m="x"}} {self.active}\nstub:count_total {len(self.seen)}\n'
            text += 'stub:usage{replica="0"} 0.2\nstub:usage{replica="1"} 0.6\n'
            writer.write(plain(200, text))
        elif path.endswith("completions"):
            self.active += 1
            try:
                await self._generate(path, body, writer)
            finally:
                self.active -= 1
        else:
            writer.write(plain(404, "no"))
        await writer.drain()

    async def _generate(self, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        given = dict(part.partition("=")[::2] for part in path.split("/")[1].split(","))
        number = len(self.seen)
        chat = "messages" in body
        prompt = body["messages"][0]["content"] if chat else body["prompt"]
        self.seen.append({"prompt": prompt, "max_tokens": body["max_tokens"], "when": time.time(), "body": body})
        if number == int(given.get("at", -1)):
            self.stalled_until = time.perf_counter() + float(given["stall"])
        if self.stalled_until is not None:
            await asyncio.sleep(max(0.0, self.stalled_until - time.perf_counter()))
        every = int(given.get("every", 1))
        fault = given.get("fault") if every == 1 or (number > 1 and number % every == 0) else None
        if fault in ("http_429", "http_500"):
            writer.write(plain(int(fault[-3:]), '{"error": {"message": "as asked for"}}'))
            return
        tokens, per = body["max_tokens"], int(given.get("per", 1))
        usage = {"prompt_tokens": len(prompt.split()) + 5 * chat, "completion_tokens": tokens}
        if fault == "whole":
            whole = {"choices": [{"text": "word " * tokens, "finish_reason": "length"}], "usage": usage}
            writer.write(plain(200, json.dumps(whole)))
            return
        chunked = fault != "http10"
        head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked" if chunked else "HTTP/1.0 200 OK"
        writer.write(f"{head}\r\nContent-Type: text/event-stream\r\n\r\n".encode())

        async def event(message: Any) -> None:
            data = b"data: " + (message if isinstance(message, bytes) else json.dumps(message).encode()) + b"\n\n"
            writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n" if chunked else data)
            await writer.drain()

        if given.get("role"):
            await event({"choices": [{"delta": {"role": "assistant", "content": ""}, "finish_reason": None}]})
        start = time.perf_counter()
        due = start + float(given.get("ttft", 0.01))
        for done in range(0, tokens if fault != "empty" else 0, per):
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            due += float(given.get("itl", 0.002))
            if done >= tokens // 2 and fault in ("reset", "half", "bad_json"):
                break
            last = done + per >= tokens
            text = "word " * min(per, tokens - done)
            choice = {"delta": {"content": text}} if chat else {"text": text}
            await event({"choices": [{**choice, "finish_reason": "length" if last else None}]})
        if fault == "reset":
            writer.transport.abort()
            return
        if fault == "bad_json":
            await event(b'{"choices": [')
        if fault not in ("no_usage", "half"):
            await event({"choices": [], "usage": usage})
        if fault != "half":
            await event(b"[DONE]")
        writer.write(b"0\r\n\r\n" if chunked else b"")
        if fault in ("http10", "close"):
            await writer.drain()
            writer.close()


def plain(status: int, text: str) -> bytes:
    """A whole response."""
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(text.encode())}\r\n\r\n{text}".encode()


async def main() -> None:
    """Serve until killed."""
    server = await asyncio.start_server(Stub().serve, "127.0.0.1", int(sys.argv[1]), backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
