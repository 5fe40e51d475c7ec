"""The first pass: a template's text and its values become a tree with loops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from servelab.tekton.blocks import lift_blocks
from servelab.tekton.environment import TemplateEnvironment
from servelab.tekton.faults import TemplateFault, telling_lines
from servelab.tekton.limits import Meter, check_source
from servelab.tekton.loops import loop_variables
from servelab.tekton.rewrite import Rewriter
from servelab.tekton.tree import Node, Tree, read_tree

SECTIONS = ("tasks", "finally")


@dataclass(frozen=True)
class Rendered:
    """A template after the first pass."""

    tree: Tree
    spec: dict[Any, Node]
    """The part of the tree that holds ``tasks`` and ``finally``."""


def render(source: str, values: Mapping[str, Any], meter: Meter) -> Rendered:
    """Render ``source`` with ``values``; what needs loop variables stays behind as slots.

    A loop variable hides a value of the same name, but only where the loop is: the text is then rendered once
    more, with those names left to the second pass.

    Raises:
        TemplateFault: the text is not a template of a pipeline.
    """
    check_source(source, "the template")
    rendered = _render(source, values, meter, hidden=frozenset())
    clashing = _variables(rendered) & values.keys()
    return _render(source, values, meter, frozenset(clashing)) if clashing else rendered


def _render(source: str, values: Mapping[str, Any], meter: Meter, hidden: frozenset[str]) -> Rendered:
    environment = TemplateEnvironment(meter, deferring=True)
    environment.hidden = {name: values[name] for name in hidden}
    with telling_lines():
        program, rewriter = environment.program(lift_blocks(source, environment.slots))
        text = program.render(values)
    tree = read_tree(text, environment.slots)
    rendered = Rendered(tree, _spec(tree.root))
    _check_statements(environment, rewriter, _variables(rendered))
    return rendered


def _spec(root: Node) -> dict[Any, Node]:
    if not isinstance(root, dict):
        kind = "empty" if root is None else "a list" if isinstance(root, list) else "plain text"
        raise TemplateFault(f"the template is to make a Pipeline, it made something that is {kind}")
    spec = root.get("spec")
    if not isinstance(spec, dict):
        raise TemplateFault("the Pipeline has no `spec`")
    for section in SECTIONS:
        if not isinstance(spec.get(section), list | None):
            raise TemplateFault(f"`spec.{section}` is not a list")
    return spec


def _variables(rendered: Rendered) -> set[str]:
    return {name for section in SECTIONS for name in loop_variables(rendered.spec.get(section))}


def _check_statements(environment: TemplateEnvironment, rewriter: Rewriter, variables: set[str]) -> None:
    """Refuse statements that were decided before the loop that defines their variable was expanded."""
    early = environment.decided & variables
    for names, line in rewriter.statements:
        if names & early:
            name = min(names & early)
            raise TemplateFault(
                f"`{name}` is the variable of a loop and not known yet when {{% ... %}} is decided; "
                "write these tasks in a `- __jinja__: |` block of the loop",
                line,
            )
