"""Prompts of exact lengths, unique beyond the shared prefix.

A prompt is a row of words that are one token each, in the server's own tokenizer; a chat template or a leading
special token adds a constant, which one probe request finds out.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from importlib.resources import files
from typing import Any

from servelab.harnesses.builtin.http import Client, Exchange
from servelab.harnesses.builtin.stream import read
from servelab.spec.workload import Tokens, Workload

PROBE_WORDS = 24
PROBE_TIMEOUT = 120.0  # seconds; the first request of an engine may compile kernels
FEWEST_WORDS = 64  # a vocabulary smaller than this would repeat itself


class ProbeFailed(Exception):
    """The server does not answer the simplest request; carries what it said."""


@dataclass(frozen=True)
class Prompt:
    """One request's text and lengths in tokens."""

    text: str
    prompt_tokens: int
    output_tokens: int


class Prompts:
    """Makes the prompts of a measurement; the same seeds give the same prompts."""

    def __init__(self, workload: Workload, seed: int, words: Sequence[str], overhead: int, exact: bool) -> None:
        self.exact = exact
        self._workload = workload
        self._seed = f"{workload.seed}/{seed}"
        self._words = words
        self._overhead = overhead

    def __getitem__(self, index: int) -> Prompt:
        """Prompt number ``index``; negative numbers are for warm-up, and differ from all others."""
        rng = random.Random(f"{self._seed}/{index}")
        length = sample(self._workload.prompt, rng)
        prefix: list[str] = []
        if self._workload.prefix and self._workload.prefix.tokens:
            group = random.Random(f"{self._workload.seed}/prefix/{index % self._workload.prefix.groups}")
            prefix = group.choices(self._words, k=self._workload.prefix.tokens)
        own = rng.choices(self._words, k=max(1, length - self._overhead))
        return Prompt(" ".join(prefix + own), length + len(prefix), sample(self._workload.output, rng))


def sample(tokens: Tokens, rng: random.Random) -> int:
    """A length in tokens: normal, rounded, clipped to [min, max]."""
    return min(tokens.upper, max(tokens.min, round(rng.gauss(tokens.mean, tokens.stdev))))


def request_body(model: str, workload: Workload, prompt: Prompt) -> bytes:
    """The JSON of a streaming request that makes exactly ``prompt.output_tokens`` tokens."""
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
        asked["messages"] = [{"role": "user", "content": prompt.text}]
    else:
        asked["prompt"] = prompt.text
    return json.dumps(asked).encode()


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
