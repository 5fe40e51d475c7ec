"""Show coefficients, each with its model's name; and write them as others read them."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import cyclopts
from rich.console import Console
from rich.table import Table

from servelab.cli.output import Json, console, print_json
from servelab.spec.errors import DocumentError

if TYPE_CHECKING:
    from servelab.perf.parameters import Coefficient, Fit, Parameters

FORMULAS = {
    "linear-batch": "ITL = alpha + beta * batch",
    "knee-batch": "ITL = alpha + beta * batch + bend * max(0, batch - knee)",
    "saturating-batch": "ITL = alpha + rise * batch / (half + batch)",
    "linear-prefill": "TTFT = gamma + delta * prompt tokens * batch",
    "tokenwise": "step = alpha + batch * (beta * tokens computed + gamma * tokens read)",
    "step-time": "step = base + prefill * prompt tokens + decode * batch + context * tokens read",
    "blis": "step = coefficients * roofline",
}


Form = Literal["perf-parms", "config-map", "hpa", "scaled-object"]

HEADERS = {
    "perf-parms": "# Read by the Workload Variant Autoscaler up to 2026-01; today's has no modelProfile.\n"
    "# alpha and beta are of linear-batch, gamma and delta of linear-prefill, in ms.\n",
    "config-map": "# For the queueing-model analyzer of the Workload Variant Autoscaler, since 2026. It learns the\n"
    "# coefficients of tokenwise by itself, and takes targets, in ms.\n",
    "hpa": "# Apply with: kubectl patch hpa NAME --type merge --patch-file FILE\n",
    "scaled-object": "# Apply with: kubectl patch scaledobject NAME --type merge --patch-file FILE\n",
}


def coefficients(
    file: Path,
    /,
    *,
    form: Annotated[Form | None, cyclopts.Parameter(name=["--as"])] = None,
    name: str | None = None,
    namespace: Annotated[str, cyclopts.Parameter(name=["--namespace", "-n"])] = "default",
    model: str | None = None,
    accelerator: str = "unknown",
    accelerators: int = 1,
    max_batch_size: int | None = None,
    slo_class: str | None = None,
    cost: float = 10.0,
    slo_multiplier: float = 3.0,
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
    name
        Name of the Deployment and of what scales it; default: from the model's.
    namespace
        Its namespace.
    model
        The model as requests name it; default: as measured.
    accelerator
        Name of the accelerator in the autoscaler's list.
    accelerators
        How many a replica has.
    max_batch_size
        Most requests at once; default: the most that were measured.
    slo_class
        CONFIGMAP/KEY of the service class, for a CRD of 2025.
    cost
        Cost of a replica.
    slo_multiplier
        How much slower than alone a step may be, above 1.
    slo
        A target, as ttft=500ms and itl=50ms; both or none.
    """
    from servelab.perf.autoscaler import Variant, annotated, config_map, variant_autoscaling
    from servelab.perf.parameters import file_data, read_parameters
    from servelab.perf.text import yaml_text

    found = read_parameters(file)
    if form is None:
        if json:
            print_json(file_data(found))
        else:
            print_parameters(found, console)
        return
    served = model or found.workload.model or ""
    if not served:
        raise DocumentError((f"{file} does not say which model was measured",), "Give it: --model ID")
    variant = Variant(
        model=served,
        name=_object_name(name or served),
        namespace=_object_name(namespace),
        accelerator=accelerator,
        accelerators=accelerators,
        max_batch_size=max_batch_size,
        slo_class=_slo_class(slo_class),
        cost=cost,
    )
    made = {
        "perf-parms": lambda: variant_autoscaling(found, variant),
        "config-map": lambda: config_map(found, variant, slo_multiplier, _targets(slo or [])),
        "hpa": lambda: annotated(variant),
        "scaled-object": lambda: annotated(variant, "ScaledObject"),
    }[form]()
    if json:
        print_json(made)
    else:
        sys.stdout.write(HEADERS[form] + yaml_text(made))


def _object_name(text: str) -> str:
    """A DNS label of a name or of a model's id."""
    made = re.sub(r"[^a-z0-9]+", "-", text.lower().rsplit("/", 1)[-1])[:50].strip("-")
    if not made:
        raise DocumentError((f"{text!r} makes no name of a Kubernetes object",), "Give one: --name llama-8b")
    return made


def _slo_class(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    name, slash, key = text.partition("/")
    if not (name and slash and key):
        raise DocumentError((f"{text!r} is no service class",), "Write it as CONFIGMAP/KEY")
    return name, key


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
    found = parameters.two_point
    if found is not None:
        console.print(f"ITL_synchronous: {found.itl_synchronous:g} ms")
        console.print(f"ITL_throughput: {found.itl_throughput:g} ms at batch size {found.batch_size:g}")
    if parameters.provenance.simulated:
        console.print("[yellow]simulated: no engine was measured[/]")
    for fit in parameters.fits:
        console.print(f"\n[bold]{fit.model}[/]: {FORMULAS[fit.model]}{_role(fit, parameters)}")
        console.print(_table(fit))
        if told := _goodness(fit):
            console.print(f"  {told}")


def _table(fit: Fit) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2))
    for name, one in fit.values.items():
        low_high = one.interval
        span = f"95 %: {_shown(low_high[0], one)} to {_shown(low_high[1], one)}" if low_high else ""
        table.add_row(f"  {name}", _shown(one.value, one), span)
    return table


def _shown(value: float, one: Coefficient) -> str:
    from servelab.perf.parameters import in_milliseconds

    return in_milliseconds(value, one.unit)


def _role(fit: Fit, parameters: Parameters) -> str:
    rivals = sum("batch" in one.model for one in parameters.fits)
    return " [green](best for ITL)[/]" if rivals > 1 and fit.model == parameters.decode else ""


def _goodness(fit: Fit) -> str:
    parts = []
    good = fit.goodness
    if good is not None and good.points > 2:
        parts.append(f"{good.points} measurements")
        parts += [f"error {good.mape:.1%}"] if good.mape is not None else []
        parts += [f"R² {good.r_squared:.3f}"] if good.r_squared is not None else []
        parts += [f"AICc {good.aicc:.1f}"] if good.aicc is not None else []
    if "batch" in fit.valid:
        span = fit.valid["batch"]
        parts.append(f"measured from {span.low:.3g} to {span.high:.3g} requests at once")
    return ", ".join(parts)
