"""The command that converts an llm-d guide."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import cyclopts
from rich.markup import escape

from servelab.cli.output import Json, notes, print_json

if TYPE_CHECKING:
    from servelab.guides.convert import Conversion

EXIT_NO_MODEL = 1
Flag = Annotated[bool, cyclopts.Parameter(negative="")]


def convert(
    guide: str,
    *words: str,
    format: Literal["legacy", "declarative", "both"] = "legacy",
    variant: str = "",
    name: str = "",
    out: Path = Path(),
    write: Flag = False,
    yes: Flag = False,
    explicit: Flag = False,
    experiment: Flag = False,
    json: Json = False,
) -> int:
    """Convert an llm-d guide into a benchmark scenario and, where something varies, an experiment.

    Parameters
    ----------
    guide
        A guide's directory, a Helm values file, a kustomization, or the address of one on GitHub or elsewhere.
    words
        with HARNESS PROFILE varying PARAM from A to B step S varying PARAM in V1,V2
    format
        The shell scenario of llm-d-benchmark, today's declarative one, or both.
    variant
        Which hardware or environment, where the guide has several: amd, xpu, gke, …
    name
        Name of the files; default: the guide's.
    out
        The directory of llm-d-benchmark, in which scenarios/ and experiments/ are.
    write
        Write the files without printing them.
    yes
        Print the files and write them without asking.
    explicit
        Write values that are llm-d-benchmark's default too, and mark them.
    experiment
        Write an experiment even where nothing varies.
    """
    from servelab.guides.convert import convert as converted
    from servelab.guides.words import read_words

    made = converted(
        guide,
        read_words(words),
        variant=variant,
        name=name,
        form=format,
        explicit=explicit,
        with_experiment=experiment,
    )
    if made.treatments and not json:
        notes.print(f"The experiment has {made.treatments:,} treatments.")
    if json:
        _print_json(made)
    elif not write:
        _print(made)
    _warn(made)
    if write or yes or (not json and _agreed()):
        _write(made, out)
    return 0 if made.runnable else EXIT_NO_MODEL


def _print(made: Conversion) -> None:
    for file in made.files:
        sys.stdout.write(f"=== Generated {file.kind} File ===\nFile: {file.path}\n\n{file.text}\n")
    sys.stdout.flush()


def _print_json(made: Conversion) -> None:
    print_json(
        {
            "name": made.config.name,
            "variant": made.config.variant,
            "variants": made.variants,
            "model": made.config.model_id or None,
            "sources": made.config.files,
            "treatments": made.treatments,
            "warnings": made.warnings,
            "files": [{"path": file.path, "kind": file.kind.lower(), "text": file.text} for file in made.files],
        }
    )


def _warn(made: Conversion) -> None:
    for warning in made.warnings:
        notes.print(f"[yellow]warning:[/] {escape(warning)}", soft_wrap=True)
    others = [one for one in made.variants if one != made.variant]
    if others:
        notes.print(f"This is the variant {escape(made.variant or 'default')}; others: {escape(', '.join(others))}")


def _agreed() -> bool:
    try:
        answer = input("Would you like me to write these files? (yes/no) ")
    except EOFError:
        sys.stdout.write("\n")
        return False
    return answer.strip().lower() in ("y", "yes")


def _write(made: Conversion, out: Path) -> None:
    from servelab.guides.convert import write

    for path in write(made, out):
        notes.print(f"wrote {escape(str(path))}", soft_wrap=True)
    scenario = made.files[0].path
    if scenario.endswith(".sh"):
        notes.print(f"Run it in llm-d-benchmark with: ./setup/standup.sh -c {escape(scenario)}", soft_wrap=True)
