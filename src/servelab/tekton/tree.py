"""Rendered text as a tree of plain data, slots in the places where values come later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

from servelab.tekton.faults import TemplateFault
from servelab.tekton.limits import MAX_OUTPUT, weigh
from servelab.tekton.rewrite import LINE_MARK
from servelab.tekton.slots import Pieces, Scope, Slots, Whole, scalar

Node: TypeAlias = Any
"""A dict, list, scalar, Whole or Pieces."""

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class Tree:
    """The data of a rendered text, its slots, and the template line of each mapping in it."""

    root: Node
    slots: Slots
    lines: dict[int, int] = field(default_factory=dict)
    fixed: dict[int, bool] = field(default_factory=dict)
    weights: dict[int, tuple[int, tuple[Node, ...]]] = field(default_factory=dict)

    def line(self, node: Node) -> int | None:
        """The line on which ``node``, a mapping, begins in the template."""
        return self.lines.get(id(node))

    def resolve(self, node: Node, scope: Scope) -> Any:
        """``node`` with its slots filled; what has none is shared and not copied.

        Raises:
            TemplateFault: a slot has no value.
        """
        if isinstance(node, Whole | Pieces):
            return node.value(self.slots, scope)
        if not isinstance(node, dict | list) or self._is_fixed(node):
            return node
        if isinstance(node, list):
            return [self.resolve(child, scope) for child in node]
        return {self._key(key, scope): self.resolve(child, scope) for key, child in node.items()}

    def weight(self, node: Node) -> int:
        """About how many characters ``node`` has, with what its slots are known to have."""
        known = self.weights.get(id(node))
        if known is None:
            leaves: list[Node] = []
            known = self.weights[id(node)] = (_fixed_weight(node, leaves), tuple(leaves))
        own, slots = known
        total: int = own + sum(leaf.weight(self.slots) for leaf in slots)
        return total

    def _key(self, key: Any, scope: Scope) -> Any:
        found = key.value(self.slots, scope) if isinstance(key, Whole | Pieces) else key
        if isinstance(found, dict | list):
            raise TemplateFault("the name of a field is a list or a mapping")
        return found

    def _is_fixed(self, node: Node) -> bool:
        if isinstance(node, Whole | Pieces):
            return False
        if not isinstance(node, dict | list):
            return True
        known = self.fixed.get(id(node))
        if known is None:
            children = [*node, *node.values()] if isinstance(node, dict) else node
            known = self.fixed[id(node)] = all(self._is_fixed(child) for child in children)
        return known


def _fixed_weight(node: Node, slots: list[Node]) -> int:
    """The weight of what is written in the template; the slots in it are put into ``slots``."""
    if isinstance(node, Whole | Pieces):
        slots.append(node)
        return 4
    if isinstance(node, dict):
        return 4 + sum(_fixed_weight(part, slots) for pair in node.items() for part in pair)
    if isinstance(node, list):
        return 4 + sum(_fixed_weight(child, slots) for child in node)
    return 4 + (len(node) if isinstance(node, str) else 8)


class _Loader(_Base):  # type: ignore[misc]
    lines: dict[int, int]


def _scalar(loader: _Loader, node: yaml.ScalarNode) -> Any:
    del loader
    return scalar(node.value, plain=not node.style)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> Iterator[dict[Any, Any]]:
    data: dict[Any, Any] = {}
    loader.lines[id(data)] = node.start_mark.line
    yield data
    data.update(loader.construct_mapping(node))


def _text(loader: _Loader, node: yaml.ScalarNode) -> str:
    del loader
    return str(node.value)


_Loader.add_constructor("tag:yaml.org,2002:str", _scalar)
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _text)
_Loader.add_constructor("tag:yaml.org,2002:binary", _text)


def read_tree(rendered: str, slots: Slots, offset: int = 0) -> Tree:
    """Read text whose line ends carry marks; ``offset`` is the number of template lines before it.

    Raises:
        TemplateFault: it is not one YAML document.
    """
    text, lines = _without_marks(rendered)
    loader = _Loader(text)
    loader.lines = {}
    try:
        root = loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = lines[min(mark.line, len(lines) - 1)] + offset if mark else None
        raise TemplateFault(f"after rendering this is not YAML: {error.problem or error.context}", line) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise TemplateFault(f"after rendering this is not YAML: {str(error).splitlines()[0]}") from None
    finally:
        loader.dispose()
    # Only anchors make more of a text than it has characters, or something that contains itself.
    if "*" in text and "&" in text and weigh(root, {}) > MAX_OUTPUT:
        raise TemplateFault(f"after rendering this has more than {MAX_OUTPUT:,} characters")
    return Tree(root, slots, {key: lines[line] + offset for key, line in loader.lines.items() if line < len(lines)})


def _without_marks(rendered: str) -> tuple[str, list[int]]:
    """The text without marks, and for each of its lines the template's line, from 1."""
    lines, number, clean = [], 1, []
    for line in rendered.split("\n"):
        marks = LINE_MARK.findall(line)
        lines.append(int(marks[0]) if marks else number)
        # The mark stands before the line's end: what follows is the next line of the template.
        number = int(marks[-1]) + 1 if marks else number
        clean.append(LINE_MARK.sub("", line) if marks else line)
    return "\n".join(clean), lines
