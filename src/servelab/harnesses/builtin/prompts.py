"""Prompts of exact lengths, unique beyond the shared prefix; or those of a data set, as they are.

A prompt is a row of words that are one token each, in the server's own tokenizer; a chat template or a leading
special token adds a constant, which one probe request finds out.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import shake_128
from http import HTTPStatus
from importlib.resources import files
from typing import Any

from pydantic_core import to_json

from servelab.catalog.recorded import Sample, TraceRow, read_dataset, read_trace
from servelab.harnesses.builtin.http import Client, Exchange
from servelab.harnesses.builtin.stream import read
from servelab.spec.workload import Workload

PROBE_WORDS = 24
PROBE_TIMEOUT = 120.0  # seconds; the first request of an engine may compile kernels
BLOCK = 512  # tokens of a block that mooncake's hash_ids name
FEWEST_WORDS = 64  # a vocabulary smaller than this would repeat itself


class ProbeFailed(Exception):
    """The server does not answer the simplest request; carries what it said."""


@dataclass(frozen=True)
class Prompt:
    """One request's text and lengths in tokens."""

    text: str
    prompt_tokens: int
    output_tokens: int
    messages: Sequence[dict[str, Any]] = ()
    """Of a chat, where they are more than the text as a user's only message."""


class Prompts:
    """Makes the prompts of a measurement; the same seeds give the same prompts.

    Raises:
        ServelabError: the workload's trace or data set cannot be read.
    """

    def __init__(self, workload: Workload, seed: int, words: Sequence[str], overhead: int, exact: bool) -> None:
        self.trace: Sequence[TraceRow] = read_trace(workload.trace) if workload.trace else ()
        self._samples: list[Sample] = read_dataset(workload.dataset) if workload.dataset else []
        random.Random(f"{workload.seed}/{seed}/order").shuffle(self._samples)
        self._shared = lru_cache(maxsize=4096)(self._draw)
        self.exact = exact
        self._workload = workload
        self._number = seed
        self._seed = f"{workload.seed}/{seed}"
        self._words = words
        self._overhead = overhead
        self._always = workload.lengths(seed, 0) if workload.fixed else None

    def __getitem__(self, index: int) -> Prompt:
        """Prompt number ``index``; negative numbers are for warm-up, and differ from all others."""
        if self._samples:
            return self._recorded(self._samples[index % len(self._samples)], index)
        if self.trace:
            return self._replayed(self.trace[index % len(self.trace)], index)
        length, output = self._lengths(index)
        prefix: list[str] = []
        if self._workload.prefix and self._workload.prefix.tokens:
            group = index % self._workload.prefix.groups
            prefix = self._shared(f"{self._workload.seed}/prefix/{group}", self._workload.prefix.tokens)
        own = self._draw(f"{self._seed}/{index}", max(1, length - self._overhead))
        return Prompt(" ".join(prefix + own), length + len(prefix), output)

    def _lengths(self, index: int) -> Sequence[int]:
        """Tokens of a prompt and of its answer."""
        return self._always or self._workload.lengths(self._number, index)

    def _recorded(self, line: Sample, index: int) -> Prompt:
        """A data set's line as it is; its tokens are the server's to count."""
        output = line.output_tokens or self._lengths(index)[1]
        return Prompt(line.text, 0, output, line.messages)

    def _replayed(self, row: TraceRow, index: int) -> Prompt:
        """A prompt of a trace's length, from the blocks that it shares with others where the trace names them."""
        length = max(1, row.prompt_tokens - self._overhead)
        # Blocks are of this measurement alone: what an earlier one left in a cache must not be hit.
        blocks = (self._shared(f"{self._seed}/block/{block}", BLOCK) for block in row.blocks)
        shared = [word for block in blocks for word in block][:length]
        own = self._draw(f"{self._seed}/{index}", length - len(shared))
        return Prompt(" ".join(shared + own), row.prompt_tokens, row.output_tokens)

    def _draw(self, seed: str, count: int) -> list[str]:
        """Words that a seed decides: five times faster than a generator of random numbers that is seeded first."""
        drawn = memoryview(shake_128(seed.encode()).digest(2 * count)).cast("H")
        return [self._words[number % len(self._words)] for number in drawn]


def request_body(model: str, workload: Workload, prompt: Prompt) -> bytes:
    """The JSON of a streaming request that makes exactly ``prompt.output_tokens`` tokens.

    The workload's extra fields go over ours; one that is null is left out.
    """
    asked: dict[str, Any] = {
        "model": model,
        "max_tokens": prompt.output_tokens,
        "min_tokens": prompt.output_tokens,
        "ignore_eos": True,
        "temperature": 0.0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if workload.api == "chat":
        asked["messages"] = list(prompt.messages) or [{"role": "user", "content": prompt.text}]
    else:
        asked["prompt"] = prompt.text
    asked |= workload.extra
    left_out = [name for name in workload.extra if asked[name] is None]
    for name in left_out:
        del asked[name]
    return to_json(asked)


def request_path(workload: Workload) -> str:
    """The path of the workload's API."""
    return "/v1/chat/completions" if workload.api == "chat" else "/v1/completions"


async def prepare_prompts(client: Client, model: str, workload: Workload, seed: int) -> Prompts:
    """Learn the server's tokenizer and template, and be ready to make prompts.

    Raises:
        ProbeFailed: the server does not answer a small request.
    """
    listed = (files("servelab.harnesses.builtin") / "words.txt").read_text(encoding="ascii").split()
    words = await _single_tokens(client, model, listed)
    exact = len(words) >= FEWEST_WORDS
    if not exact:
        words = listed  # no tokenizer endpoint: common words are one token each in most vocabularies
    probe = Prompt(" ".join(random.Random(seed).choices(words, k=PROBE_WORDS)), PROBE_WORDS, 2)
    exchange = await client.post(request_path(workload), request_body(model, workload, probe), PROBE_TIMEOUT)
    answer = read(exchange)
    if answer.error is not None:
        raise ProbeFailed(f"{answer.error}: {answer.detail}" if answer.detail else answer.error)
    overhead = (answer.prompt_tokens or PROBE_WORDS) - PROBE_WORDS
    return Prompts(workload, seed, words, max(0, overhead), exact and answer.prompt_tokens is not None)


async def _single_tokens(client: Client, model: str, words: Sequence[str]) -> list[str]:
    """The words that are one token each behind a space: whole lists are asked for, and halved where they are not."""
    nothing = await _count(client, model, words[0])
    if nothing is None:
        return []
    count = await _count(client, model, " ".join([words[0], *words]))
    if count is None:
        return []
    if count - nothing == len(words):
        return list(words)
    if len(words) == 1:
        return []
    half = len(words) // 2
    return await _single_tokens(client, model, words[:half]) + await _single_tokens(client, model, words[half:])


async def _count(client: Client, model: str, text: str) -> int | None:
    """Tokens of a text by the server's tokenizer endpoint (vLLM's or llama.cpp's form); None where there is none."""
    body = json.dumps({"model": model, "prompt": text, "content": text}).encode()
    exchange = await client.post("/tokenize", body, PROBE_TIMEOUT)
    return _tokens_of(exchange)


def _tokens_of(exchange: Exchange) -> int | None:
    if exchange.error is not None or exchange.status != HTTPStatus.OK:
        return None
    try:
        tokens = json.loads(exchange.body).get("tokens")
    except (ValueError, AttributeError):
        return None
    return len(tokens) if isinstance(tokens, list) else None
