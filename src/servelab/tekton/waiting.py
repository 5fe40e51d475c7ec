"""What the first pass cannot know: names without a value, and the expressions that wait for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, Template, TemplateError, UndefinedError
from jinja2.runtime import Undefined
from jinja2.utils import missing

from servelab.tekton.faults import TemplateFault, telling_lines
from servelab.tekton.limits import Meter
from servelab.tekton.slots import Scope

if TYPE_CHECKING:
    from servelab.tekton.environment import TemplateEnvironment


class Absent(Undefined):
    """A name that the first pass does not know; it remembers what was taken from it."""

    __slots__ = ("steps",)
    decided: set[str]
    """Names on which statements of the first pass were decided."""

    def __init__(
        self, hint: str | None = None, obj: Any = missing, name: Any = None, exc: type[Any] = UndefinedError
    ) -> None:
        super().__init__(hint, obj, name, exc)
        self.steps: tuple[tuple[str, Any], ...] = ()

    @property
    def root(self) -> str | None:
        """The name, unless this is an attribute that a known value lacks."""
        return self._undefined_name if self._undefined_obj is missing and self._undefined_hint is None else None

    def _step(self, kind: str, key: Any) -> Absent:
        taken = type(self)(self._undefined_hint, self._undefined_obj, self._undefined_name, self._undefined_exception)
        taken.steps = (*self.steps, (kind, key))
        return taken

    def _decide(self) -> None:
        if self.root:
            self.decided.add(self.root)

    def __getattr__(self, name: str) -> Absent:
        if name[:2] == "__":
            raise AttributeError(name)
        return self._step("attribute", name)

    def __getitem__(self, key: Any) -> Absent:  # type: ignore[override]
        return self._step("item", key)

    def __str__(self) -> str:
        return str(self._fail_with_undefined_error())

    def __bool__(self) -> bool:
        self._decide()
        return False

    def __len__(self) -> int:
        self._decide()
        return 0

    def __iter__(self) -> Iterator[Any]:
        self._decide()
        return iter(())

    def __eq__(self, other: object) -> bool:
        self._decide()
        return super().__eq__(other)

    __hash__ = Undefined.__hash__

    def found(self, environment: Environment, scope: Scope) -> Any:
        """The value that the name has in ``scope``, and of it what was taken; Unknown when it has none."""
        if self.root is None or self.root not in scope:
            return Unknown(
                self._undefined_hint, self._undefined_obj, self._undefined_name, self._undefined_exception
            ).after(self.steps)
        value = scope[self.root]
        for kind, key in self.steps:
            value = environment.getattr(value, key) if kind == "attribute" else environment.getitem(value, key)
        return value


class Unknown(Absent):
    """A name that the second pass does not know either: it is false, as in the first, but holds no items."""

    __slots__ = ()
    decided = set()

    def after(self, steps: tuple[tuple[str, Any], ...]) -> Unknown:
        """Itself, with what was taken from it."""
        self.steps = steps
        return self

    def __iter__(self) -> Iterator[Any]:
        self._fail_with_undefined_error()


class Missing:
    """The place of a value that does not exist; a fault unless it is in a comment."""

    def __init__(self, message: str, line: int) -> None:
        self._message, self._line = message, line

    def value(self, scope: Scope) -> Any:
        """Raises TemplateFault."""
        del scope
        raise TemplateFault(self._message, self._line)


class Later:
    """An expression that needs loop variables, with the other names as the first pass knew them."""

    def __init__(self, program: Template, captured: Mapping[str, Any], line: int, meter: Meter) -> None:
        self._program, self._line, self._meter = program, line, meter
        self._captured = {name: value for name, value in captured.items() if not isinstance(value, Absent)}
        self._absent = {name: value for name, value in captured.items() if isinstance(value, Absent)}

    def value(self, scope: Scope) -> Any:
        """The expression's value in ``scope``."""
        known = {name: value.found(self._program.environment, scope) for name, value in self._absent.items()}
        found = evaluate(self._program, {**scope, **self._captured, **known}, self._line)
        self._meter.add_output(found)
        return found


class Raw:
    """``{{ ... }}`` in ``{% raw %}``: computed where all its names are in scope, else left as it is written."""

    def __init__(self, environment: TemplateEnvironment, text: str, line: int) -> None:
        self._environment, self._text, self._line = environment, text, line
        self._parsed: tuple[Template, set[str]] | None = None

    def value(self, scope: Scope) -> Any:
        """The expression's value in ``scope``, or its text."""
        try:
            self._parsed = self._parsed or self._environment.expression(self._text)
        except TemplateError:
            return self._text
        program, names = self._parsed
        if not names or not all(name in scope for name in names):
            return self._text
        return evaluate(program, scope, self._line)


def evaluate(program: Template, scope: Scope, line: int) -> Any:
    """The ``result`` that a program of one expression assigns.

    Raises:
        TemplateFault: it has none.
    """
    with telling_lines():
        try:
            context = program.new_context(dict(scope))
            for _ in program.root_render_func(context):
                pass
            value = context.vars["result"]
        except TemplateFault:
            raise
        except Exception:  # noqa: BLE001 - Jinja finds the template's line, and raises again
            program.environment.handle_exception()
    if isinstance(value, Undefined):
        raise TemplateFault(value._undefined_message, line)
    return value
