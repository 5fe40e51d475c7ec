"""Recorded requests: traces (when, and how long) and data sets (what), read from the user's files."""

from __future__ import annotations

import csv
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

from servelab.spec.errors import NotFoundError, ServelabError
from servelab.spec.workload import Columns, Tokens, Trace

MILLISECOND = 1e-3
CHARACTERS_PER_TOKEN = 4  # of English text, by and large; only the sum of a data set is told by it

_COLUMNS = {
    "mooncake": Columns(timestamp="timestamp", input="input_length", output="output_length"),
    "azure": Columns(timestamp="TIMESTAMP", input="ContextTokens", output="GeneratedTokens"),
    "burstgpt": Columns(timestamp="Timestamp", input="Request tokens", output="Response tokens"),
}


class RecordedError(ServelabError):
    """A trace or data set that cannot be read as what it is said to be; names the line."""

    exit_code = 2


@dataclass(frozen=True)
class TraceRow:
    """One recorded request."""

    when: float
    """Seconds since the first request of the trace."""
    prompt_tokens: int
    output_tokens: int
    blocks: tuple[int, ...] = ()
    """Mooncake's hash_ids: the prompt's blocks of 512 tokens, shared with other requests."""


@dataclass(frozen=True)
class Sample:
    """One line of a data set: a prompt, or the messages of a chat."""

    prompt: str | None
    messages: tuple[dict[str, Any], ...] = ()
    output_tokens: int | None = None

    @property
    def text(self) -> str:
        """The prompt, or all the messages' text in one."""
        return self.prompt if self.prompt is not None else "\n".join(str(m.get("content", "")) for m in self.messages)


def read_trace(trace: Trace) -> list[TraceRow]:
    """The requests of a trace in order of their times; those without prompt or output are left out.

    Raises:
        NotFoundError: there is no such file.
        RecordedError: a row is not of the format, or nothing is in it.
    """
    columns = _COLUMNS.get(trace.format, trace.columns)
    rows: list[TraceRow] = []
    for place, fields in itertools.islice(_rows(trace), trace.limit):
        try:
            prompt, output = int(float(fields[columns.input])), int(float(fields[columns.output]))
            when = _seconds(fields[columns.timestamp]) * (MILLISECOND if trace.format == "mooncake" else 1.0)
            blocks = fields.get("hash_ids") if trace.format == "mooncake" else None
            row = TraceRow(when, prompt, output, tuple(map(int, blocks or ())))
        except KeyError as error:
            raise RecordedError(
                f"{place}: there is no column {error} ({', '.join(map(str, fields))} are there)",
                f"The format {trace.format} needs {columns.timestamp}, {columns.input} and {columns.output}.",
            ) from None
        except (ValueError, TypeError, OverflowError) as error:
            raise RecordedError(f"{place}: {error}", f"This is no row of the format {trace.format}.") from None
        if prompt > 0 and output > 0:
            rows.append(row)
    if not rows:
        raise RecordedError(f"{trace.path} has no request with a prompt and an output", "Check the format.")
    rows.sort(key=lambda row: row.when)
    return [TraceRow(row.when - rows[0].when, row.prompt_tokens, row.output_tokens, row.blocks) for row in rows]


def read_dataset(path: str) -> list[Sample]:
    """The lines of a JSONL data set.

    Raises:
        NotFoundError: there is no such file.
        RecordedError: a line is not of the format, or there is none.
    """
    found = [_sample(place, fields) for place, fields in _json_lines(path)]
    if not found:
        raise RecordedError(f"{path} is empty", "A data set has one JSON object a line.")
    return found


def trace_lengths(rows: Sequence[TraceRow]) -> tuple[Tokens, Tokens]:
    """A trace's prompt and output lengths, summed up."""
    return _summary([row.prompt_tokens for row in rows]), _summary([row.output_tokens for row in rows])


def dataset_lengths(samples: Sequence[Sample]) -> tuple[Tokens, Tokens | None]:
    """A data set's prompt lengths, estimated from the text, and its output lengths where every line names one."""
    prompts = [max(1, math.ceil(len(sample.text) / CHARACTERS_PER_TOKEN)) for sample in samples]
    outputs = [sample.output_tokens for sample in samples if sample.output_tokens is not None]
    return _summary(prompts), _summary(outputs) if len(outputs) == len(samples) else None


def _summary(lengths: Sequence[int]) -> Tokens:
    return Tokens(mean=fmean(lengths), stdev=pstdev(lengths), min=min(lengths), max=max(lengths))


def _rows(trace: Trace) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each row with its place, as ``FILE:LINE``; CSV, or JSONL where the first line is an object."""
    if trace.format == "mooncake" or Path(trace.path).suffix.lower() in (".jsonl", ".ndjson"):
        yield from _json_lines(trace.path)
        return
    with _opened(trace.path) as file:
        reader = csv.DictReader(file)
        for row in reader:
            yield f"{trace.path}:{reader.line_num}", row


def _json_lines(path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    with _opened(path) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            place = f"{path}:{number}"
            try:
                found = json.loads(line)
            except ValueError as error:
                raise RecordedError(f"{place}: this is not JSON ({error})", "One JSON object a line.") from None
            if not isinstance(found, dict):
                raise RecordedError(f"{place}: this is no JSON object", "One JSON object a line.")
            yield place, found


@contextmanager
def _opened(path: str) -> Iterator[Iterator[str]]:
    """A text file, whose faults are told as ours."""
    try:
        file = Path(path).open(encoding="utf-8-sig", newline="")  # noqa: SIM115 - only its opening is tried here
    except OSError as error:
        raise NotFoundError(
            f"cannot read {path}: {error.strerror}", "A relative path starts at the study's own directory."
        ) from None
    with file:
        try:
            yield iter(file)
        except (UnicodeDecodeError, csv.Error) as error:
            raise RecordedError(f"{path} is no text in UTF-8 ({error})", "Is it compressed?") from None


def _seconds(text: Any) -> float:
    """A time in seconds from a number, or from date and time (UTC where it names no zone)."""
    try:
        found = float(text)
    except ValueError:
        # Azure's seconds have seven decimals, of which Python keeps six.
        moment = datetime.fromisoformat(text.strip())
        found = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(found):
        raise ValueError(f"{text!r} is no time")
    return found


def _sample(place: str, fields: Mapping[str, Any]) -> Sample:
    prompt, messages, output = fields.get("prompt"), fields.get("messages"), fields.get("output_tokens")
    if (prompt is None) == (messages is None):
        raise RecordedError(f"{place}: give exactly one of `prompt` and `messages`", "See docs/study.md.")
    if prompt is not None and not (isinstance(prompt, str) and prompt):
        raise RecordedError(f"{place}: `prompt` is no text", "See docs/study.md.")
    whole = isinstance(messages, list) and messages and all(isinstance(m, dict) and "role" in m for m in messages)
    if messages is not None and not whole:
        raise RecordedError(f"{place}: `messages` is no list of {{role, content}}", "See docs/study.md.")
    if output is not None and (isinstance(output, bool) or not isinstance(output, int) or output < 1):
        raise RecordedError(f"{place}: `output_tokens` is no positive number", "See docs/study.md.")
    return Sample(prompt, tuple(messages or ()), output)
