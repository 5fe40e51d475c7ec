"""A request in the engine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(eq=False, slots=True)
class Request:
    """A request, and how far it is.

    While it decodes, the scheduler knows how far it is by counting steps: ``generated``, ``computed`` and ``private``
    are brought up to date when it stops, or by ``Scheduler.settle``.
    """

    prompt: int
    """Prompt tokens."""
    output: int
    """Tokens to generate."""
    prefix: tuple[int, ...] = ()
    """A hash for each full block of the prompt, each of all tokens up to the block's end."""
    generated: int = 0
    computed: int = 0
    """Tokens whose keys and values are cached, or will be when the step that was scheduled is over."""
    preemptions: int = 0
    shared: tuple[int, ...] = ()
    """Hashes of the blocks that others may use too."""
    private: int = 0
    """Blocks of its own."""
    published: int = 0
    """Leading blocks of ``prefix`` that were computed and offered to others."""
    origin: int = 0
    """Of a decoding request: the scheduler's tick at which nothing of it would have been computed."""

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
