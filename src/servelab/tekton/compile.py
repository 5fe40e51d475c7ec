"""A template and its values, compiled to a Tekton Pipeline and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from servelab.spec.errors import DocumentError
from servelab.tekton.check.check import check_objects, without_echoes
from servelab.tekton.check.known import Known
from servelab.tekton.check.problem import Problem
from servelab.tekton.expand import Expanded, Expander
from servelab.tekton.faults import TemplateFault
from servelab.tekton.limits import Meter, bounded_memory, weigh
from servelab.tekton.template import render

MAX_SHOWN = 40
TEMPLATE_REMEDY = "See docs/cluster.md for the template language."
CHECK_REMEDY = "Tekton would refuse this; --no-validate writes it all the same."


def compile_template(source: str, values: Mapping[str, Any], name: str = "the template") -> Expanded:
    """Render and expand the template text ``source``; ``name`` stands in messages.

    Raises:
        DocumentError: with the template's line, and the loop.
    """
    meter = Meter()
    try:
        with bounded_memory():
            weigh(dict(values), meter.weights)
            return Expander(meter).expand(render(source, values, meter), values)
    except TemplateFault as fault:
        raise fault.as_error(name, TEMPLATE_REMEDY) from None
    except MemoryError:
        raise TemplateFault("it needs more memory than a template may").as_error(name) from None


def require_valid(compiled: Expanded, known: Known | None = None, name: str = "the template") -> None:
    """Check a compiled pipeline; ``known`` are the Tasks and StepActions that exist, where that is known.

    Raises:
        DocumentError: one line for each thing that Tekton would refuse, with the template's line and the loop.
    """
    problems = check_objects([compiled.document], known)
    if problems:
        lines = [_told(problem, compiled, name) for problem in without_echoes(problems)]
        raise DocumentError(shortened(lines), CHECK_REMEDY)


def shortened(lines: Sequence[str]) -> tuple[str, ...]:
    """The first lines, and how many more there are."""
    more = len(lines) - MAX_SHOWN
    return (*lines[:MAX_SHOWN], f"... and {more} more") if more > 0 else tuple(lines)


def _told(problem: Problem, compiled: Expanded, name: str) -> str:
    match problem.path:
        case ("spec", ("tasks" | "finally") as section, int(index), *_) if problem.subject.startswith("Pipeline "):
            origin = compiled.origins[section][index]
            where = f"{name}:{origin.line}" if origin.line else name
            return f"{where}: {problem}{origin}"
    return f"{name}: {problem}"
