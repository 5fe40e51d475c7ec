"""Commands about harnesses: install them, list them, and read what they left elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from servelab.cli.output import Json, console, notes, print_json
from servelab.spec.errors import DocumentError

if TYPE_CHECKING:
    from servelab.spec.report import Report

app = cyclopts.App(name="harness", help="Install the field's own load generators, and see which are here.")

WIDEST = 1000
SHOWN = ("ttft_p50", "ttft_p99", "itl_mean", "tpot_mean", "e2e_mean", "output_throughput", "request_throughput")


@app.command
def install(*names: str, json: Json = False) -> None:
    """Install harnesses, each into an environment of its own under the cache directory.

    Parameters
    ----------
    names
        What to install; see servelab harness list.
    """
    from servelab.harnesses.external.environments import install as make
    from servelab.harnesses.external.recipes import recipe

    wanted = [recipe(name) for name in names]
    done = []
    for one in wanted:
        with notes.status(f"installing {one.label} (about {one.megabytes} MB)") as status:

            def say(text: str, name: str = one.name) -> None:
                if notes.is_terminal:
                    status.update(f"{name}: {escape(text)}")
                elif not text.startswith("package "):
                    notes.print(f"{name}: {escape(text)}", soft_wrap=True)

            done.append(make(one, say))
    if json:
        print_json([{"name": d.recipe.name, "version": d.version, "program": str(d.program)} for d in done])
        return
    for made in done:
        console.print(f"{made.recipe.label} is ready: use it in a study as harness: {{name: {made.recipe.name}}}")


@app.command(name="list")
def list_(*, json: Json = False) -> None:
    """Show which harnesses there are, which are installed, and what Python each needs."""
    from servelab.harnesses.external.environments import find
    from servelab.harnesses.external.recipes import RECIPES

    rows = [(one, find(one)) for one in RECIPES.values()]
    if json:
        print_json(
            [
                {
                    "name": one.name,
                    "pinned": one.version,
                    "pythons": one.pythons,
                    "megabytes": one.megabytes,
                    "installed": None if here is None else here.version,
                    "program": None if here is None else str(here.program),
                }
                for one, here in rows
            ]
        )
        return
    table = Table(box=None, pad_edge=False)
    for column in ("harness", "tested with", "Python", "size", "here"):
        table.add_column(column)
    for one, here in rows:
        place = "-" if here is None else f"{here.version}{'' if here.own else f' on PATH ({here.program})'}"
        needs = (f"comes with {one.part_of}", "") if one.part_of else (" ".join(one.pythons), f"{one.megabytes} MB")
        table.add_row(one.name, one.version, *needs, escape(place))
    console.print(table)


def import_report(
    *files: Annotated[Path, cyclopts.Parameter(help="Results of guidellm, inference-perf, ...")], json: Json = False
) -> None:
    """Read the results of other load generators, and print them in servelab's terms.

    Parameters
    ----------
    files
        What they wrote, JSON; which of them it was is recognised.
    """
    from servelab.harnesses.external.importing import import_reports, is_beside

    if not files:
        raise DocumentError(("no file is given",), "Name what a load generator wrote: servelab import-report FILE...")
    found: list[tuple[Path, Report]] = []
    faults: list[str] = []
    remedy = ""
    for file in files:
        if len(files) > 1 and is_beside(file):
            continue
        try:
            found += [(file, report) for report in import_reports(file)]
        except DocumentError as error:
            faults += error.problems
            remedy = error.remedy or remedy
    if json:
        print_json([{"file": str(file), "report": report} for file, report in found])
    elif found:
        _print_imported(found)
    if faults:
        raise DocumentError(tuple(faults), remedy)


def _print_imported(found: Sequence[tuple[Path, Report]]) -> None:
    from servelab.spec.metrics import format_metric

    names = _told_apart([file for file, _ in found])
    table = Table(box=None, pad_edge=False)
    for column in ("file", "harness", "load"):
        table.add_column(column, no_wrap=True)
    for column in ("requests", "failed", *SHOWN):
        table.add_column(column.replace("_", " "), justify="right")
    for file, report in found:
        made = report.provenance
        harness = made.harness if made.harness_version == "unknown" else f"{made.harness} {made.harness_version}"
        counts = (str(report.requests), str(sum(report.errors.values())))
        figures = (format_metric(name, report.metrics.get(name)) for name in SHOWN)
        table.add_row(escape(names[file]), harness, report.load.label, *counts, *figures)
    # Figures that are broken in two cannot be read: the table is as wide as it must be.
    wide = Console(highlight=False, width=WIDEST)
    wide.width = max(console.width, Measurement.get(wide, wide.options, table).maximum)
    wide.print(table)
    for file, report in found:
        for warning in report.warnings:
            notes.print(f"[yellow]{escape(names[file])}, {report.load.label}:[/] {escape(warning)}", soft_wrap=True)


def _told_apart(files: Sequence[Path]) -> dict[Path, str]:
    """Each file's name, with as many of the directories above it as tell it from the others."""
    several = set(files)
    for parts in range(1, max(len(file.parts) for file in several)):
        names = {file: "/".join(file.parts[-parts:]) for file in several}
        if len(set(names.values())) == len(several):
            return names
    return {file: str(file) for file in several}
