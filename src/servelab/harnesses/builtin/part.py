"""What one process of the load generator measured, and what several measured together."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from servelab.harnesses.builtin.summary import Tally
from servelab.harnesses.builtin.window import Settling, Window
from servelab.spec.base import Spec
from servelab.spec.distribution import Latencies


class Part(Spec):
    """All that a report is made of, in a form that merges without loss."""

    tally: Tally
    windows: tuple[Window, ...] = Field(description="of each process")
    settling: Settling
    lags: Latencies = Field(description="how late the client's event loop was, in seconds")
    cpu: float = Field(description="share of a core that a process used; of several, the busiest one's")
    concurrency: float | None = Field(description="requests in flight on average, while the load was whole")
    asked: tuple[int, float] = Field(description="open loop: requests that were due, and seconds until the last was")
    last_sent: float = Field(description="open loop: seconds until the last was really sent")
    waited: int = Field(description="open loop: requests that were due while as many were in flight as may be")
    server: dict[str, float] = Field(description="from the server's own metrics; one process looks at them")


def merged(parts: Sequence[Part]) -> Part:
    """The parts as one; the first is used up."""
    whole, *others = parts
    for other in others:
        whole.tally.merge(other.tally)
        whole.settling.merge(other.settling)
        whole.lags.merge(other.lags)
    flying = [part.concurrency for part in parts if part.concurrency is not None]
    return whole.model_copy(
        update={
            "windows": tuple(window for part in parts for window in part.windows),
            "cpu": max(part.cpu for part in parts),
            "concurrency": sum(flying) if len(flying) == len(parts) else None,
            "asked": (sum(part.asked[0] for part in parts), max(part.asked[1] for part in parts)),
            "last_sent": max(part.last_sent for part in parts),
            "waited": sum(part.waited for part in parts),
            "server": {name: value for part in parts for name, value in part.server.items()},
        }
    )
