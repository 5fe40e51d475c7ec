"""Commands for writing studies: validate, plan, schema."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.markup import escape

from servelab.catalog.study import load_study
from servelab.cli.lines import parameters_text
from servelab.cli.output import Json, console, notes, print_json, read_text
from servelab.spec.study import Study


def validate(study: Path, *, json: Json = False) -> None:
    """Check a study document: form, catalog, plug-ins. Starts nothing.

    Parameters
    ----------
    study
        The study, YAML or JSON; - reads standard input.
    """
    from servelab.lab.validate import require_valid

    loaded = load_study(read_text(study), str(study))
    warnings = require_valid(loaded)
    if json:
        print_json({"valid": True, "warnings": warnings, "study": loaded})
        return
    for warning in warnings:
        notes.print(f"[yellow]warning:[/] {escape(warning)}")
    console.print(f"{escape(str(study))}: a valid study, [bold]{loaded.name}[/]")


def plan(study: Path, *, json: Json = False) -> None:
    """Show what a study would do: number of trials, first configurations, commands, time.

    Parameters
    ----------
    study
        The study, YAML or JSON; - reads standard input.
    """
    from servelab.catalog.written import document_text
    from servelab.lab.plan import make_plan
    from servelab.lab.validate import require_valid

    loaded = load_study(read_text(study), str(study))
    require_valid(loaded)
    made = make_plan(loaded)
    if json:
        print_json(made)
        return
    console.print(f"[bold]{loaded.name}[/]: {made.trials} trials, then {made.verification_trials} to verify the best")
    at_most = "at most " if loaded.load.saturation or loaded.load.estimate else ""
    console.print(f"  {at_most}{made.measurements_per_trial} measurement(s) of each, engine up throughout")
    if made.load_seconds is not None:
        console.print(f"  at most {made.load_seconds / 60:.0f} minutes under load, engine starts not counted")
    else:
        why = "its load levels are found out" if made.adaptive else "the load is given in requests"
        console.print(f"  its length depends on the engine's speed, since {why}")
    if made.prior:
        console.print(f"  step times and memory are foretold by {escape(made.prior)}")
    for planned in made.first:
        console.print(f"\n  [bold]{escape(parameters_text(planned.parameters))}[/]")
        console.print(f"  {escape(shlex.join(planned.command)) or '(the endpoint runs already)'}", soft_wrap=True)
    if made.first and made.first[0].manifest is not None:
        console.print("\n[bold]what the cluster gets for the first[/]")
        console.print(document_text(made.first[0].manifest), markup=False, soft_wrap=True)


def schema() -> None:
    """Print the JSON Schema of a study, for editors and other programs."""
    print_json(Study.model_json_schema())
