"""What can be wrong in a template: the message, and where in the template it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from traceback import walk_tb
from typing import Any

from jinja2 import TemplateError, TemplateSyntaxError

from servelab.spec.errors import DocumentError

TEMPLATE = "<template>"
"""The file name that Jinja gives to code which comes from a string."""


@dataclass(frozen=True)
class Binding:
    """One round of a loop: its name and what its variables are."""

    loop: str
    variables: Mapping[str, Any]

    def __str__(self) -> str:
        values = ", ".join(f"{name}={_short(value)}" for name, value in self.variables.items())
        return f"loop `{self.loop}` ({values})"


@dataclass(eq=False)
class TemplateFault(Exception):
    """A fault of a template at ``line`` (from 1), within ``loops`` from the outermost in."""

    message: str
    line: int | None = None
    loops: list[Binding] = field(default_factory=list)
    told: bool = False
    """Whether ``loops`` is complete."""

    def as_error(self, source: str, remedy: str = "") -> DocumentError:
        """The error that the user sees; ``source`` names the template."""
        where = f"{source}:{self.line}" if self.line else source
        inside = "".join(f", in {binding}" for binding in reversed(self.loops))
        return DocumentError((f"{where}: {self.message}{inside}",), remedy)


@contextmanager
def telling_lines(offset: int = 0) -> Iterator[None]:
    """Turn what Jinja and Python raise inside a template into a fault with its line.

    ``offset`` is the number of template lines before the text that is rendered.
    """
    try:
        yield
    except TemplateSyntaxError as error:
        raise TemplateFault(error.message or "this is not Jinja", error.lineno + offset) from None
    except (TemplateError, ArithmeticError, TypeError, ValueError, LookupError, AttributeError) as error:
        raise TemplateFault(_said(error), _line(error, offset)) from None
    except TemplateFault as fault:
        fault.line = fault.line or _line(fault, offset)
        raise
    except RecursionError as error:
        raise TemplateFault("the template calls itself without end", _line(error, offset)) from None
    except MemoryError:
        raise TemplateFault("the template needs more memory than a template may") from None


def _line(error: BaseException, offset: int) -> int | None:
    lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code.co_filename == TEMPLATE]
    return lines[-1] + offset if lines else None


def _said(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
