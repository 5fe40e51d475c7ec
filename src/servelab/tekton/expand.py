"""The second pass: loops are expanded, and the slots of each task are filled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from jinja2 import Template

from servelab.tekton.blocks import Block
from servelab.tekton.environment import TemplateEnvironment
from servelab.tekton.faults import Binding, TemplateFault, telling_lines
from servelab.tekton.limits import Meter
from servelab.tekton.loops import is_loop, read_loop
from servelab.tekton.slots import Scope, Slots
from servelab.tekton.template import SECTIONS, Rendered
from servelab.tekton.tree import Node, Tree, read_tree

Loops: TypeAlias = tuple[Binding, ...]
"""The rounds of the loops around something, from the outermost in."""

MAX_DEPTH = 32
MAX_TREES = 64  # texts of blocks that are kept as trees
BLOCK = "__jinja__"


@dataclass(frozen=True)
class Origin:
    """Where a task comes from: the template's line, and the rounds of the loops around it."""

    line: int | None
    loops: Loops = ()

    def __str__(self) -> str:
        return "".join(f", in {binding}" for binding in reversed(self.loops))


@dataclass(frozen=True)
class Expanded:
    """A pipeline without loops, and the origin of each task by section."""

    document: dict[str, Any]
    origins: Mapping[str, tuple[Origin, ...]]


class Expander:
    """Expands the loops of one pipeline."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._environment = TemplateEnvironment(meter, deferring=False)
        self._programs: dict[Block, Template] = {}
        self._trees: dict[str, Tree] = {}

    def expand(self, rendered: Rendered, values: Scope) -> Expanded:
        """The whole pipeline.

        Raises:
            TemplateFault: a loop or a task cannot be expanded.
        """
        tree, root = rendered.tree, rendered.tree.root
        sections: dict[str, list[Any]] = {}
        origins: dict[str, tuple[Origin, ...]] = {}
        for section in SECTIONS:
            if section in rendered.spec:
                made = list(self._tasks(rendered.spec[section] or [], tree, values, ()))
                sections[section] = [task for task, _ in made]
                origins[section] = tuple(origin for _, origin in made)
        spec = {
            key: sections[key] if key in sections else tree.resolve(node, values) for key, node in rendered.spec.items()
        }
        document = {key: spec if key == "spec" else tree.resolve(node, values) for key, node in root.items()}
        return Expanded(document, origins)

    def _tasks(self, nodes: list[Node], tree: Tree, scope: Scope, loops: Loops) -> Iterator[tuple[Any, Origin]]:
        if len(loops) > MAX_DEPTH:
            raise TemplateFault(f"loops are nested deeper than {MAX_DEPTH}")
        for node in nodes:
            if is_loop(node):
                yield from self._rounds(node, tree, scope, loops)
            elif isinstance(node, dict) and BLOCK in node:
                with _telling_loops(tree.line(node), loops):
                    items, inner = self._block(node, tree, scope)
                yield from self._tasks(items, inner, scope, loops)
            else:
                line = tree.line(node)
                with _telling_loops(line, loops):
                    yield self._task(node, tree, scope), Origin(line, loops)

    def _rounds(self, node: Node, tree: Tree, scope: Scope, loops: Loops) -> Iterator[tuple[Any, Origin]]:
        with _telling_loops(tree.line(node), loops):
            loop = read_loop(node, tree)
            rounds = loop.rounds(tree, scope)
            for binding, inner in rounds:
                self._meter.step()
                yield from self._tasks(loop.tasks, tree, inner, (*loops, binding))

    def _task(self, node: Node, tree: Tree, scope: Scope) -> Any:
        self._meter.add_task(tree.weight(node))
        return tree.resolve(node, scope)

    def _block(self, node: dict[Any, Node], tree: Tree, scope: Scope) -> tuple[list[Node], Tree]:
        if len(node) > 1:
            others = ", ".join(str(key) for key in node if key != BLOCK)
            raise TemplateFault(f"beside `{BLOCK}` nothing may stand in an item of a task list, here {others}")
        body, line = node[BLOCK], tree.line(node) or 1
        block = tree.resolve(body, scope)
        if isinstance(block, str):
            block = Block(block, line - 1)
        if not isinstance(block, Block):
            raise TemplateFault(f"`{BLOCK}` is not a text; write `{BLOCK}: |` and the tasks below it")
        inner = self._rendered(block, scope)
        items = inner.root if inner.root is not None else []
        if not isinstance(items, dict | list):
            raise TemplateFault(f"`{BLOCK}` makes plain text; it is to make a task or a list of tasks")
        return items if isinstance(items, list) else [items], inner

    def _rendered(self, block: Block, scope: Scope) -> Tree:
        """The tree that a block makes; texts that differ only in the values of their slots are read once."""
        slots = Slots()
        self._environment.slots, self._environment.offset = slots, block.offset
        with telling_lines(block.offset):
            text = self._program(block).render(scope)
            known = self._trees.get(text)
            if known is None:
                if len(self._trees) >= MAX_TREES:
                    self._trees.clear()
                known = self._trees[text] = read_tree(text, slots, block.offset)
        return replace(known, slots=slots)

    def _program(self, block: Block) -> Template:
        known = self._programs.get(block)
        if known is None:
            known = self._programs[block] = self._environment.program(block.text)[0]
        return known


@contextmanager
def _telling_loops(line: int | None, loops: Loops) -> Iterator[None]:
    """Add to a fault from within where it is."""
    try:
        yield
    except TemplateFault as fault:
        fault.line = fault.line or line
        fault.loops = fault.loops if fault.told else [*loops, *fault.loops]
        fault.told = True
        raise
