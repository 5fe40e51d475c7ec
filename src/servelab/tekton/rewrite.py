"""Changes a parsed template so that what it puts out goes through the environment."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

if TYPE_CHECKING:
    from servelab.tekton.environment import TemplateEnvironment

LINE_OPEN, LINE_CLOSE = "\ue002", "\ue003"
LINE_MARK = re.compile(f"{LINE_OPEN}([0-9]+){LINE_CLOSE}")
_EXPRESSION = re.compile(r"\{\{.*?\}\}")


class Rewriter(NodeTransformer):
    """Each expression that is put out becomes a call of ``out``, or of ``later`` while a name of it is not known.

    Line ends are marked with their number in the template, rounds of loops and macro calls are counted, and
    the joining of strings is watched.
    """

    def __init__(self, environment: TemplateEnvironment) -> None:
        self._environment = environment
        self._captured = 0
        self.statements: list[tuple[frozenset[str], int]] = []

    def visit_Output(self, node: nodes.Output) -> nodes.Output:
        """Text and expressions that are put out."""
        node.nodes = [
            self._text(child) if isinstance(child, nodes.TemplateData) else self._expression(self.visit(child))
            for child in node.nodes
        ]
        return node

    def visit_For(self, node: nodes.For) -> nodes.For:
        """A loop in the template's text."""
        self._note(node.iter, node.lineno)
        self.generic_visit(node)
        node.body.insert(0, self._step(node.lineno))
        return node

    def visit_If(self, node: nodes.If) -> nodes.If:
        """A condition in the template's text."""
        self._note(node.test, node.lineno)
        self.generic_visit(node)
        return node

    def visit_Macro(self, node: nodes.Macro) -> nodes.Macro:
        """A macro; its text may be worked on by filters, so its lines carry no marks."""
        self._visit_captured(node)
        node.body.insert(0, self._step(node.lineno))
        return node

    def _visit_captured(self, node: nodes.Node) -> nodes.Node:
        self._captured += 1
        self.generic_visit(node)
        self._captured -= 1
        return node

    visit_CallBlock = visit_FilterBlock = visit_AssignBlock = _visit_captured

    def visit_Concat(self, node: nodes.Concat) -> nodes.Expr:
        """The ``~`` operator."""
        self.generic_visit(node)
        return self._call("join", [nodes.List(node.nodes)], node.lineno)

    def _visit_collection(self, node: nodes.Expr) -> nodes.Expr:
        self.generic_visit(node)
        return self._call("checked", [node], node.lineno)

    visit_List = visit_Dict = _visit_collection

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Expr:
        """A tuple that is read, or the names that one is assigned to."""
        return self._visit_collection(node) if node.ctx == "load" else node

    def _text(self, node: nodes.TemplateData) -> nodes.TemplateData:
        text = node.data
        if self._environment.deferring and "{{" in text:
            # Only what stands in {% raw %} can still look like an expression: it is for the second pass.
            line = node.lineno
            text = _EXPRESSION.sub(lambda match: self._environment.raw(match[0], line), text)
        if not self._captured and "\n" in text:
            first, *rest = text.split("\n")
            marked = [f"{LINE_OPEN}{node.lineno + index}{LINE_CLOSE}\n{part}" for index, part in enumerate(rest)]
            text = first + "".join(marked)
        return nodes.TemplateData(text, lineno=node.lineno)

    def _expression(self, node: nodes.Expr) -> nodes.Expr:
        line = node.lineno
        out = self._call("out", [node, nodes.Const(line), nodes.Const(_is_given(node))], line)
        names = sorted(names_of(node))
        if not (self._environment.deferring and names):
            return out
        pairs = [nodes.Pair(nodes.Const(name), nodes.Name(name, "load")) for name in names]
        called = node.node.name if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) else None
        waits = self._call("waits", [nodes.Dict(pairs), nodes.Const(called)], line)
        key = self._environment.keep(node, line)
        later = self._call("later", [nodes.Const(key), nodes.Dict(pairs)], line)
        return nodes.CondExpr(waits, later, out, lineno=line)

    def _note(self, node: nodes.Node, line: int) -> None:
        self.statements.append((frozenset(names_of(node)), line))

    def _step(self, line: int) -> nodes.ExprStmt:
        return nodes.ExprStmt(self._call("step", [], line), lineno=line)

    @staticmethod
    def _call(method: str, arguments: list[nodes.Expr], line: int) -> nodes.Call:
        function = nodes.EnvironmentAttribute(method, lineno=line)
        return nodes.Call(function, arguments, [], None, None, lineno=line)


def names_of(node: nodes.Node) -> set[str]:
    """The names that an expression looks up."""
    every = [node, *node.find_all(nodes.Name)]
    return {name.name for name in every if isinstance(name, nodes.Name) and name.ctx == "load"}


def _is_given(node: nodes.Expr) -> bool:
    """Whether the expression only looks a value up, so that a string of it is data and never YAML."""
    if isinstance(node, nodes.Getattr | nodes.Getitem):
        return _is_given(node.node)
    if isinstance(node, nodes.Filter) and node.name in {"default", "d"}:
        return node.node is not None and _is_given(node.node)
    return isinstance(node, nodes.Name)
