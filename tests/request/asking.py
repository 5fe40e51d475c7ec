"""Asks servelab in plain words as its faces do, without a terminal."""

from __future__ import annotations

from datetime import date
from functools import cache
from io import StringIO
from typing import Any

from rich.console import Console

from servelab.cli.replies import print_reply
from servelab.request.contract import contract
from servelab.request.dialog import State, Step, advance, heard
from servelab.request.facts import Facts
from servelab.request.reply import Ask, Reply
from servelab.request.said import Option
from servelab.request.understand import understand

FEBRUARY_4 = date(2026, 2, 4)


@cache
def answer(text: str, values: str = "", today: date = FEBRUARY_4) -> dict[str, Any]:
    """What ``servelab ask TEXT --yes --json`` prints where no cluster and no accelerator is known."""
    return answered(heard(State(facts=Facts(today=today, values_text=values)), text, understand))


def answered(state: State) -> dict[str, Any]:
    """The JSON contract of a dialog as far as it has come."""
    return contract(state.settled, state.facts, state.understanding)


class Talk:
    """A dialog: what is said in turn, and what is shown."""

    def __init__(self, values: str = "", today: date = FEBRUARY_4) -> None:
        self.state = State(facts=Facts(today=today, values_text=values))
        self.replies: list[Reply] = []

    def say(self, message: str) -> None:
        self.state, reply = advance(self.state, message, understand)
        self.replies.append(reply)

    def answer(self) -> dict[str, Any]:
        return answered(self.state)

    def text(self) -> str:
        """Everything that was shown so far."""
        return "\n".join(map(_shown, self.replies))

    def last(self) -> str:
        """What was shown last."""
        return _shown(self.replies[-1])

    def options(self) -> tuple[Option, ...]:
        """What can be chosen now."""
        asked = [
            question for block in self.replies[-1].blocks if isinstance(block, Ask) for question in block.questions
        ]
        return asked[0].options

    @property
    def confirmed(self) -> bool:
        return self.state.step is Step.ACCEPTED


def _shown(reply: Reply) -> str:
    console = Console(file=StringIO(), width=120)
    print_reply(console, reply)
    return console.file.getvalue()  # type: ignore[attr-defined]
