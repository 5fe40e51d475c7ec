"""A template and its values, compiled to a Tekton Pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from servelab.tekton.expand import Expanded, Expander
from servelab.tekton.faults import TemplateFault
from servelab.tekton.limits import Meter, bounded_memory, weigh
from servelab.tekton.template import render

SANDBOX_REMEDY = "See docs/cluster.md for the template language."


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
        raise fault.as_error(name, SANDBOX_REMEDY) from None
    except MemoryError:
        raise TemplateFault("it needs more memory than a template may").as_error(name) from None
