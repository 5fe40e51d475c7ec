"""The dialog from a sentence to a yes: a state machine without I/O, whose states and replies are data."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from servelab.request import boxes
from servelab.request.assign import assign, value_of
from servelab.request.feasible import KEEP, doubts
from servelab.request.lines import download
from servelab.request.reply import Ask, Block, Reply, Text, YesNo
from servelab.request.said import Question, Request, Understanding
from servelab.request.screens import confirm, engine_changed, introduction, naming, opening, verify
from servelab.request.settle import Settled
from servelab.request.state import State, Step

Reader = Callable[[str, Request | None], Understanding]
"""Reads a sentence, on top of what was said before."""

Turn = tuple[State, Reply]

CANCEL = {"cancel", "quit", "exit", "abort", "stop"}
YES = {"y", "yes", "yes please", "yep", "yeah", "sure", "proceed", "go", "go ahead", "ok", "okay", "confirm"}
NO = {"n", "no", "nope", "no thanks"}
FINE = {*NO, "looks good", "good", "fine", "ok", "okay", "nothing", "none", "continue", "go on", "lgtm"}


def advance(state: State, message: str, read: Reader) -> Turn:
    """The next state and what is said, after a message; a message that is no answer changes nothing.

    Raises:
        DocumentError: the values file lacks a part of the structure.
    """
    word = re.sub(r"[\s.!]+$", "", message.strip().lower())
    if state.ended:
        return state, Reply(blocks=(Text(text="This dialog has ended; start a new one."),))
    if word in CANCEL or (word in NO and state.step is Step.CONFIRM):
        ended = state.model_copy(update={"step": Step.CANCELLED})
        return ended, Reply(blocks=(Text(text="Cancelled. Nothing was started, and nothing was written."),))
    if state.step is Step.CONFIRM and word in YES:
        return _accepted(state)
    if state.step is Step.VERIFY and word in FINE:
        return _next(state.model_copy(update={"verified": True}))
    if state.step is Step.WORKLOAD and word in FINE:
        return _next(state.model_copy(update={"varied": True}))
    if (word in YES or not word) and state.step in _HOW:
        return state, Reply(blocks=(Text(text=_HOW[state.step]),))
    if state.step is Step.CONFIRM and not word:
        return _again(state, "Only a yes starts it: answer y or n, or say what to change.")
    if state.step is Step.QUESTIONS and (answered := _chosen(state, message)) is not None:
        return answered
    return _heard(state, message, read)


_HOW = {
    Step.VERIFY: "Say what to change, for example: add --enforce-eager, max-model-len 8192, image tag v0.10.2",
    Step.WORKLOAD: 'Say how much, for example: "stdev prompt=100 output=50"',
}


def heard(state: State, message: str, read: Reader) -> State:
    """The state after a sentence, without any question being asked."""
    understanding = combined(state.understanding, read(message, state.understanding.request))
    return state.model_copy(update={"understanding": understanding})


def pending(state: State) -> tuple[Question, ...]:
    """The questions that wait: a choice alone, else all that is missing, else a doubt alone."""
    settled = state.settled
    choices = [question for question in settled.questions if question.options]
    if choices:
        return (choices[0],)
    if settled.questions:
        return settled.questions
    doubtful = [doubt for doubt in doubts(settled, state.facts) if doubt.text not in state.kept]
    return tuple(doubtful[:1])


def _accepted(state: State) -> Turn:
    if pending(state):  # an answer may have opened a question again
        return _next(state)
    return state.model_copy(update={"step": Step.ACCEPTED}), Reply(blocks=(Text(text="Confirmed.", tone="good"),))


def _chosen(state: State, message: str) -> Turn | None:
    """The state after an option was taken, by number, value or label; None when the message is none."""
    question = pending(state)[0]
    text = message.strip().strip("[]().")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 3 else None
    for index, option in enumerate(question.options, 1):
        if number == index or text.lower() in (option.value.lower(), option.label.lower()):
            if option.value == KEEP:
                return _next(state.model_copy(update={"kept": (*state.kept, question.text)}))
            taken = (
                f"Using {option.label} ({option.value})." if "/" in option.value else f"{option.label.capitalize()}."
            )
            decided = _assigned(state, question.parameter, option.value)
            size = download(decided.settled) if question.parameter == "model" else None
            told = [Text(text=taken, tone="good"), *([Text(text=size, tone="warning")] if size else [])]
            return _next(decided, told)
    if number is not None and len(question.options) > 1:
        return _again(state, f"There is no option {number}.")
    return None


def _heard(state: State, message: str, read: Reader) -> Turn:
    """Take a sentence, or one word as the answer to what was asked; say so when it is neither."""
    before = state.understanding
    heard = read(message, before.request)
    told = bool(heard.words or heard.questions or heard.request != before.request)
    if told or state.step is Step.REQUEST:
        changed = state.model_copy(update={"understanding": combined(before, heard)})
        if state.step is Step.VERIFY:
            changed = changed.model_copy(update={"verified": True})
        if state.step is Step.WORKLOAD:
            changed = changed.model_copy(update={"varied": True})
        return _next(changed, list(_not_understood(heard)), first=state.step is Step.REQUEST)
    if state.step is Step.QUESTIONS:
        for question in pending(state):
            if _answers(question.parameter, message.strip()):
                try:
                    return _next(_assigned(state, question.parameter, message))
                except ValueError:
                    continue
    return _again(state, "I could not make anything of that. What you said before still holds.")


def combined(before: Understanding, heard: Understanding) -> Understanding:
    """What is understood after another sentence: questions that it did not answer stay open."""
    unanswered = [
        question
        for question in before.questions
        if question.parameter not in heard.words
        and value_of(before.request, question.parameter) == value_of(heard.request, question.parameter)
    ]
    again = {question.parameter for question in heard.questions}
    by_model = [field for field in before.by_model if field not in heard.words]
    return Understanding(
        request=heard.request,
        words={**before.words, **heard.words},
        by_model=tuple(dict.fromkeys((*by_model, *heard.by_model))),
        questions=(*(q for q in unanswered if q.parameter not in again), *heard.questions),
        warnings=tuple(dict.fromkeys((*before.warnings, *heard.warnings))),
        leftover=heard.leftover,
    )


def _assigned(state: State, parameter: str, answer: str) -> State:
    before = state.understanding
    understanding = before.model_copy(
        update={
            "request": assign(before.request, parameter, answer),
            "questions": tuple(q for q in before.questions if q.parameter != parameter),
        }
    )
    return state.model_copy(update={"understanding": understanding})


def _answers(parameter: str, message: str) -> bool:
    """Whether one word may be meant for a parameter: an image has a slash or a colon, a number is a number."""
    if not message or len(message.split()) > 1 or message.lower().rstrip(".!") in YES | FINE:
        return False
    if parameter == "images":
        return "/" in message or ":" in message
    if parameter in ("namespace", "experiment_id") or parameter.startswith("-"):
        return True
    return parameter == "model" and "/" in message if parameter == "model" else bool(re.search(r"\d", message))


def _again(state: State, text: str) -> Turn:
    """The same state, and the question once more."""
    _, reply = _next(state)
    return state, Reply(blocks=(Text(text=text, tone="warning"), *_questions_of(reply)))


def _questions_of(reply: Reply) -> tuple[Block, ...]:
    asked = tuple(block for block in reply.blocks if isinstance(block, Ask | YesNo))
    return asked or opening().blocks


def _not_understood(heard: Understanding) -> list[Block]:
    pieces = ", ".join(f'"{piece}"' for piece in heard.leftover)
    return [Text(text=f"I made nothing of {pieces}.", tone="note")] if pieces else []


def _next(state: State, said: Sequence[Block] = (), first: bool = False) -> Turn:
    """Where the dialog stands: questions, the workload's lengths, the engine, or the yes."""
    settled, blocks = state.settled, list(said)
    if state.understanding.request == Request() and not settled.request.intent and first:
        return state, Reply(
            blocks=(*blocks, Text(text="I found no request in that.", tone="warning"), *opening().blocks)
        )
    waiting = pending(state)
    if waiting:
        blocks += introduction(state, settled) if first else []
        blocks += [] if waiting[0].options else naming(settled)
        return state.model_copy(update={"step": Step.QUESTIONS}), Reply(blocks=(*blocks, Ask(questions=waiting)))
    if settled.workload == "custom" and settled.numbers is not None and not (state.varied or _varies(settled)):
        question = "Would you like to add variation (stdev) to the token distributions?"
        hint = 'Or specify: "stdev prompt=100 output=50"'
        blocks += [boxes.custom_workload(settled, settled.numbers), YesNo(text=question, default=True, hints=(hint,))]
        return state.model_copy(update={"step": Step.WORKLOAD}), Reply(blocks=tuple(blocks))
    if settled.pipeline and engine_changed(settled) and not state.verified:
        return state.model_copy(update={"step": Step.VERIFY}), Reply(blocks=(*blocks, *verify(state, settled)))
    return state.model_copy(update={"step": Step.CONFIRM}), Reply(blocks=(*blocks, *confirm(state, settled)))


def _varies(settled: Settled) -> bool:
    profile = settled.request.profile
    return profile.prompt.stdev is not None or profile.output.stdev is not None
