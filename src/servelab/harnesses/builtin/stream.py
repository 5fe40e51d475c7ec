"""Read a finished exchange: when which tokens came."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from servelab.harnesses.builtin.http import Exchange

TOO_LARGE = 200  # characters of an error's body that are kept


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


def read(exchange: Exchange) -> Answer:
    """Interpret a response of the completions or chat API, streamed or not."""
    if exchange.error is not None:
        return Answer(error=exchange.error)
    if exchange.status != HTTPStatus.OK:
        detail = exchange.body[:TOO_LARGE].decode("utf-8", errors="replace")
        return Answer(error=f"http_{exchange.status}", detail=detail)
    answer = Answer()
    complete = False
    for when, event in events(exchange.pieces):
        if event == b"[DONE]":
            complete = True
            break
        try:
            message = json.loads(event)
        except ValueError:
            return Answer(error="bad_json", detail=event[:TOO_LARGE].decode("utf-8", errors="replace"))
        if not isinstance(message, dict):
            return Answer(error="bad_json", detail="an event is no object")
        if "error" in message:
            return Answer(error="server_error", detail=str(message["error"])[:TOO_LARGE])
        complete = _read_message(message, when, answer) or complete
    if not complete:
        answer.error = "half_stream"
    elif not answer.chunks:
        answer.error = "empty"
    return answer


def _read_message(message: dict[str, Any], when: float, answer: Answer) -> bool:
    """Take in one event; whether it says that the generation is finished."""
    usage = message.get("usage")
    if isinstance(usage, dict):
        answer.prompt_tokens = usage.get("prompt_tokens", answer.prompt_tokens)
        answer.output_tokens = usage.get("completion_tokens", answer.output_tokens)
    choices = message.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    delta = choice.get("delta") or choice.get("message") or {}
    reasoning = delta.get("reasoning_content") or delta.get("reasoning")
    if choice.get("text") or delta.get("content") or reasoning:
        answer.chunks.append(when)
        answer.reasoning_chunks += bool(reasoning)
    return choice.get("finish_reason") is not None


def events(pieces: Sequence[tuple[float, bytes]]) -> Iterator[tuple[float, bytes]]:
    """The ``data:`` payloads of a server-sent event stream, each with the time at which it was complete.

    Pieces may end anywhere, inside a character or inside ``data:``. A body that is no event stream is one event.
    """
    rest = b""
    last = 0.0
    streamed = False
    for when, piece in pieces:
        last = when
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
