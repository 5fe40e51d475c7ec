"""The scheduler's rules written out sequence by sequence: what the quick one is held against."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from servelab.batching.blocks import BlockPool
from servelab.batching.scheduler import Counters, Limits


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
    preemptions: int = 0
    shared: list[int] = field(default_factory=list)
    """Hashes of the blocks that others may use too."""
    private: int = 0
    """Blocks of its own."""
    published: int = 0
    """Leading blocks of ``prefix`` that were computed and offered to others."""

    @property
    def target(self) -> int:
        """Tokens whose keys and values must be cached before the next token comes."""
        return self.prompt + self.generated

    @property
    def blocks(self) -> int:
        """Blocks that it holds."""
        return len(self.shared) + self.private

    @property
    def finished(self) -> bool:
        """Whether all its tokens are there."""
        return self.generated >= self.output


@dataclass(frozen=True)
class Step:
    """What one step computes: ``prefill`` prompt tokens, one token for each of ``decode`` sequences."""

    work: tuple[tuple[Request, int], ...]
    """Sequences, and how many tokens of each are computed."""
    prefill: int
    decode: int
    context: int
    """Cached tokens that attention reads."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.work


class Stepwise:
    """Batches sequences within its limits."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.pool = BlockPool(limits.kv_blocks)
        self.running: dict[Request, None] = {}
        """In the order in which they joined."""
        self.waiting: deque[Request] = deque()
        self.counters = Counters()

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
        budget = self.limits.max_num_batched_tokens
        work: dict[Request, int] = {}
        preempted = False
        for sequence in tuple(self.running):
            if sequence not in self.running or budget <= 0:
                continue  # preempted for one before it, or no tokens left in this step
            tokens = min(sequence.target - sequence.computed, budget)
            needed = self._blocks(sequence.computed + tokens) - sequence.blocks
            while needed > self.pool.free and sequence in self.running:
                preempted = True
                victim = next(reversed(self.running))
                self._preempt(victim)
            if sequence in self.running:
                self._grow(sequence, sequence.computed + tokens)
                work[sequence] = tokens
                budget -= tokens
        if not preempted:
            self._admit(budget, work)
        return _step(work)

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
            got.append(sequence)
            if sequence.finished:
                self._leave(sequence)
        self.counters.generated += len(got)
        return got

    def _admit(self, budget: int, work: dict[Request, int]) -> None:
        while self.waiting and budget > 0 and len(self.running) < self.limits.max_num_seqs:
            sequence = self.waiting[0]
            hits = self._hits(sequence)
            cached = len(hits) * self.limits.block_size
            tokens = sequence.target - cached
            if tokens > budget:
                if not self.limits.chunked_prefill:
                    return
                tokens = budget
            more = self._blocks(cached + tokens) - len(hits)
            if self.pool.cost(hits, more) > self.pool.free:
                return
            self.waiting.popleft()
            self.running[sequence] = None
            self.pool.share(hits)
            sequence.shared, sequence.published, sequence.computed = list(hits), len(hits), cached
            self._grow(sequence, cached + tokens)
            if self.limits.prefix_caching and not sequence.preemptions:
                self.counters.prefix_queries += sequence.prompt
                self.counters.prefix_hits += cached
            work[sequence] = tokens
            budget -= tokens

    def _hits(self, sequence: Request) -> tuple[int, ...]:
        """Leading blocks of the prompt that are cached; of a whole prompt the last block is computed anew."""
        if not self.limits.prefix_caching:
            return ()
        most = min(len(sequence.prefix), (sequence.target - 1) // self.limits.block_size)
        return sequence.prefix[: self.pool.cached(sequence.prefix[:most])]

    def _grow(self, sequence: Request, tokens: int) -> None:
        """Take the blocks for ``tokens`` in all, and let others find those of the prompt that are full."""
        more = self._blocks(tokens) - sequence.blocks
        if more > 0:
            self.pool.take(more)
            sequence.private += more
        full = tokens // self.limits.block_size
        if not self.limits.prefix_caching or full <= sequence.published:
            return
        for block in sequence.prefix[sequence.published : full]:
            if self.pool.publish(block):
                sequence.private -= 1
                sequence.shared.append(block)
        sequence.published = full

    def _preempt(self, victim: Request) -> None:
        self._leave(victim)
        victim.computed = 0
        victim.preemptions += 1
        self.waiting.appendleft(victim)
        self.counters.preemptions += 1

    def _leave(self, sequence: Request) -> None:
        del self.running[sequence]
        self.pool.give_back(sequence.shared, sequence.private)
        sequence.shared, sequence.private, sequence.published = [], 0, 0

    def _blocks(self, tokens: int) -> int:
        return -(-tokens // self.limits.block_size)


def _step(work: dict[Request, int]) -> Step:
    decode = sum(1 for sequence, tokens in work.items() if tokens == 1 and sequence.generated)
    return Step(
        work=tuple(work.items()),
        prefill=sum(work.values()) - decode,
        decode=decode,
        context=sum(sequence.computed + tokens for sequence, tokens in work.items()),
    )
