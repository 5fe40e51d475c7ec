"""The KV cache in blocks, with prompt blocks shared by content, as vLLM's block pool does it. No time, no I/O."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence


class BlockPool:
    """Counts ``capacity`` blocks: private ones, shared ones in use, and idle ones kept for the next who asks.

    A shared block is known by a hash of all tokens up to its end. Idle blocks are free: the one unused for the longest
    time is given up first.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._private = 0
        self._users: dict[int, int] = {}
        self._idle: OrderedDict[int, None] = OrderedDict()

    @property
    def used(self) -> int:
        """Blocks that sequences hold; one that several share counts once."""
        return self._private + len(self._users)

    @property
    def free(self) -> int:
        """Blocks that can be taken, idle ones included."""
        return self.capacity - self._private - len(self._users)

    def cached(self, prefix: Sequence[int]) -> int:
        """How many leading blocks of ``prefix`` are here."""
        for number, block in enumerate(prefix):
            if block not in self._users and block not in self._idle:
                return number
        return len(prefix)

    def cost(self, prefix: Iterable[int], more: int) -> int:
        """Free blocks that sharing ``prefix`` (all of it cached) and taking ``more`` use up."""
        return more + sum(1 for block in prefix if block in self._idle)

    def share(self, prefix: Iterable[int]) -> None:
        """Hold cached blocks together with whoever else does."""
        for block in prefix:
            self._idle.pop(block, None)
            self._users[block] = self._users.get(block, 0) + 1

    def take(self, count: int) -> None:
        """Hold ``count`` more private blocks; the caller has seen that they are free."""
        self._private += count
        while self._idle and self.used + len(self._idle) > self.capacity:
            self._idle.popitem(last=False)

    def publish(self, block: int) -> bool:
        """Make a private block findable by its hash; False, and still private, when one like it is here already."""
        if block in self._users or block in self._idle:
            return False
        self._private -= 1
        self._users[block] = 1
        return True

    def give_back(self, shared: Sequence[int], private: int) -> None:
        """Let go of blocks; shared ones that nobody holds stay findable, the end of a prefix to be given up first."""
        self._private -= private
        for block in reversed(shared):
            self._users[block] -= 1
            if not self._users[block]:
                del self._users[block]
                self._idle[block] = None
