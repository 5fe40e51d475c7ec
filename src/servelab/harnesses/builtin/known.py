"""A server whose schedule is known: ``python -m servelab.harnesses.builtin.known``, which prints its port.

What a harness reports of it can be held against what it really did. It is one thread on one core, without a
framework: a bare ``epoll`` loop over a heap of due times, spinning in the last millisecond, and writing bytes made
beforehand. The first part of a path is what it plays, as ``/ttft=0.05&itl=0.02&per=4/v1/completions``:

- ``ttft``: seconds to the first chunk; ``itl``: seconds per token; ``per``: tokens in each chunk
- ``jitter``: each chunk is up to this share of its interval early or late; ``seed``: of the jitter
- ``role=1``: a chunk without text comes at once

``/truth?last=N`` tells when the last N generations really were sent, ``/tokenize`` has a token per word.
"""

from __future__ import annotations

import json
import os
import random
import re
import select
import signal
import socket
import sys
from array import array
from dataclasses import dataclass, field
from functools import lru_cache
from heapq import heappop, heappush, heapreplace
from time import perf_counter

SPIN = 0.0012  # seconds before something is due from when on nothing sleeps: epoll's clock has milliseconds
SENDS_PER_TURN = 8  # chunks that may be sent before new requests are looked for
KEPT = 1 << 16  # generations whose times are kept
BACKLOG = 4096
READ = 1 << 16  # bytes; more would be got from the operating system and given back each time

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TOKENS = re.compile(rb'"max_(?:completion_)?tokens": *(\d+)')
_STREAM = re.compile(rb'"stream": *true')


@dataclass(frozen=True)
class Schedule:
    """When chunks are sent: ``ttft`` and ``itl`` (per token) in seconds, ``jitter`` as a share of the interval."""

    ttft: float = 0.0
    itl: float = 0.0
    per: int = 1
    jitter: float = 0.0
    seed: int = 0
    role: int = 0

    @property
    def path(self) -> str:
        """The part of a URL's path that asks for it."""
        return "/" + "&".join(f"{name}={value:g}" for name, value in vars(self).items())


@dataclass
class Generation:
    """One answer on its way. Times are of ``time.perf_counter``, which all processes of a machine share on Linux."""

    connection: Connection
    schedule: Schedule
    chunks: int
    text: bytes
    last: bytes
    received: float
    due: float = 0.0
    sent: array[float] = field(default_factory=lambda: array("d"))
    rng: random.Random | None = None

    def next_due(self) -> float:
        """When the next chunk is to be sent."""
        interval = self.schedule.itl * self.schedule.per
        due = self.due + interval * len(self.sent)
        return due if self.rng is None else due + self.schedule.jitter * interval * self.rng.uniform(-1, 1)


@dataclass
class Connection:
    """A client's connection and what has been read of its next request."""

    socket: socket.socket
    read: bytes = b""
    unsent: bytes = b""


