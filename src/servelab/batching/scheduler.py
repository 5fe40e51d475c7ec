"""Continuous batching as vLLM does it, without time and without I/O.

Each step, running sequences come first (one token each, or the next part of their prompt), then waiting ones join
while the token budget, the sequence limit and the KV cache allow. When the cache is full, the sequence that joined
last gives its blocks back and starts anew (preemption by recomputation), and nobody joins in that step.

Sequences that decode all go on by one token a step, so they are counted by a common tick instead of one by one: what
a step costs does not grow with the batch, and steps that are alike can be taken many at once.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import NamedTuple

from servelab.batching.blocks import BlockPool
from servelab.batching.request import Request


@dataclass(frozen=True)
class Limits:
    """The scheduler's settings; a step has room for one token of every sequence.

    Raises:
        ValueError: it has not.
    """

    max_num_seqs: int
    max_num_batched_tokens: int
    block_size: int
    kv_blocks: int
    prefix_caching: bool = True
    chunked_prefill: bool = True

    def __post_init__(self) -> None:
        if self.max_num_batched_tokens < self.max_num_seqs:
            raise ValueError(
                f"max_num_batched_tokens {self.max_num_batched_tokens} is below max_num_seqs {self.max_num_seqs}"
            )


class Step(NamedTuple):
    """What one step computes: ``prefill`` prompt tokens, one token for each of ``decode`` sequences."""

    chunks: tuple[tuple[Request, int], ...]
    """Sequences whose prompts are computed, and how many tokens of each."""
    prefill: int
    decode: int
    context: int
    """Cached tokens that attention reads; with each repetition ``decode`` more."""
    repeats: int = 1
    """How many such steps follow each other, this one included, if nobody comes or goes in the meantime."""

    @property
    def sequences(self) -> int:
        """Sequences in the batch."""
        return len(self.chunks) + self.decode


class Progress(NamedTuple):
    """What a step brought, besides a token to each sequence that decodes."""

    started: list[Request]
    """Sequences whose prompt is done: they got a token, the first or the next after a preemption."""
    ended: list[Request]
    """Sequences that got their last token."""


@dataclass
class Counters:
    """What the scheduler has done so far; all but ``preemptions`` in tokens."""

    preemptions: int = 0
    prefix_queries: int = 0
    prefix_hits: int = 0
    prompts: int = 0
    generated: int = 0


NOTHING = Step((), 0, 0, 0)


class Scheduler:
    """Batches sequences within its limits."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.pool = BlockPool(limits.kv_blocks)
        self.running: dict[Request, None] = {}
        """In the order in which they joined; one whose prompt is cut by the budget is always the last."""
        self.decoding: dict[Request, None] = {}
        """Those of them whose prompt is done."""
        self.waiting: deque[Request] = deque()
        self.counters = Counters()
        self._tick = 0
        """Steps in which sequences decode, counted when they are scheduled."""
        self._growth = [0] * limits.block_size
        """Decoding sequences that need another block at a tick, by the tick's remainder."""
        self._origins = 0
        """Sum over the decoding sequences."""
        self._ends: list[tuple[int, int, Request]] = []
        """Heap of the ticks at which sequences end; entries of sequences that left before are stale."""
        self._entries = 0

    @property
    def usage(self) -> float:
        """Share of the KV cache in use."""
        return self.pool.used / self.pool.capacity

    def fits(self, sequence: Request) -> bool:
        """Whether the cache could hold the sequence if it were alone."""
        return self._blocks(sequence.prompt + sequence.output) <= self.limits.kv_blocks

    def add(self, sequence: Request) -> None:
        """Queue a sequence that fits."""
        self.counters.prompts += sequence.prompt
        self.waiting.append(sequence)

    def remove(self, sequence: Request) -> None:
        """Forget a sequence, wherever it is (its client went away)."""
        if sequence in self.running:
            self._leave(sequence)
        elif sequence in self.waiting:
            self.waiting.remove(sequence)

    def schedule(self) -> Step:
        """Choose the next step's work, and take the blocks it needs."""
        preempted = self._make_room()
        decode = len(self.decoding)
        self._tick += 1
        budget = self.limits.max_num_batched_tokens - decode
        chunks: list[tuple[Request, int]] = []
        if len(self.running) > decode:
            preempted |= not self._continue(budget, chunks)
        if self.waiting and not preempted:
            self._admit(budget - chunks[0][1] if chunks else budget, chunks)
        context = decode * self._tick - self._origins
        if not chunks:
            if not decode:
                return NOTHING
            alone = preempted or len(self.running) > decode
            return Step((), 0, decode, context, 1 if alone else self._repeats())
        prefill = 0
        for sequence, tokens in chunks:
            prefill += tokens
            context += sequence.computed
        return Step(tuple(chunks), prefill, decode, context)

    def commit(self, step: Step, times: int = 1) -> Progress:
        """Take in that a step was computed, or ``times`` alike ones in a row, at most its ``repeats``."""
        if times > 1:
            self._repeat(times - 1)
        self.counters.generated += step.decode * times
        ended = self._end() if self._ends and self._ends[0][0] <= self._tick else []
        started = []
        for sequence, _ in step.chunks:
            if sequence not in self.running or sequence.computed < sequence.target:
                continue  # removed while the step ran, or only a part of the prompt
            self._start(sequence)
            started.append(sequence)
            if sequence.finished:
                self._leave(sequence)
                ended.append(sequence)
        self.counters.generated += len(started)
        return Progress(started, ended)

    def settle(self) -> None:
        """Write into each decoding sequence how far it is."""
        for sequence in self.decoding:
            self._settle(sequence)

    def _make_room(self) -> bool:
        """Take the blocks that decoding needs in this step, and say whether somebody had to give up theirs."""
        needed = self._needed(self._tick)
        if needed <= self.pool.free:
            self.pool.take(needed)
            return False
        for sequence in tuple(self.decoding):
            if (self._tick - sequence.origin) % self.limits.block_size:
                continue
            while not self.pool.free and sequence in self.decoding:
                self._preempt(next(reversed(self.running)))
            if sequence in self.decoding:
                self.pool.take(1)
        return True

    def _needed(self, tick: int) -> int:
        """Blocks that decoding needs at a tick."""
        return self._growth[tick % self.limits.block_size]

    def _continue(self, budget: int, chunks: list[tuple[Request, int]]) -> bool:
        """Go on with a prompt that was cut; False when it gave up its blocks, for there are too few."""
        sequence = next(reversed(self.running))
        tokens = min(sequence.target - sequence.computed, budget)
        if tokens <= 0:
            return True
        if self._blocks(sequence.computed + tokens) - sequence.blocks > self.pool.free:
            self._preempt(sequence)
            return False
        self._grow(sequence, sequence.computed + tokens)
        chunks.append((sequence, tokens))
        return True

    def _admit(self, budget: int, chunks: list[tuple[Request, int]]) -> None:
        limits = self.limits
        while self.waiting and budget > 0 and len(self.running) < limits.max_num_seqs:
            sequence = self.waiting[0]
            hits = self._hits(sequence)
            cached = len(hits) * limits.block_size
            tokens = sequence.target - cached
            if tokens > budget:
                if not limits.chunked_prefill:
                    return
                tokens = budget
            more = self._blocks(cached + tokens) - len(hits)
            if self.pool.cost(hits, more) > self.pool.free:
                return
            self.waiting.popleft()
            self.running[sequence] = None
            self.pool.share(hits)
            sequence.shared, sequence.published = hits, len(hits)
            self._grow(sequence, cached + tokens)
            if limits.prefix_caching and not sequence.preemptions:
                self.counters.prefix_queries += sequence.prompt
                self.counters.prefix_hits += cached
            chunks.append((sequence, tokens))
            budget -= tokens

    def _hits(self, sequence: Request) -> tuple[int, ...]:
        """Leading blocks of the prompt that are cached; of a whole prompt the last block is computed anew."""
        if not sequence.prefix or not self.limits.prefix_caching:
            return ()
        most = min(len(sequence.prefix), (sequence.target - 1) // self.limits.block_size)
        return sequence.prefix[: self.pool.cached(sequence.prefix[:most])]

    def _grow(self, sequence: Request, tokens: int) -> None:
        """Take the blocks for ``tokens`` in all, and let others find those of the prompt that are full."""
        sequence.computed = tokens
        more = self._blocks(tokens) - sequence.blocks
        if more > 0:
            self.pool.take(more)
            sequence.private += more
        if not sequence.prefix or not self.limits.prefix_caching:
            return
        full = min(len(sequence.prefix), tokens // self.limits.block_size)
        if full <= sequence.published:
            return
        offered = sequence.prefix[sequence.published : full]
        taken = tuple(block for block in offered if self.pool.publish(block))
        sequence.private -= len(taken)
        sequence.shared += taken
        sequence.published = full

    def _start(self, sequence: Request) -> None:
        """A prompt is done: the sequence has a token, and decodes from now on."""
        sequence.generated += 1
        sequence.origin = self._tick - sequence.computed
        self._origins += sequence.origin
        self._growth[sequence.origin % self.limits.block_size] += 1
        self.decoding[sequence] = None
        self._entries += 1
        heappush(self._ends, (sequence.origin + sequence.prompt + sequence.output - 1, self._entries, sequence))

    def _repeats(self) -> int:
        """How many steps like the one just scheduled follow each other until one ends or the cache is full."""
        while self._stale(self._ends[0]):
            heappop(self._ends)
        most = self._ends[0][0] - self._tick
        size, decode, free = self.limits.block_size, len(self.decoding), self.pool.free
        periods = min(free // decode, most // size)  # within a period each sequence needs one block
        free -= periods * decode
        for more in range(periods * size, most):
            free -= self._needed(self._tick + more)
            if free < 0:
                return 1 + more
        return 1 + most

    def _repeat(self, times: int) -> None:
        """Take the blocks of further steps, and count them."""
        periods, rest = divmod(times, self.limits.block_size)
        self.pool.take(periods * len(self.decoding) + sum(self._needed(self._tick + more) for more in range(rest)))
        self._tick += times

    def _end(self) -> list[Request]:
        """Let go of the sequences that have all their tokens."""
        ended = []
        while self._ends and self._ends[0][0] <= self._tick:
            entry = heappop(self._ends)
            if not self._stale(entry):
                self._leave(entry[2])
                ended.append(entry[2])
        return ended

    def _stale(self, entry: tuple[int, int, Request]) -> bool:
        """Whether the sequence left before its end; it may have come back since, for another end."""
        end, _, sequence = entry
        return sequence not in self.decoding or sequence.origin + sequence.prompt + sequence.output - 1 != end

    def _preempt(self, victim: Request) -> None:
        self._leave(victim)
        victim.computed = 0
        victim.preemptions += 1
        self.waiting.appendleft(victim)
        self.counters.preemptions += 1

    def _leave(self, sequence: Request) -> None:
        del self.running[sequence]
        if sequence in self.decoding:
            self._settle(sequence)
            del self.decoding[sequence]
            self._origins -= sequence.origin
            self._growth[sequence.origin % self.limits.block_size] -= 1
        self.pool.give_back(sequence.shared, sequence.private)
        sequence.shared, sequence.private, sequence.published = (), 0, 0

    def _settle(self, sequence: Request) -> None:
        sequence.computed = self._tick - sequence.origin
        sequence.generated = sequence.computed + 1 - sequence.prompt
        sequence.private = self._blocks(sequence.computed) - len(sequence.shared)

    def _blocks(self, tokens: int) -> int:
        return -(-tokens // self.limits.block_size)
