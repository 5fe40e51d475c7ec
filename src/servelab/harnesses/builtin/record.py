"""What is kept of each request, and written down as it comes."""

from __future__ import annotations

import gzip
from operator import sub
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from servelab.harnesses.builtin.stream import Answer

LINES = 64  # records that are compressed at once, in about 0.2 ms


class Record(NamedTuple):
    """One counted request; times in seconds since the measurement began.

    ``ttft`` and ``e2e`` count from the intended send time, so that a stalled server cannot hide behind a client
    that politely waits (coordinated omission); in a closed loop the intended time is the actual one.
    """

    intended: float
    sent: float
    end: float
    error: str | None
    first: float | None
    last: float | None
    prompt_tokens: int
    output_tokens: int
    chunks: int
    reasoning_chunks: int

    @property
    def ttft(self) -> float | None:
        """Time to first token in seconds."""
        return None if self.first is None else self.first - self.intended

    @property
    def e2e(self) -> float:
        """Time to the last token in seconds; to the end where there was none."""
        return (self.last if self.last is not None else self.end) - self.intended

    @property
    def delay(self) -> float:
        """Seconds between the intended and the actual sending."""
        return max(0.0, self.sent - self.intended)

    @property
    def tpot(self) -> float | None:
        """Time per output token after the first chunk, in seconds: (last - first) / (tokens - the first chunk's).

        With one token in each chunk that is the usual (last - first) / (tokens - 1). With more, the first chunk's
        are taken to be as many as any other's.
        """
        if self.first is None or self.last is None or self.chunks < 2:
            return None
        return (self.last - self.first) / max(self.output_tokens * (1 - 1 / self.chunks), self.chunks - 1)

    @property
    def line(self) -> str:
        """It as a line of JSON; times to the microsecond."""
        error = "null" if self.error is None else f'"{self.error}"'
        first = "null" if self.first is None else f"{self.first:.6f}"
        last = "null" if self.last is None else f"{self.last:.6f}"
        return (
            f'{{"intended": {self.intended:.6f}, "sent": {self.sent:.6f}, "end": {self.end:.6f}, "error": {error}, '
            f'"first": {first}, "last": {last}, "prompt_tokens": {self.prompt_tokens}, '
            f'"output_tokens": {self.output_tokens}, "chunks": {self.chunks}, '
            f'"reasoning_chunks": {self.reasoning_chunks}}}\n'
        )


def record(answer: Answer, start: float, intended: float, sent: float, end: float, prompt_tokens: int) -> Record:
    """Make the record of a request; ``prompt_tokens`` are what was asked for, where the server does not say."""
    failed = answer.error is not None
    chunks = [] if failed else answer.chunks
    return Record(
        intended=intended - start,
        sent=sent - start,
        end=end - start,
        error=answer.error,
        first=chunks[0] - start if chunks else None,
        last=chunks[-1] - start if chunks else None,
        prompt_tokens=answer.prompt_tokens if answer.prompt_tokens is not None else prompt_tokens,
        output_tokens=0 if failed else answer.output_tokens or len(chunks),
        chunks=len(chunks),
        reasoning_chunks=answer.reasoning_chunks,
    )


def chunk_intervals(answer: Answer) -> list[float]:
    """The time between chunks that carry text, in seconds."""
    return list(map(sub, answer.chunks[1:], answer.chunks))


def token_intervals(answer: Answer) -> list[float]:
    """The time between tokens, in seconds: chunk intervals, each spread over the tokens of a chunk.

    A chunk may carry several tokens, and the API does not say how many; the mean is known from ``usage``.
    """
    per_chunk = answer.tokens_per_chunk
    intervals = chunk_intervals(answer)
    return intervals if per_chunk == 1 else [interval / per_chunk for interval in intervals]


class RecordFile:
    """Records as JSON lines, compressed, written while the measurement runs."""

    def __init__(self, path: Path) -> None:
        self._file = gzip.open(path, "wb", compresslevel=1)  # noqa: SIM115 - closed by __exit__
        self._lines: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()
        self._file.close()

    def write(self, one: Record) -> None:
        """Append a record."""
        self._lines.append(one.line)
        if len(self._lines) >= LINES:
            self._flush()

    def _flush(self) -> None:
        self._file.write("".join(self._lines).encode())
        self._lines.clear()
