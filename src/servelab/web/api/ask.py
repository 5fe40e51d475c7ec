"""Requests in plain words."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from servelab.request.reply import Reply
from servelab.request.state import Step
from servelab.web.api.problem import PROBLEMS
from servelab.web.context import Context, context_of
from servelab.web.dialogs import LONGEST, Turn

router = APIRouter(prefix="/api/v1", tags=["ask"], responses=PROBLEMS)


class Said(BaseModel):
    """A message in a dialog; without ``dialog`` it begins one."""

    message: str = Field(
        max_length=LONGEST, examples=["tune llama.cpp with smollm2-135m for a chatbot, p95 TTFT below 2 s"]
    )
    dialog: str | None = Field(default=None, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")


class Answer(BaseModel):
    """What is said next. After a yes: the study, and the directory on the server with all files.

    ``command`` runs it on a cluster, where that is how it is run.
    """

    dialog: str
    step: Step
    reply: Reply
    study: str | None = None
    directory: str | None = None
    files: tuple[str, ...] = ()
    command: str | None = None


@router.post("/ask")
def ask(said: Said, here: Annotated[Context, Depends(context_of)]) -> Answer:
    """Say in plain words what to find out; nothing starts without a yes."""
    dialogs = here.dialogs
    return _answer(dialogs.say(said.dialog or dialogs.begin().dialog, said.message))


def _answer(turn: Turn) -> Answer:
    done = turn.outcome
    if done is None:
        return Answer(dialog=turn.dialog, step=turn.step, reply=turn.reply)
    return Answer(
        dialog=turn.dialog,
        step=turn.step,
        reply=turn.reply,
        study=done.study,
        directory=str(done.directory),
        files=done.files,
        command=done.command,
    )