class KnownServer:
    """Serves until killed."""

    def __init__(self, port: int = 0) -> None:
        self._listener = socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
        self._listener.setblocking(False)
        self._epoll = select.epoll()
        self._epoll.register(self._listener, select.EPOLLIN)
        self._connections: dict[int, Connection] = {}
        self._heap: list[tuple[float, int, Generation]] = []
        self._generations: list[Generation] = []
        self._count = 0

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def serve(self) -> None:
        """Serve until killed."""
        heap, poll, listener = self._heap, self._epoll.poll, self._listener.fileno()
        while True:
            self._send_due()
            wait = heap[0][0] - perf_counter() - SPIN if heap else 1.0
            for descriptor, event in poll(max(0.0, wait)):
                if descriptor == listener:
                    self._accept()
                elif event & select.EPOLLOUT:
                    self._flush(self._connections[descriptor])
                else:
                    self._receive(self._connections[descriptor])

    def _send_due(self) -> None:
        heap = self._heap
        for _ in range(SENDS_PER_TURN):
            now = perf_counter()
            if not heap or heap[0][0] > now:
                return
            due, order, one = heap[0]
            now_due = 0  # chunks; all that are due go in one write
            while due <= now and len(one.sent) < one.chunks:
                one.sent.append(now)
                now_due += 1
                due = one.next_due()
            if len(one.sent) == one.chunks:
                heappop(heap)
                self._write(one.connection, one.text * (now_due - 1) + one.last)
            else:
                heapreplace(heap, (due, order, one))
                self._write(one.connection, one.text * now_due)

    def _write(self, to: Connection, data: bytes) -> None:
        if to.unsent:
            to.unsent += data
            return
        try:
            done = to.socket.send(data)
        except BlockingIOError:
            done = 0
        except OSError:
            return  # the client has gone; its end is read in its turn
        if done < len(data):
            to.unsent = data[done:]
            self._epoll.modify(to.socket, select.EPOLLIN | select.EPOLLOUT)

    def _flush(self, to: Connection) -> None:
        data, to.unsent = to.unsent, b""
        self._epoll.modify(to.socket, select.EPOLLIN)
        self._write(to, data)

    def _accept(self) -> None:
        while True:
            try:
                made, _ = self._listener.accept()
            except BlockingIOError:
                return
            made.setblocking(False)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections[made.fileno()] = Connection(made)
            self._epoll.register(made, select.EPOLLIN)

    def _receive(self, sender: Connection) -> None:
        now = perf_counter()
        try:
            data = sender.socket.recv(READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._forget(sender)
            return
        sender.read += data
        while (end := sender.read.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(sender.read, 0, end + 2)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(sender.read) < whole:
                return
            head, body, sender.read = sender.read[:end], sender.read[end + 4 : whole], sender.read[whole:]
            self._answer(sender, head.split(b" ", 2)[1].decode("latin-1"), body, now)

    def _forget(self, sender: Connection) -> None:
        left = [entry for entry in self._heap if entry[2].connection is not sender]
        if len(left) < len(self._heap):
            left.sort()
            self._heap[:] = left
        self._epoll.unregister(sender.socket)
        del self._connections[sender.socket.fileno()]
        sender.socket.close()

    def _answer(self, sender: Connection, path: str, body: bytes, now: float) -> None:
        place, _, query = path.partition("?")
        if place.endswith("completions"):
            self._generate(sender, place, body, now)
        elif place.endswith("/truth"):
            self._write(sender, _plain(self._truth(int(query.partition("=")[2] or KEPT))))
        elif place.endswith("/tokenize"):
            self._write(sender, _plain({"tokens": list(range(len(json.loads(body)["prompt"].split())))}))
        elif place.endswith("/models"):
            self._write(sender, _plain({"object": "list", "data": [{"id": "known", "object": "model"}]}))
        else:
            self._write(sender, _plain({}))

    def _generate(self, sender: Connection, path: str, body: bytes, now: float) -> None:
        asked = _TOKENS.search(body)
        tokens = int(asked[1]) if asked else 16
        schedule = parse_schedule(path)
        chat = path.endswith("chat/completions")
        # Words are counted by their blanks; those of the JSON around them are the same for each request.
        usage = {"prompt_tokens": body.count(b" ") + 1, "completion_tokens": tokens}
        if not _STREAM.search(body):
            choice = {"index": 0, "finish_reason": "length", **_content(chat, " word" * tokens, "message")}
            self._write(sender, _plain({"id": "known", "model": "known", "choices": [choice], "usage": usage}))
            return
        chunks = -(-tokens // schedule.per)
        one = Generation(
            sender, schedule, chunks, _event(chat, schedule.per, end=False), _end(chat, schedule.per, tokens), now
        )
        end = b'{"id":"known","model":"known","choices":[],"usage":' + json.dumps(usage).encode() + b"}"
        one.last += _chunk(end) + _chunk(b"[DONE]") + b"0\r\n\r\n"
        if schedule.jitter:
            one.rng = random.Random(f"{schedule.seed}/{self._count}")
        self._write(sender, _HEAD + (_event(chat, 0, end=False) if schedule.role else b""))
        one.due = now + schedule.ttft
        self._count += 1
        heappush(self._heap, (one.due, self._count, one))
        self._generations.append(one)
        if len(self._generations) >= 2 * KEPT:
            del self._generations[:KEPT]

    def _truth(self, last: int) -> dict[str, object]:
        """Of the last generations: arrival, and the true times of all sends; seconds of ``time.perf_counter``."""
        ended = [one for one in self._generations if len(one.sent) == one.chunks][-last:]
        return {
            "generations": self._count,
            "first_contact": self._generations[0].received if self._generations else None,
            "sent": [[one.received, *one.sent] for one in ended],
        }


@lru_cache(maxsize=64)
def parse_schedule(path: str) -> Schedule:
    """The schedule that the first part of a path asks for; what it leaves out is zero."""
    parts = dict(part.split("=", 1) for part in path.split("/")[1].split("&") if "=" in part)
    whole = {"per", "seed", "role"}
    return Schedule(**{name: int(value) if name in whole else float(value) for name, value in parts.items()})  # type: ignore[arg-type]


def _content(chat: bool, text: str, where: str = "delta") -> dict[str, object]:
    return {where: {"content": text}} if chat else {"text": text}


@lru_cache(maxsize=256)
def _event(chat: bool, tokens: int, end: bool) -> bytes:
    choice = {"index": 0, **_content(chat, " word" * tokens), "finish_reason": "length" if end else None}
    kind = "chat.completion.chunk" if chat else "text_completion"
    event = {"id": "known-0", "object": kind, "created": 1700000000, "model": "known", "choices": [choice]}
    return _chunk(json.dumps(event).encode())


@lru_cache(maxsize=256)
def _end(chat: bool, per: int, tokens: int) -> bytes:
    return _event(chat, (tokens - 1) % per + 1, end=True)


def _chunk(event: bytes) -> bytes:
    data = b"data: " + event + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(data), data)


def _plain(message: object) -> bytes:
    body = json.dumps(message).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def main() -> None:
    """Serve on a free port, which is printed; ``python -m ... CORE`` keeps to that core."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if len(sys.argv) > 1:
        os.sched_setaffinity(0, {int(sys.argv[1])})
    server = KnownServer()
    print(server.port, flush=True)
    server.serve()


if __name__ == "__main__":
    main()
