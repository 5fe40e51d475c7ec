"""Continuous batching as vLLM does it, without time and without I/O.

Each step, running sequences come first (one token each, or the next part of their prompt), then waiting ones join
while the token budget, the sequence limit and the KV cache allow. When the cache is full, the sequence that joined
last gives its blocks back and starts anew (preemption by recomputation). Shared prompt beginnings are served from
the prefix cache; their blocks are counted for each sequence, which overstates the memory they need.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Limits:
    """The scheduler's settings."""

    max_num_seqs: int
    max_num_batched_tokens: int
    block_size: int
    kv_blocks: int
    prefix_caching: bool = True
    chunked_prefill: bool = True


@dataclass(eq=False)
class Request:
    """A request in the engine."""

    prompt: int
    """Prompt tokens."""
    output: int
    """Tokens to generate."""
    prefix: tuple[int, ...] = ()
    """A hash for each full block of the prompt, each of all tokens up to the block's end."""
    generated: int = 0
    computed: int = 0
    blocks: int = 0

    @property
    def target(self) -> int:
        """Tokens whose keys and values must be cached before the next token comes."""
        return self.prompt + self.generated

    @property
    def finished(self) -> bool:
        """Whether all its tokens are there."""
        return self.generated >= self.output


@dataclass(frozen=True)
class Step:
    """What one step computes."""

    work: tuple[tuple[Request, int], ...]
    """Sequences, and how many tokens of each are computed."""
    prefill: int
    decode: int
    context: int

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.work


@dataclass
class Counters:
    """What the scheduler has done so far."""

    preemptions: int = 0
    prefix_queries: int = 0
    prefix_hits: int = 0
    generated: int = 0
    prompts: int = 0


@dataclass
class Scheduler:
    """Batches sequences within its limits."""

    limits: Limits
    running: list[Request] = field(default_factory=list)
    waiting: deque[Request] = field(default_factory=deque)
    counters: Counters = field(default_factory=Counters)
    _used: int = 0
    _cache: OrderedDict[int, None] = field(default_factory=OrderedDict)

    @property
    def usage(self) -> float:
        """Share of the KV cache in use."""
        return self._used / self.limits.kv_blocks

    def fits(self, sequence: Request) -> bool:
        """Whether the cache could hold the sequence if it were alone."""
        return self._blocks(sequence.prompt + sequence.output) <= self.limits.kv_blocks

    def add(self, sequence: Request) -> None:
        """Queue a sequence."""
        self.counters.prompts += sequence.prompt
        self.waiting.append(sequence)

    def remove(self, sequence: Request) -> None:
        """Forget a sequence, wherever it is (its client went away)."""
        if sequence in self.running:
            self.running.remove(sequence)
            self._free(sequence)
        elif sequence in self.waiting:
            self.waiting.remove(sequence)

    def schedule(self) -> Step:
        """Choose the next step's work, and take the blocks it needs."""
        budget = self.limits.max_num_batched_tokens
        work: list[tuple[Request, int]] = []
        for sequence in list(self.running):
            if sequence not in self.running or budget <= 0:
                continue  # preempted for one before it, or no tokens left in this step
            tokens = min(sequence.target - sequence.computed, budget)
            if self._make_room(sequence, tokens):
                work.append((sequence, tokens))
                budget -= tokens
        work = [(sequence, tokens) for sequence, tokens in work if sequence in self.running]
        self._admit(budget, work)
        return self._step(work)

    def commit(self, step: Step) -> list[Request]:
        """Take in that a step was computed; the sequences that got a token, finished ones included."""
        got = []
        for sequence, tokens in step.work:
            if sequence not in self.running:
                continue  # removed while the step ran
            sequence.computed += tokens
            if sequence.computed < sequence.target:
                continue
            sequence.generated += 1
            self.counters.generated += 1
            got.append(sequence)
            if sequence.finished:
                self.running.remove(sequence)
                self._free(sequence)
                self._remember(sequence.prefix)
        return got

    def _admit(self, budget: int, work: list[tuple[Request, int]]) -> None:
        while self.waiting and budget > 0 and len(self.running) < self.limits.max_num_seqs:
            sequence = self.waiting[0]
            cached = self._cached(sequence)
            tokens = sequence.target - cached
            if tokens > budget:
                if not self.limits.chunked_prefill:
                    return
                tokens = budget
            if self._used + self._blocks(cached + tokens) > self.limits.kv_blocks:
                return
            self.waiting.popleft()
            sequence.computed = cached
            self.running.append(sequence)
            self._grow(sequence, cached + tokens)
            if self.limits.prefix_caching:
                self.counters.prefix_queries += sequence.prompt
                self.counters.prefix_hits += cached
            work.append((sequence, tokens))
            budget -= tokens

    def _make_room(self, sequence: Request, tokens: int) -> bool:
        """Take blocks for more tokens of a running sequence, from the last joined if need be."""
        needed = self._blocks(sequence.computed + tokens) - sequence.blocks
        while self._used + needed > self.limits.kv_blocks:
            victim = self.running[-1]
            self._preempt(victim)
            if victim is sequence:
                return False
        self._grow(sequence, sequence.computed + tokens)
        return True

    def _preempt(self, victim: Request) -> None:
        self.running.remove(victim)
        self._free(victim)
        victim.computed = 0
        self.waiting.appendleft(victim)
        self.counters.preemptions += 1

    def _cached(self, sequence: Request) -> int:
        """Leading prompt tokens that the prefix cache holds; at least one token is always computed."""
        if not self.limits.prefix_caching:
            return 0
        hits = 0
        for block in sequence.prefix:
            if block not in self._cache:
                break
            self._cache.move_to_end(block)
            hits += 1
        return min(hits * self.limits.block_size, sequence.prompt - 1)

    def _remember(self, prefix: Sequence[int]) -> None:
        if self.limits.prefix_caching:
            self._cache.update(dict.fromkeys(prefix))
            free = self.limits.kv_blocks - self._used
            while len(self._cache) > free:
                self._cache.popitem(last=False)

    def _blocks(self, tokens: int) -> int:
        return -(-tokens // self.limits.block_size)

    def _grow(self, sequence: Request, tokens: int) -> None:
        more = max(0, self._blocks(tokens) - sequence.blocks)
        sequence.blocks += more
        self._used += more

    def _free(self, sequence: Request) -> None:
        self._used -= sequence.blocks
        sequence.blocks = 0

    @staticmethod
    def _step(work: list[tuple[Request, int]]) -> Step:
        decode = sum(1 for sequence, tokens in work if tokens == 1 and sequence.generated)
        prefill = sum(tokens for sequence, tokens in work if not (tokens == 1 and sequence.generated))
        context = sum(sequence.computed + tokens for sequence, tokens in work)
        return Step(tuple(work), prefill, decode, context)
