"""The command that takes a request in plain words."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
from rich.markup import escape

from servelab.cli.output import Json, console, notes, print_json, read_text

if TYPE_CHECKING:
    from servelab.request.dialog import Reader
    from servelab.request.facts import Facts
    from servelab.request.settle import Settled
    from servelab.request.state import State

EXIT_CANCELLED = 1


@dataclass(frozen=True)
class _Places:
    """Where the person wants things: None for the usual place."""

    values: Path | None
    root: Path | None
    out: Path | None

    @property
    def named(self) -> bool:
        return self.root is not None or self.out is not None


def ask(
    *request: Annotated[str, cyclopts.Parameter(allow_leading_hyphen=True)],
    yes: Annotated[bool, cyclopts.Parameter(negative="")] = False,
    values: Path | None = None,
    root: Path | None = None,
    out: Path | None = None,
    json: Json = False,
) -> int:
    """Say in plain words what to find out, and see what that means before anything starts.

    Parameters
    ----------
    request
        As "run a chatbot benchmark with llama3-8b and TP=2"; without it, a dialog.
    yes
        Ask nothing: write the files (and run the study at once where "locally" was said), or say what is missing and
        exit with 2.
    values
        Values file of a data-collection pipeline to compare with; it is never changed.
    root
        Directory for the experiment's own directory; default: a fresh private one.
    out
        File for the study. With --json, files are written only with --yes and --root or --out.
    """
    from servelab.request.begin import usual_reader
    from servelab.request.state import State

    _check_options(request)
    places, sentence = _Places(values, root, out), " ".join(request)
    state, read = State(facts=_facts(places)), usual_reader()
    if yes or json:
        return _at_once(state, read, sentence, places, yes, json)
    return _dialog(state, read, sentence, places)


OPTIONS = ("yes", "json", "values", "root", "out")


def _check_options(words: tuple[str, ...]) -> None:
    """Engine arguments may stand among the words without quotes; a slip in an option of ours must not become one.

    Raises:
        ServelabError: a word is nearly one of our options.
    """
    from rapidfuzz.distance import OSA

    from servelab.spec.errors import ServelabError

    for word in words:
        name = word.partition("=")[0].removeprefix("--")
        near = [option for option in OPTIONS if word.startswith("--") and OSA.distance(name, option) <= 1]
        if near:
            raise ServelabError(f"{word} is nearly --{near[0]}", "Put what is for the engine into quotes.")


def _facts(places: _Places) -> Facts:
    from servelab.request.begin import known_here
    from servelab.spec.errors import DocumentError, ServelabError

    try:
        if places.values is None:
            return known_here(root=places.root)
        return known_here(read_text(places.values), str(places.values), places.root)
    except DocumentError as error:
        raise ServelabError(error.message, error.remedy) from None  # exit code 2 says that something is missing


def _dialog(state: State, read: Reader, sentence: str, places: _Places) -> int:
    from servelab.cli.replies import print_reply
    from servelab.request.dialog import advance
    from servelab.request.screens import opening
    from servelab.request.state import Step

    reply = opening()
    if sentence:
        state, reply = advance(state, sentence, read)
    while True:
        print_reply(console, reply)
        if state.ended:
            break
        try:
            message = console.input("[bold]>[/] " if sys.stdin.isatty() else "")
        except EOFError:
            notes.print("no more input: nothing was started, and nothing was written")
            return EXIT_CANCELLED
        state, reply = advance(state, message, read)
    return _write(state.settled, state.facts, places) if state.step is Step.ACCEPTED else EXIT_CANCELLED


def _at_once(state: State, read: Reader, sentence: str, places: _Places, yes: bool, json: bool) -> int:
    from servelab.cli.replies import print_reply
    from servelab.request.contract import MISSING, contract
    from servelab.request.dialog import heard
    from servelab.request.screens import unasked

    state = heard(state, sentence, read)
    settled = state.settled
    if json:
        found = contract(settled, state.facts, state.understanding)
        if settled.complete and yes and places.named:
            found["directory"] = str(_files(settled, state.facts, places))
        print_json(found)
        return 0 if settled.complete else MISSING
    print_reply(console if settled.complete else notes, unasked(state))
    return _write(settled, state.facts, places) if settled.complete else MISSING


def _files(settled: Settled, facts: Facts, places: _Places) -> Path:
    from servelab.request.workdir import fresh_root, pipeline_beside, write_experiment, write_study

    if places.out is not None:
        write_study(settled, facts, places.out)
        if places.root is None:
            return places.out
    pipeline = pipeline_beside(places.values) if places.values else None
    return write_experiment(settled, facts, places.root or fresh_root(facts.today), pipeline)


def _write(settled: Settled, facts: Facts, places: _Places) -> int:
    """Write the files and say what comes next; a study that was asked for on this machine is started."""
    from servelab.request.workdir import submit_command

    written = _files(settled, facts, places)
    study = written if written == places.out else written / "study.yaml"
    console.print(f"wrote {escape(str(written))}", soft_wrap=True)
    if settled.request.platform == "process":
        from servelab.cli.run import run

        return run(study)
    if written != places.out and (command := submit_command(settled, written)):
        console.print(f"on the cluster, as a Tekton pipeline: {escape(command)}", soft_wrap=True)
    console.print(
        f"the study by itself, on this machine: servelab run {escape(shlex.quote(str(study)))}", soft_wrap=True
    )
    return 0
