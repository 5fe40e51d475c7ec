"""Runs a harness and ends it, with everything it started, when servelab goes away.

Started as ``python -m servelab.harnesses.external.keeper CORES COMMAND...`` in a process group of its own, with a pipe
as standard input that is closed when servelab dies, however it dies.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

NOT_STARTED = 127


def main() -> int:
    """Run the command to its end; its exit code, or 128 and the number of the signal that ended it."""
    cores, *command = sys.argv[1:]
    if cores:
        os.sched_setaffinity(0, [int(core) for core in cores.split(",")])
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    except OSError as error:
        print(f"cannot start {command[0]}: {error.strerror}", file=sys.stderr)
        return NOT_STARTED
    code = child.wait()
    return code if code >= 0 else 128 - code


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    # A thread that still reads keeps the interpreter from ending in the usual way.
    code = main()
    sys.stdout.flush()
    os._exit(code)
