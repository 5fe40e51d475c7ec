"""Ports for engines."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque

_RECENT = 4096  # of the 28,000 ports that Linux gives out by default

_recent: deque[int] = deque(maxlen=_RECENT)
_lock = threading.Lock()


def free_port() -> int:
    """A loopback port that is free now and was not among the last few thousand that this process was given.

    An engine takes its port only after a while, so that the next may well be offered the same one. Another program
    may still take it first.

    Raises:
        OSError: there is none.
    """
    with _lock:
        try:
            return _unused_port()
        except OSError:  # the machine gives out fewer ports than we remember
            _recent.clear()
            return _unused_port()


def _unused_port() -> int:
    with contextlib.ExitStack() as refused:
        while True:
            probe = refused.enter_context(socket.socket())  # held, so that the next probe gets another port
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            if port not in _recent:
                _recent.append(port)
                return port
