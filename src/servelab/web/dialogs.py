"""Dialogs in plain words, kept in memory while they last."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from servelab.catalog.written import study_text
from servelab.request.begin import known_here, usual_reader
from servelab.request.dialog import advance
from servelab.request.reply import Reply
from servelab.request.screens import opening
from servelab.request.state import State, Step
from servelab.request.study import make_study
from servelab.request.workdir import fresh_root, submit_command, write_experiment
from servelab.spec.errors import NotFoundError

MOST = 200
"""Dialogs that are kept; the one that nobody spoke in for longest goes first."""

LONGEST = 10_000  # characters of a message


@dataclass(frozen=True)
class Outcome:
    """What a yes led to: the study, the directory with its files, and the command for the cluster, where it is one."""

    study: str
    directory: Path
    files: tuple[str, ...]
    command: str | None


@dataclass(frozen=True)
class Turn:
    """What is said in one turn of a dialog; ``outcome`` comes with the last one, after a yes."""

    dialog: str
    step: Step
    reply: Reply
    outcome: Outcome | None = None


@dataclass
class _Dialog:
    state: State
    lock: threading.Lock = field(default_factory=threading.Lock)


class Dialogs:
    """The dialogs of a server, by id. May be called from any thread."""

    def __init__(self) -> None:
        self._dialogs: OrderedDict[str, _Dialog] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self) -> Turn:
        """A new dialog; takes a few seconds where a cluster is slow to tell what it has.

        Raises:
            DocumentError: a file that the user added to the catalog is wrong.
        """
        found, dialog = secrets.token_urlsafe(16), _Dialog(State(facts=known_here()))
        with self._lock:
            self._dialogs[found] = dialog
            while len(self._dialogs) > MOST:
                self._dialogs.popitem(last=False)
        return Turn(found, dialog.state.step, opening())

    def say(self, found: str, message: str) -> Turn:
        """What is answered to a message; after a yes the experiment's files are written.

        Raises:
            NotFoundError: there is no such dialog any more.
            ServelabError: what was asked for cannot be written.
        """
        with self._lock:
            dialog = self._dialogs.get(found)
            if dialog is None:
                raise NotFoundError("that dialog is over or forgotten", "Begin a new one.")
            self._dialogs.move_to_end(found)
        with dialog.lock:
            before = dialog.state
            state, reply = advance(before, message[:LONGEST], usual_reader())
            accepted = state.step is Step.ACCEPTED and not before.ended
            outcome = _written(state) if accepted else None
            dialog.state = state
            return Turn(found, state.step, reply, outcome)


def _written(state: State) -> Outcome:
    settled = state.settled
    directory = write_experiment(settled, state.facts, fresh_root(state.facts.today))
    return Outcome(
        study_text(make_study(settled, state.facts)),
        directory,
        tuple(sorted(path.name for path in directory.iterdir())),
        submit_command(settled, directory),
    )
