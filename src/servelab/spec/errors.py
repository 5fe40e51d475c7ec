"""The errors a user may meet: what happened, where, and what to do next."""

from __future__ import annotations

import errno


class ServelabError(Exception):
    """An error to show to the user without a traceback.

    Attributes:
        message: what happened, and where.
        remedy: what to do next; empty only where the message itself says it.
        exit_code: what the command line exits with (see docs/cli.md).
    """

    exit_code = 1

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n{self.remedy}" if self.remedy else self.message


class DocumentError(ServelabError):
    """A study document that cannot be read; ``problems`` holds each fault with its position."""

    exit_code = 2

    def __init__(self, problems: tuple[str, ...], remedy: str = "") -> None:
        super().__init__("\n".join(problems), remedy)
        self.problems = problems


class NotFoundError(ServelabError):
    """A study, trial, model or plug-in that does not exist; the message names the nearest one."""

    exit_code = 3


class StoreError(ServelabError):
    """The store cannot be used: locked, full, read-only, damaged or of a newer schema."""

    exit_code = 4


class DeployError(ServelabError):
    """An engine could not be brought up; carries the diagnosis."""

    exit_code = 5


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
