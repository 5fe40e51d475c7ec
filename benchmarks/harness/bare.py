"""The floor: a bare asyncio socket client that knows what will come, and does nothing but take the time.

What it is off by is the operating system's and the machine's, not a client's.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from time import perf_counter
from urllib.parse import urlsplit

import uvloop

from servelab.harnesses.builtin.record import record, token_intervals
from servelab.harnesses.builtin.stream import Answer
from servelab.harnesses.builtin.summary import Tally
from servelab.spec.goal import RequestSLO

TEXT = b'"finish_reason"'  # once in each chunk that carries text
END = b"0\r\n\r\n"


class Stream(asyncio.Protocol):
    """One connection: the next request when the last one has ended."""

    def __init__(self, request: bytes, left: list[int], done: list[tuple[float, list[float]]]) -> None:
        self._request, self._left, self._done = request, left, done
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin."""
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        """Take the time."""
        now = perf_counter()
        found = data.count(TEXT)
        if found == 1:
            self._times.append(now)
        elif found:
            self._times += [now] * found
        if data.endswith(END):
            self._done.append((self._sent, self._times))
            self._next()

    def _next(self) -> None:
        if not self._left[0]:
            self._transport.close()
            self.ended.set_result(None)
            return
        self._left[0] -= 1
        self._times: list[float] = []
        self._sent = perf_counter()
        self._transport.write(self._request)


async def measure(url: str, streams: int, requests: int, tokens: int) -> dict[str, float]:
    """Metrics named as a harness names them."""
    parts = urlsplit(url)
    body = json.dumps({"model": "m", "prompt": "word " * 16, "max_tokens": tokens, "stream": True}).encode()
    path = f"{parts.path}/v1/completions"
    request = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    done: list[tuple[float, list[float]]] = []
    left = [requests + streams]
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: Stream(request, left, done), parts.hostname, parts.port)
        for _ in range(streams)
    ]
    await asyncio.gather(*(stream.ended for _, stream in made))
    tally = Tally(RequestSLO())
    for sent, times in done[-requests:]:
        answer = Answer(chunks=times, output_tokens=tokens)
        tally.add(record(answer, 0.0, sent, sent, times[-1], 16), token_intervals(answer))
    return tally.metrics()


if __name__ == "__main__":
    gc.disable()
    print(json.dumps(uvloop.run(measure(**json.loads(sys.argv[1])))))
