"""The sandbox in which templates are rendered, in two passes.

The first pass knows the values and not the variables of loops. An expression that needs a name which is not known
yet leaves a slot behind, and is computed when its loop is expanded.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, nodes
from jinja2.runtime import Context, LoopContext, Macro, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from servelab.tekton.faults import TemplateFault
from servelab.tekton.filters import bounded_range, dns, enumerate_list, slug, tojson
from servelab.tekton.limits import MAX_TEXT, Meter, weigh
from servelab.tekton.plain import is_plain_word, reads_back, typed
from servelab.tekton.rewrite import Rewriter, names_of
from servelab.tekton.slots import JsonText, Known, Slots, Word, text_of
from servelab.tekton.waiting import Absent, Later, Missing, Raw

MAX_NUMBER_ARGUMENT = 10_000
MAX_POWER = 1024
_LOOP_FIELDS = ("index", "index0", "first", "last", "length", "revindex", "revindex0", "depth")


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """The template language: Jinja with our filters, without loaders, within limits."""

    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def __init__(self, meter: Meter, deferring: bool) -> None:
        absent = type("Absent", (Absent,), {"__slots__": (), "decided": set()})
        super().__init__(undefined=absent if deferring else StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        self.meter = meter
        self.deferring = deferring
        self.slots = Slots()
        self.offset = 0
        """Number of the template's lines before the text that is rendered."""
        self.hidden: Mapping[str, Any] = {}
        self._kept: list[tuple[nodes.Expr, int]] = []
        self._compiled: dict[int, Template] = {}
        self.filters.update(dns=dns, slug=slug, tojson=tojson, enumerate_list=enumerate_list)
        self.globals.update(enumerate_list=enumerate_list, range=bounded_range)
        for name in ("center", "indent", "slice", "batch", "wordwrap"):
            self.filters[name] = _bounded(self.filters[name])
        self.filters["format"] = _formatted(self.filters["format"])
        del self.globals["lipsum"]
        self.filters = {name: self._watched(function) for name, function in self.filters.items()}

    @property
    def decided(self) -> set[str]:
        """Names that were not known when statements of the first pass were decided on them."""
        return getattr(self.undefined, "decided", set())

    def program(self, source: str) -> tuple[Template, Rewriter]:
        """A template of this text; its lines count from 1.

        Raises:
            TemplateSyntaxError: the text is not Jinja.
        """
        tree = self.parse(source)
        rewriter = Rewriter(self)
        rewriter.visit(tree)
        tree.set_environment(self)
        return self.from_string(tree), rewriter

    # The methods below are called by templates, as the rewriter has written.

    def step(self) -> None:
        """A round of a loop or a call of a macro."""
        self.meter.step()

    def join(self, parts: list[Any]) -> str:
        """The ``~`` operator."""
        texts = [text if isinstance(text, str) else str(text) for text in parts]
        _check_length(sum(map(len, texts)))
        return "".join(texts)

    def out(self, value: Any, line: int, given: bool) -> str:
        """The text, or the token, that stands for ``value`` in the rendered template.

        ``given`` says that it comes from the values as it is, so that its text is never YAML.
        """
        if isinstance(value, range):
            value = list(value)
        if isinstance(value, Undefined):
            return self.slots.put(Missing(value._undefined_message, line + self.offset))
        if isinstance(value, str) and not isinstance(value, JsonText):
            return self._text_out(value, given)
        if value is None or isinstance(value, dict | list | tuple | JsonText):
            weight = len(value) if isinstance(value, str) else weigh(value, ChainMap({}, self.meter.weights))
            return self.slots.put(Known(value), weight)
        if callable(value) and not isinstance(value, bool | int | float):
            return self.slots.put(Missing("this is a function, it has no text; call it", line + self.offset))
        return text_of(value) if self.deferring else self.slots.put(Word(value), len(str(value)))

    def _text_out(self, text: str, given: bool) -> str:
        # In the second pass short texts are slots too, so that rounds of a loop render the same text to be read.
        if given and not reads_back(text):
            return self.slots.put(Known(text), len(text))
        if self.deferring or not (given or is_plain_word(text)):
            return str(text)
        return self.slots.put(Word(typed(text)), len(text))

    def keep(self, node: nodes.Expr, line: int) -> int:
        """Keep an expression for the second pass; its number."""
        self._kept.append((node, line))
        return len(self._kept) - 1

    def waits(self, names: Mapping[str, Any], called: str | None) -> bool:
        """Whether an expression of these names has to wait for the second pass."""
        if called is not None and isinstance(names[called], Macro):
            return False
        return any(
            (isinstance(value, Absent) and value.root is not None) or self._is_hidden(name, value)
            for name, value in names.items()
        )

    def later(self, key: int, names: Mapping[str, Any]) -> str:
        """The token of an expression that waits, with the names that are known by now."""
        node, line = self._kept[key]
        if key not in self._compiled:
            self._compiled[key] = self._expression(node, line)
        captured = {name: _snapshot(value, line) for name, value in names.items() if not self._is_hidden(name, value)}
        return self.slots.put(Later(self._compiled[key], captured, line, self.meter))

    def raw(self, text: str, line: int) -> str:
        """The token of an expression that stands in ``{% raw %}``."""
        return self.slots.put(Raw(self, text, line))

    def expression(self, source: str) -> tuple[Template, set[str]]:
        """An expression written as ``{{ ... }}``, and the names in it.

        Raises:
            TemplateSyntaxError: it is not one.
        """
        (output,) = self.parse(source).body
        node = output.nodes[0] if isinstance(output, nodes.Output) else None
        if not isinstance(node, nodes.Expr):
            raise TemplateSyntaxError("this is not an expression", 1)
        return self._expression(node, 1), names_of(node)

    def _expression(self, node: nodes.Expr, line: int) -> Template:
        tree = nodes.Template([nodes.Assign(nodes.Name("result", "store"), node, lineno=line)], lineno=line)
        tree.set_environment(self)
        return self.from_string(tree)

    def _is_hidden(self, name: str, value: Any) -> bool:
        return name in self.hidden and value is self.hidden[name]

    def checked(self, value: Any) -> Any:
        """``value``, which a template has made, unless it is too large to be worked on.

        Collections that hold one another many times over cost little to make and everything to use.
        """
        if isinstance(value, str):
            _check_length(len(value))
        elif isinstance(value, dict | list | tuple):
            _check_length(weigh(value, ChainMap({}, self.meter.weights)))
        return value

    def _watched(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def watched(*args: Any, **kwargs: Any) -> Any:
            return self.checked(function(*args, **kwargs))

        return watched

    # What the sandbox asks.

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic that can make much of little."""
        if operator == "*":
            _check_length(_length(left) * _factor(right) + _length(right) * _factor(left))
        elif operator == "+":
            _check_length(_length(left) + _length(right))
        elif operator == "**" and (abs(right) > MAX_POWER or abs(left) > 2**64):
            raise TemplateFault("the power is too large")
        elif operator == "%" and isinstance(left, str):
            _check_format(left)
        return self.checked(super().call_binop(context, operator, left, right))

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """A call, with numbers that are no lengths to fill."""
        if getattr(__obj, "__self__", None) is __self:
            return __obj(*args)
        # The sandbox wraps str.format; what it wraps knows its text.
        text = getattr(getattr(__obj, "__wrapped__", __obj), "__self__", None)
        if isinstance(text, str):
            _check_numbers((*args, *kwargs.values()))
            if __obj.__name__ in {"format", "format_map"}:
                _check_format(text)
        return __self.checked(super().call(__context, __obj, *args, **kwargs))


def _snapshot(value: Any, line: int) -> Any:
    """What a captured name is now, since loops and namespaces go on to change."""
    if isinstance(value, LoopContext):
        return {field: getattr(value, field) for field in _LOOP_FIELDS}
    if isinstance(value, Namespace):
        raise TemplateFault("a namespace may not be mixed with a loop variable; {% set %} its field first", line)
    return value


def _check_length(length: int) -> None:
    if length > MAX_TEXT:
        raise TemplateFault(f"the template makes a text or list of {length:,} elements, more than {MAX_TEXT:,}")


def _check_numbers(arguments: Iterable[Any]) -> None:
    for argument in arguments:
        if isinstance(argument, int) and abs(argument) > MAX_NUMBER_ARGUMENT:
            raise TemplateFault(f"{argument:,} is more than the {MAX_NUMBER_ARGUMENT:,} that a length may be")


def _check_format(text: str) -> None:
    if re.search(r"[0-9]{4}|\*|\{[^{}]*\{", text):
        raise TemplateFault("a format may be at most 999 characters wide, and say so in digits")


def _formatted(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def checked(text: Any, *args: Any, **kwargs: Any) -> Any:
        _check_format(str(text))
        return function(text, *args, **kwargs)

    return checked


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str | list | tuple) else 0


def _factor(value: Any) -> int:
    return max(value, 0) if isinstance(value, int) else 1


def _bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        _check_numbers((*args, *kwargs.values()))
        if function.__name__ in {"sync_do_slice", "do_slice", "do_batch"} and len(args) + len(kwargs) > 2:
            raise TemplateFault("slice and batch fill nothing in")
        return function(*args, **kwargs)

    return checked
