"""The requests of a load level: how long each is, what it shares with others, and when it is due."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from servelab.batching.request import Request
from servelab.catalog.recorded import TraceRow, read_trace
from servelab.spec.arrivals import due_times
from servelab.spec.load import LoadPoint
from servelab.spec.workload import Workload

TRACE_BLOCK = 512  # tokens of a block that mooncake's hash_ids name
WIDE = 24  # bits for the number of a block within a prompt
OWN = 1 << 80  # beyond the names of blocks that are shared


@dataclass(eq=False, slots=True)
class Timed(Request):
    """A request with its times, in virtual seconds."""

    arrived: float = 0.0
    first: float = 0.0
    """When its first token came."""
    last: float = -1.0
    """When the last token before a preemption came; negative while it runs."""
    counted: bool = True
    """False of warm-up."""


class Traffic:
    """The requests of a workload, the same ones for the same seed.

    ``own_blocks`` gives every block of a prompt a hash, not only those that others share: they matter only where the
    cache can get full.

    Raises:
        ServelabError: the workload's trace cannot be read.
    """

    def __init__(self, workload: Workload, seed: int, block_size: int, own_blocks: bool = True) -> None:
        self._workload = workload
        self._trace: Sequence[TraceRow] = read_trace(workload.trace) if workload.trace else ()
        self._seed = seed
        self._size = block_size
        self._own_blocks = own_blocks

    def requests(self, warmup: int) -> Iterator[Timed]:
        """Endless, after ``warmup`` others that do not count."""
        number = self._replayed if self._trace else self._drawn
        for nth in range(-1, -1 - warmup, -1):
            request = number(nth)
            request.counted = False
            yield request
        yield from map(number, itertools.count())

    def due(self, load: LoadPoint) -> Iterator[float]:
        """When the requests of an open loop are due, in seconds since the start."""
        rng = random.Random(f"{self._workload.seed}/{self._seed}/arrivals")
        return due_times(load, rng, [row.when for row in self._trace])

    def _drawn(self, number: int) -> Timed:
        prompt, output = self._always or self._workload.lengths(self._seed, number)
        shared = self._workload.prefix
        if shared is None and not self._own_blocks:
            return Timed(prompt, output)
        group, leading = (number % shared.groups, shared.tokens) if shared else (0, 0)
        common = tuple(group << WIDE | n for n in range(leading // self._size))
        return Timed(leading + prompt, output, self._blocks(common, leading + prompt, number))

    @cached_property
    def _always(self) -> tuple[int, int] | None:
        return self._workload.lengths(self._seed, 0) if self._workload.fixed else None

    def _replayed(self, number: int) -> Timed:
        row = self._trace[number % len(self._trace)]
        each = max(1, TRACE_BLOCK // self._size)
        known = (block << WIDE | part for block in row.blocks for part in range(each))
        common = tuple(itertools.islice(known, row.prompt_tokens // self._size))
        return Timed(row.prompt_tokens, row.output_tokens, self._blocks(common, row.prompt_tokens, number))

    def _blocks(self, common: tuple[int, ...], tokens: int, number: int) -> tuple[int, ...]:
        """Hashes of the full blocks of a prompt, the common ones first."""
        if not self._own_blocks:
            return common
        return common + tuple((OWN + number) << WIDE | n for n in range(len(common), tokens // self._size))
