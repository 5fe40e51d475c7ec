"""Show coefficients, each with its model's name; and write them as others read them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
from rich.console import Console
from rich.table import Table

from servelab.cli.output import Json, console, print_json
from servelab.perf.forms import Form
from servelab.spec.errors import DocumentError

if TYPE_CHECKING:
    from servelab.perf.parameters import Fit, Parameters


@cyclopts.Parameter(name="*")
@dataclass
class Scaled:
    """What is scaled."""

    name: str | None = None
    """Name of the Deployment and of what scales it; default: from the model's."""
    namespace: Annotated[str, cyclopts.Parameter(name=["--namespace", "-n"])] = "default"
    """Its namespace."""
    model: str | None = None
    """The model as requests name it; default: as measured."""
    accelerator: str = "unknown"
    """Name of the accelerator in the autoscaler's list."""
    accelerators: int = 1
    """How many a replica has."""
    max_batch_size: int | None = None
    """Most requests at once; default: the most that were measured."""
    slo_class: str | None = None
    """CONFIGMAP/KEY of the service class, for a CRD of 2025."""
    cost: float = 10.0
    """Cost of a replica."""
    slo_multiplier: float = 3.0
    """How much slower than alone a step may be, above 1."""


def coefficients(
    file: Path,
    /,
    *,
    form: Annotated[Form | None, cyclopts.Parameter(name=["--as"])] = None,
    scaled: Scaled | None = None,
    slo: Annotated[list[str] | None, cyclopts.Parameter(negative="")] = None,
    json: Json = False,
) -> None:
    """Show the coefficients in a file, each with its model's name; or write them as others read them.

    Parameters
    ----------
    file
        What servelab estimate wrote, or the parameters.json of the estimation pipeline.
    form
        perf-parms: a VariantAutoscaling as the autoscaler read it up to 2026-01; config-map: the targets of today's;
        hpa, scaled-object: today's annotations.
    slo
        A target, as ttft=500ms and itl=50ms; both or none.
    """
    from servelab.perf.forms import Target, form_data, form_text
    from servelab.perf.parameters import file_data, read_parameters

    found = read_parameters(file)
    if form is None:
        if json:
            print_json(file_data(found))
        else:
            print_parameters(found, console)
        return
    given = {name: value for name, value in vars(scaled or Scaled()).items() if value is not None}
    target = Target(**given, slo=_targets(slo or []))
    if json:
        print_json(form_data(form, found, target))
    else:
        sys.stdout.write(form_text(form, found, target))


def _targets(slo: list[str]) -> dict[str, float] | None:
    """Seconds by latency, of words as ``ttft=500ms``."""
    from servelab.spec.base import parse_seconds

    found: dict[str, float] = {}
    for text in slo:
        name, equals, value = text.partition("=")
        try:
            if name not in ("ttft", "itl") or not equals:
                raise ValueError
            found[name] = float(parse_seconds(value))
        except ValueError:
            raise DocumentError((f"{text!r} is no target",), "Write it as ttft=500ms or itl=50ms") from None
    return found or None


def print_parameters(parameters: Parameters, console: Console) -> None:
    """Print every fit: formula, coefficients with intervals, goodness, and where it holds."""
    from servelab.perf.words import FORMULAS, goodness, role

    found = parameters.two_point
    if found is not None:
        console.print(f"ITL_synchronous: {found.itl_synchronous:g} ms")
        console.print(f"ITL_throughput: {found.itl_throughput:g} ms at batch size {found.batch_size:g}")
    if parameters.provenance.simulated:
        console.print("[yellow]simulated: no engine was measured[/]")
    for fit in parameters.fits:
        best = f" [green]({told})[/]" if (told := role(fit, parameters)) else ""
        console.print(f"\n[bold]{fit.model}[/]: {FORMULAS[fit.model]}{best}")
        console.print(_table(fit))
        if good := goodness(fit):
            console.print(f"  {good}")


def _table(fit: Fit) -> Table:
    from servelab.perf.words import rows

    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2))
    for name, value, between in rows(fit):
        table.add_row(f"  {name}", value, f"95 %: {between}" if between else "")
    return table
