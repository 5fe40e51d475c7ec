"""What the server did while the load was whole.

A measurement begins among the last answers of the warm-up and ends with streams that have nothing left to send.
Throughput over all of it would count the work of either end wrongly, the more so the fewer the requests; so it is
counted from the first counted request to the sending of the last, over whatever arrived in that time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from servelab.harnesses.builtin.stream import Answer


@dataclass
class Window:
    """Tokens and answers that arrived while the load was whole, of warm-up requests too."""

    output_tokens: float = 0.0
    prompt_tokens: int = 0
    answers: int = 0

    def add(self, answer: Answer, end: float, start: float, busy_until: float) -> None:
        """Count what arrived between ``start`` (0 while warming up) and ``busy_until``."""
        if not start or answer.error is not None or not answer.chunks:
            return
        per_chunk = (answer.output_tokens or len(answer.chunks)) / len(answer.chunks)
        self.output_tokens += per_chunk * (bisect_right(answer.chunks, busy_until) - bisect_left(answer.chunks, start))
        if start <= end <= busy_until:
            self.answers += 1
            self.prompt_tokens += answer.prompt_tokens or 0
