"""Values files, and what a PipelineRun changes in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from servelab.spec.errors import DocumentError
from servelab.tekton.check.run import COMPILED
from servelab.tekton.faults import TemplateFault
from servelab.tekton.limits import check_source
from servelab.tekton.slots import Slots
from servelab.tekton.tree import read_tree


def read_mapping(text: str, source: str) -> dict[str, Any]:
    """The mapping that a YAML or JSON text holds; empty text is an empty mapping.

    Raises:
        DocumentError: it is something else.
    """
    try:
        check_source(text, "the file")
        data = read_tree(text, Slots()).root
    except TemplateFault as fault:
        fault.message = fault.message.replace("after rendering ", "")
        raise fault.as_error(source) from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise DocumentError((f"{source}: a mapping was expected, this is {type(data).__name__}",))
    for key in data:
        if not isinstance(key, str):
            raise DocumentError((f"{source}: the name of a value is text, not {key!r}; put it in quotes",))
    return data


def at(values: Any, *path: str) -> Any:
    """What lies at a path of names; None where it leads nowhere."""
    for name in path:
        values = values.get(name) if isinstance(values, Mapping) else None
    return values


def with_run(values: Mapping[str, Any], run: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The values with the parameters ``stack`` and ``workload`` of a PipelineRun merged into them.

    Raises:
        DocumentError: the PipelineRun's parameters are not a list of names and values.
    """
    spec = run.get("spec") or {}
    parameters = spec.get("params") or [] if isinstance(spec, dict) else None
    if not isinstance(parameters, list):
        raise DocumentError((f"{source}: spec.params is not a list",))
    merged = dict(values)
    for parameter in parameters:
        if not isinstance(parameter, dict) or "name" not in parameter:
            raise DocumentError((f"{source}: a parameter of spec.params has no name",))
        if parameter["name"] in COMPILED:
            name = str(parameter["name"])
            merged[name] = _merge(merged.get(name), parameter.get("value"))
    return merged


def _merge(base: Any, change: Any) -> Any:
    """Mappings are merged field by field; anything else is replaced."""
    if not (isinstance(base, dict) and isinstance(change, dict)):
        return change
    return {**base, **{name: _merge(base.get(name), value) for name, value in change.items()}}
