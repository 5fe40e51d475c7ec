"""Read a finished exchange: when which tokens came."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from servelab.harnesses.builtin.http import Exchange

TOO_LARGE = 200  # characters of an error's body that are kept
STEP = 64  # chunks that are read at a time

_TEXT = re.compile(rb'"(?:text|content|reasoning_content|reasoning)"\s*:\s*"(?!")')
_ASCII = re.compile(rb'(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\/bfnrt])+')


@dataclass
class Answer:
    """What one request got. Times are of ``time.perf_counter``."""

    error: str | None = None
    detail: str = ""
    chunks: list[float] = field(default_factory=list)
    """Arrival of each chunk that carries text; role-only and empty chunks do not count."""
    reasoning_chunks: int = 0
    prompt_tokens: int | None = None
    output_tokens: int | None = None

    @property
    def tokens_per_chunk(self) -> float:
        """Output tokens by chunk, at least one: the API tells how many tokens there were, not which chunk had them."""
        return max(1.0, (self.output_tokens or 0) / len(self.chunks)) if self.chunks else 1.0


@dataclass(frozen=True)
class _Shape:
    """What events of a stream have in common around their text, so that one need not be parsed to be known."""

    before: bytes
    after: bytes
    reasoning: bool

    def fits(self, event: bytes) -> bool:
        """Whether an event differs from the one this was learnt from in nothing but its text, which is not empty.

        Text beyond ASCII does not fit, though it may be right: the JSON parser decides about it.
        """
        if not (event.startswith(self.before) and event.endswith(self.after)):
            return False
        return _ASCII.fullmatch(event, len(self.before), len(event) - len(self.after)) is not None


def read(exchange: Exchange) -> Answer:
    """Interpret a response of the completions or chat API, streamed or not."""
    steps = reading(exchange)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            answer: Answer = end.value
            return answer


def reading(exchange: Exchange) -> Generator[None, None, Answer]:
    """The same in small steps, between which other things may be done."""
    if exchange.error is not None:
        return Answer(error=exchange.error)
    if exchange.status != HTTPStatus.OK:
        detail = exchange.body[:TOO_LARGE].decode("utf-8", errors="replace")
        return Answer(error=f"http_{exchange.status}", detail=detail)
    answer = Answer()
    complete = False
    shape: _Shape | None = None
    for number, (when, event) in enumerate(events(exchange.pieces), 1):
        if not number % STEP:
            yield
        if shape is not None and shape.fits(event):
            answer.chunks.append(when)
            answer.reasoning_chunks += shape.reasoning
            continue
        if event == b"[DONE]":
            complete = True
            break
        try:
            message = json.loads(event)
        except (ValueError, RecursionError):
            return Answer(error="bad_json", detail=event[:TOO_LARGE].decode("utf-8", errors="replace"))
        if not isinstance(message, dict):
            return Answer(error="bad_json", detail="an event is no object")
        if message.get("error"):
            return Answer(error="server_error", detail=str(message["error"])[:TOO_LARGE])
        found = _read_message(message, when, answer)
        complete = found.finished or complete
        shape = _learn(event, found.reasoning) if found.plain else shape
    if not complete:
        answer.error = "half_stream"
    elif not answer.chunks:
        answer.error = "empty"
    return answer


@dataclass(frozen=True)
class _Found:
    """What an event said: that the generation is finished; or nothing else than text."""

    finished: bool
    plain: bool
    reasoning: bool


def _read_message(message: dict[str, Any], when: float, answer: Answer) -> _Found:
    """Take in one event; fields of another type than they should have are passed over."""
    usage = message.get("usage")
    if isinstance(usage, dict):
        answer.prompt_tokens = _count(usage.get("prompt_tokens"), answer.prompt_tokens)
        answer.output_tokens = _count(usage.get("completion_tokens"), answer.output_tokens)
    choices = message.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    delta = choice.get("delta") or choice.get("message")
    if not isinstance(delta, dict):
        delta = {}
    reasoning = _text(delta.get("reasoning_content")) or _text(delta.get("reasoning"))
    has_text = _text(choice.get("text")) or _text(delta.get("content")) or reasoning
    if has_text:
        answer.chunks.append(when)
        answer.reasoning_chunks += reasoning
    finished = choice.get("finish_reason") is not None
    return _Found(finished, has_text and not finished and not usage, reasoning)


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _count(value: Any, before: int | None) -> int | None:
    return value if isinstance(value, int) and value >= 0 else before


def _learn(event: bytes, reasoning: bool) -> _Shape | None:
    """The shape of an event that says nothing else than text; None where it has several texts.

    A quoted key cannot occur inside a JSON string, where each quote has a backslash before it.
    """
    places = list(_TEXT.finditer(event))
    text = _ASCII.match(event, places[0].end()) if len(places) == 1 else None
    return _Shape(event[: text.start()], event[text.end() :], reasoning) if text else None


def events(pieces: Sequence[tuple[float, bytes]]) -> Iterator[tuple[float, bytes]]:
    """The ``data:`` payloads of a server-sent event stream, each with the time at which it was complete.

    Pieces may end anywhere, inside a character or inside ``data:``. A body that is no event stream is one event.
    """
    rest = b""
    last = 0.0
    streamed = False
    for when, piece in pieces:
        last = when
        if not rest and piece.startswith(b"data: ") and piece.endswith(b"\n\n") and piece.find(b"\n") == len(piece) - 2:
            streamed = True
            yield when, piece[6:-2].strip()  # one whole event, as servers usually send them
            continue
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            payload = _payload(line)
            if payload is not None:
                streamed = True
                yield when, payload
            elif not streamed and line.strip() and not line.startswith((b":", b"event:", b"id:", b"retry:")):
                yield from _whole(pieces)
                return
    payload = _payload(rest)
    if payload is not None:
        yield last, payload
    elif rest.strip() and not streamed:
        yield from _whole(pieces)


def _payload(line: bytes) -> bytes | None:
    return line[5:].strip() if line.startswith(b"data:") else None


def _whole(pieces: Sequence[tuple[float, bytes]]) -> Iterator[tuple[float, bytes]]:
    yield pieces[-1][0], b"".join(piece for _, piece in pieces)
