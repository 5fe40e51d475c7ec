"""How much a template may make: a bomb is refused before it costs anything."""

from __future__ import annotations

import time
from collections import ChainMap
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from servelab.tekton.faults import TemplateFault

MAX_SOURCE = 4 * 2**20  # characters of a template or a values file
MAX_TEXT = 4 * 2**20  # characters of one string that a template makes
MAX_OUTPUT = 64 * 2**20  # characters of a pipeline, roughly
MAX_TASKS = 50_000
MAX_RANGE = 100_000
MAX_STEPS = 300_000  # rounds of {% for %} and calls of macros
MAX_CPU = 20.0  # seconds
MAX_MEMORY = 2**30  # bytes above what the process holds


class Meter:
    """Counts what one compilation has used."""

    def __init__(self) -> None:
        self.steps = 0
        self.tasks = 0
        self.output = 0
        self.weights: dict[int, int] = {}
        """The weights of collections that live as long as the compilation."""
        self._end = time.thread_time() + MAX_CPU
        self._earliest = time.perf_counter() + MAX_CPU

    def step(self) -> None:
        """A round of a loop, or a call of a macro.

        Raises:
            TemplateFault: there were too many, or they took too long.
        """
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise TemplateFault(f"the template's {{% for %}} loops and macros take more than {MAX_STEPS:,} rounds")
        # Computing takes no less time than passes, and to ask how much has passed is the cheaper of the two.
        if time.perf_counter() > self._earliest and time.thread_time() > self._end:
            raise TemplateFault(f"the template needs more than {MAX_CPU:.0f} s of computing")

    def add_task(self, characters: int) -> None:
        """Account for a task of about so many characters.

        Raises:
            TemplateFault: the pipeline becomes too large.
        """
        self.tasks += 1
        if self.tasks > MAX_TASKS:
            raise TemplateFault(f"the loops make more than {MAX_TASKS:,} tasks")
        self._add(characters)
        self.step()

    def add_output(self, value: Any) -> None:
        """Account for a value that an expression has.

        Raises:
            TemplateFault: the pipeline becomes too large.
        """
        self._add(weigh(value, ChainMap({}, self.weights)))

    def _add(self, characters: int) -> None:
        self.output += characters
        if self.output > MAX_OUTPUT:
            raise TemplateFault(f"the pipeline would have more than {MAX_OUTPUT:,} characters")


def check_source(text: str, what: str) -> None:
    """Refuse a file that is too long, or that holds the characters which mark places in it.

    Raises:
        TemplateFault: it does.
    """
    if len(text) > MAX_SOURCE:
        raise TemplateFault(f"{what} has {len(text):,} characters, more than {MAX_SOURCE:,}")
    for line, content in enumerate(text.splitlines(), 1):
        if any("\ue000" <= character <= "\ue003" for character in content):
            raise TemplateFault("U+E000 to U+E003 may not be used, they mark places during the compilation", line)


def weigh(tree: Any, memory: MutableMapping[int, int]) -> int:
    """About how many characters ``tree`` has when written, what is shared counted each time.

    ``memory`` holds the weights of parts that live as long as it does.

    Raises:
        TemplateFault: the tree contains itself.
    """
    if not isinstance(tree, dict | list | tuple):
        return 6 + (len(tree) if isinstance(tree, str) else 8)
    known = memory.get(id(tree))
    if known is not None:
        if known < 0:
            raise TemplateFault("a YAML anchor refers to what it is part of")
        return known
    memory[id(tree)] = -1
    children = tree.values() if isinstance(tree, dict) else tree
    total = 4 + (sum(len(str(key)) + 2 for key in tree) if isinstance(tree, dict) else 0)
    for child in children:
        total += 6 + len(child) if isinstance(child, str) else weigh(child, memory)
    memory[id(tree)] = total
    return total


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Let the process grow by at most MAX_MEMORY, where the system can hold it to that (Linux)."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = int(statm.read_text().split()[0]) * resource.getpagesize() + MAX_MEMORY
    if soft != resource.RLIM_INFINITY:
        limit = min(limit, soft)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
