"""What is kept of each request, and written down as it comes."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from servelab.harnesses.builtin.stream import Answer


@dataclass(frozen=True)
class Record:
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
        """Time per output token after the first, in seconds: (last - first) / (tokens - 1)."""
        if self.first is None or self.last is None or self.output_tokens < 2:
            return None
        return (self.last - self.first) / (self.output_tokens - 1)


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


def token_intervals(answer: Answer) -> list[float]:
    """The time between tokens, in seconds: chunk intervals, each spread over the tokens of a chunk.

    A chunk may carry several tokens, and the API does not say how many; the mean is known from ``usage``.
    """
    if not answer.chunks:
        return []
    per_chunk = max(1.0, (answer.output_tokens or 0) / len(answer.chunks))
    return [(b - a) / per_chunk for a, b in zip(answer.chunks, answer.chunks[1:], strict=False)]


class RecordFile:
    """Records as JSON lines, compressed, written while the measurement runs."""

    def __init__(self, path: Path) -> None:
        self._file = gzip.open(path, "wt", encoding="utf-8", compresslevel=1)  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, one: Record) -> None:
        """Append a record."""
        fields = {name: round(v, 6) if isinstance(v, float) else v for name, v in vars(one).items()}
        self._file.write(json.dumps(fields) + "\n")
