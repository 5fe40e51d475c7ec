"""The errors a user may meet: what happened, where, and what to do next."""

from __future__ import annotations

import errno
from dataclasses import dataclass


class ServelabError(Exception):
    """An error to show to the user without a traceback.

    Attributes:
        message: what happened, and where.
        remedy: what to do next; empty only where the message itself says it.
        about: the part of a study's document that it is about, where that is known.
        exit_code: what the command line exits with (see docs/cli.md).
    """

    exit_code = 1
    about: tuple[str | int, ...] = ()

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n{self.remedy}" if self.remedy else self.message


@dataclass(frozen=True)
class Fault:
    """One fault of a document: what is wrong, at which keys and indexes from the top, and where that is written."""

    message: str
    path: tuple[str | int, ...] = ()
    source: str = ""
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        """The fault in a line, as ``study.yaml:3:5: load: ...``."""
        where = ":".join(str(part) for part in (self.source, self.line, self.column) if part)
        return f"{where}: {self.message}" if where else self.message


class DocumentError(ServelabError):
    """A study document that cannot be read; ``problems`` holds each of its ``faults`` in a line."""

    exit_code = 2

    def __init__(self, problems: tuple[str | Fault, ...], remedy: str = "") -> None:
        self.faults = tuple(Fault(problem) if isinstance(problem, str) else problem for problem in problems)
        self.problems = tuple(str(fault) for fault in self.faults)
        super().__init__("\n".join(self.problems), remedy)


class NotFoundError(ServelabError):
    """A study, trial, model or plug-in that does not exist; the message names the nearest one."""

    exit_code = 3


class StoreError(ServelabError):
    """The store cannot be used: locked, full, read-only, damaged or of a newer schema."""

    exit_code = 4


class DeployError(ServelabError):
    """An engine could not be brought up; carries the diagnosis."""

    exit_code = 5


class UnreachableError(DeployError):
    """A server that somebody else started does not answer."""


ROOM = "Free processes, files or memory here, or raise the limits (ulimit -a); then: servelab resume"


class MachineError(DeployError):
    """Where engines run there is no room for one now, or no way to it, whatever the configuration."""

    def __init__(self, message: str, remedy: str = ROOM) -> None:
        super().__init__(message, remedy)


def is_exhaustion(error: OSError) -> bool:
    """Whether the machine, and not what was asked of it, is why this failed."""
    return error.errno in (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)


class MeasureError(ServelabError):
    """A measurement could not be made."""

    exit_code = 6


class NoAnswerError(MeasureError):
    """The server answers nothing at all, or no request succeeds."""


class ClusterError(ServelabError):
    """Kubernetes cannot be reached, or refused what was asked of it."""

    exit_code = 9
