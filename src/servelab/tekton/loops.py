"""Loop nodes: one round for each combination of their domain's values."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from servelab.tekton.faults import Binding, TemplateFault
from servelab.tekton.limits import MAX_TASKS
from servelab.tekton.slots import Scope
from servelab.tekton.tree import Node, Tree

_FIELDS = ("loopName", "foreach", "tasks")


@dataclass(frozen=True)
class Loop:
    """``loopName``, ``foreach.domain``, ``vars`` and the ``tasks`` of each round."""

    name: str
    domain: Node
    variables: Mapping[str, Node]
    tasks: list[Node]
    line: int | None

    def rounds(self, tree: Tree, scope: Scope) -> Iterator[tuple[Binding, Scope]]:
        """Each combination of the domain's values, the last key (in alphabetical order) fastest, and its scope.

        Raises:
            TemplateFault: the domain is not lists of values, or there are too many combinations.
        """
        domain = tree.resolve(self.domain, scope)
        if not isinstance(domain, dict):
            raise TemplateFault(f"foreach.domain of loop `{self.name}` is not a mapping of variables", self.line)
        names = sorted(domain, key=str)
        lists = [self._values(name, domain[name]) for name in names]
        count = math.prod(len(values) for values in lists)
        if count > MAX_TASKS:
            message = f"loop `{self.name}` has {count:,} combinations of values, more than {MAX_TASKS:,}"
            raise TemplateFault(message, self.line)
        for combination in itertools.product(*lists):
            binding = Binding(self.name, dict(zip(names, combination, strict=True)))
            yield binding, self._scope(tree, scope, binding)

    def _values(self, name: str, values: Any) -> list[Any]:
        if isinstance(values, list | tuple | dict):
            return list(values)
        kind = "nothing" if values is None else "text" if isinstance(values, str) else f"the value {values!r}"
        hint = "; take the quotes away" if isinstance(values, str) and values.startswith("[") else ""
        message = f"foreach.domain.{name} of loop `{self.name}` is {kind}, a list was expected{hint}"
        raise TemplateFault(message, self.line)

    def _scope(self, tree: Tree, outer: Scope, binding: Binding) -> Scope:
        scope = {**outer, **binding.variables}
        try:
            for name, node in self.variables.items():
                scope[name] = tree.resolve(node, scope)
        except TemplateFault as fault:
            fault.line = fault.line or self.line
            fault.loops.insert(0, binding)
            raise
        return scope


def is_loop(node: Node) -> bool:
    """Whether a node of a task list is meant as a loop."""
    return isinstance(node, dict) and ("loopName" in node or "foreach" in node)


def read_loop(node: dict[Any, Node], tree: Tree) -> Loop:
    """The loop that ``node`` describes.

    Raises:
        TemplateFault: a part of it is missing or of the wrong kind.
    """
    line = tree.line(node)
    name = node.get("loopName")
    called = f"loop `{name}`" if isinstance(name, str) else "this loop"
    for field in _FIELDS:
        if field not in node:
            raise TemplateFault(f"{called} has no `{field}`", line)
    if not isinstance(node["foreach"], dict) or "domain" not in node["foreach"]:
        raise TemplateFault(f"{called} has no `foreach.domain`", line)
    if not isinstance(node["tasks"], list):
        raise TemplateFault(f"the tasks of {called} are not a list; are they indented below `tasks:`?", line)
    variables = node.get("vars") or {}
    if not isinstance(variables, dict):
        raise TemplateFault(f"the vars of {called} are not a mapping", line)
    return Loop(str(name), node["foreach"]["domain"], variables, node["tasks"], line)


def loop_variables(node: Node) -> Iterator[str]:
    """The names that the loops in a task list define, nested ones too."""
    for child in node if isinstance(node, list) else ():
        if is_loop(child):
            foreach = child.get("foreach")
            domain = foreach.get("domain") if isinstance(foreach, dict) else None
            for names in (domain, child.get("vars")):
                yield from (str(name) for name in (names if isinstance(names, dict) else ()))
            yield from loop_variables(child.get("tasks"))
