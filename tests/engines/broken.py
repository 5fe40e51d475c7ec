"""The simulated engine with a fault in its scheduler: ``python -m tests.engines.broken``, with the engine's flags."""

from __future__ import annotations

import sys

from servelab.batching.scheduler import Scheduler
from servelab.engines.simulated.__main__ import main


def commit(scheduler, step):
    raise RuntimeError("a fault of the scheduler")


if __name__ == "__main__":
    Scheduler.commit = commit
    sys.exit(main())
