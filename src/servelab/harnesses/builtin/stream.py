"""Read a finished exchange: when which tokens came."""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal, NamedTuple

from pydantic_core import from_json

from servelab.harnesses.builtin.http import Exchange

TOO_LARGE = 200  # characters of an error's body that are kept
STEP = 64  # pieces that are read at a time

_STREAM = (b"data:", b"event:", b"id:", b"retry:", b":")  # how the first line of an event stream begins
_TEXT = re.compile(rb'"(?:text|content|reasoning_content|reasoning)"\s*:\s*"(?!")')
_ASCII = re.compile(rb'(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\/bfnrt])+')


AnswerError = Literal["bad_json", "server_error", "half_stream", "empty"]


@dataclass
class Answer:
    """What one request got. Times are of ``time.perf_counter``."""

    error: str | None = None
    """An ExchangeError, ``http_<status>``, or an AnswerError."""
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


class _Shape(NamedTuple):
    """What a stream's pieces have in common around their text, so that one need not be parsed to be known."""

    before: bytes
    after: bytes
    reasoning: bool

    def fits(self, piece: bytes) -> bool:
        """Whether a piece differs from the one this was learnt from in nothing but its text, which is not empty.

        Text beyond ASCII does not fit, though it may be right: the JSON parser decides about it.
        """
        return (
            piece.startswith(self.before)
            and piece.endswith(self.after)
            and _ASCII.fullmatch(piece, len(self.before), len(piece) - len(self.after)) is not None
        )


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
        return Answer(error=exchange.error, detail=exchange.detail)
    if exchange.status != HTTPStatus.OK:
        detail = exchange.body[:TOO_LARGE].decode("utf-8", errors="replace")
        return Answer(error=f"http_{exchange.status}", detail=detail)
    reader = _Reader()
    if exchange.pieces and not _streamed(exchange):
        reader.event(exchange.pieces[-1][0], exchange.body)
        return reader.finish()
    for number, (when, piece) in enumerate(exchange.pieces, 1):
        reader.piece(when, piece)
        if not number % STEP:
            yield
    return reader.finish()


def _streamed(exchange: Exchange) -> bool:
    """Whether a body is an event stream, whatever its header says."""
    return exchange.pieces[0][1].startswith(_STREAM) or exchange.body.lstrip().startswith(_STREAM)


class _Found(NamedTuple):
    """What an event said: that the generation is finished; or nothing else than text."""

    finished: bool
    plain: bool
    reasoning: bool


_NOTHING = _Found(finished=False, plain=False, reasoning=False)


class _Reader:
    """Reads the pieces of an event stream, which may end anywhere, inside a character or inside ``data:``."""

    def __init__(self) -> None:
        self._answer = Answer()
        self._rest = b""
        self._when = 0.0
        self._over = False
        """Whether an end or an error was found, after which nothing counts."""
        self._complete = False
        self._shape: _Shape | None = None

    def piece(self, when: float, piece: bytes) -> None:
        """Take in what came at once; an event counts from when it was complete."""
        if self._shape is not None and not self._rest and self._shape.fits(piece):
            self._answer.chunks.append(when)
            self._answer.reasoning_chunks += self._shape.reasoning
            return
        self._when = when
        alone = not self._rest
        *lines, self._rest = (self._rest + piece).split(b"\n")
        found = [self.event(when, line[5:].strip()) for line in lines if line.startswith(b"data:")]
        if alone and not self._rest and len(found) == 1 and found[0].plain:
            self._shape = _learn(piece, found[0].reasoning)

    def event(self, when: float, event: bytes) -> _Found:
        """Take in one event."""
        if self._over:
            return _NOTHING
        if event == b"[DONE]":
            self._complete = True
            return self._end()
        try:
            message = _parsed(event)
        except (ValueError, RecursionError):
            return self._fail("bad_json", event.decode("utf-8", errors="replace"))
        if not isinstance(message, dict):
            return self._fail("bad_json", "an event is no object")
        if message.get("error"):
            return self._fail("server_error", str(message["error"]))
        found = _read_message(message, when, self._answer)
        self._complete = found.finished or self._complete
        return found

    def finish(self) -> Answer:
        """The answer, after the last piece."""
        if self._rest.startswith(b"data:"):
            self.event(self._when, self._rest[5:].strip())
        if self._answer.error is None and not self._complete:
            self._fail("half_stream", "")
        elif self._answer.error is None and not self._answer.chunks:
            self._fail("empty", "")
        return self._answer

    def _fail(self, error: AnswerError, detail: str) -> _Found:
        self._answer = Answer(error=error, detail=detail[:TOO_LARGE])
        return self._end()

    def _end(self) -> _Found:
        self._over, self._shape = True, None
        return _NOTHING


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


def _parsed(event: bytes) -> Any:
    """An event's JSON; half of a surrogate pair, which the fast parser refuses, is what some servers send."""
    try:
        return from_json(event)
    except ValueError:
        return json.loads(event.decode())


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _count(value: Any, before: int | None) -> int | None:
    return value if isinstance(value, int) and value >= 0 else before


def _learn(piece: bytes, reasoning: bool) -> _Shape | None:
    """The shape of a piece that is one event and says nothing else than text; None where it has several texts.

    A quoted key cannot occur inside a JSON string, where each quote has a backslash before it.
    """
    places = list(_TEXT.finditer(piece))
    text = _ASCII.match(piece, places[0].end()) if len(places) == 1 else None
    return _Shape(piece[: text.start()], piece[text.end() :], reasoning) if text else None
