"""Replies of a dialog on the terminal."""

from __future__ import annotations

from typing import Any, Self

from rich.box import DOUBLE, ROUNDED
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table as Grid
from rich.text import Text as Rich

from servelab.request.reply import Ask, Block, Box, Line, Reply, Section, Table, Text, Tone, YesNo
from servelab.request.said import Option, Question

STYLES: dict[Tone, str] = {"plain": "", "good": "green", "note": "cyan", "warning": "yellow"}
_CHOICES = {True: "[Y/n]", False: "[y/N]", None: "[y/n]"}
MARKS: dict[Tone, str] = {"plain": "", "good": "✓ ", "note": "⚡ ", "warning": "⚠ "}


class _Words(Rich):
    """Text that is only shown: no markup is read in it, and nothing of it acts on the terminal."""

    def __init__(self, text: str = "", style: str = "", **options: Any) -> None:
        super().__init__(_printable(text), style, **options)

    def append(self, text: Any, style: Any = None) -> Self:
        """Add text in its own style."""
        super().append(_printable(text) if isinstance(text, str) else text, style)
        return self


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in text)


def print_reply(console: Console, reply: Reply) -> None:
    """Show a reply, from top to bottom; nothing of it is read as markup."""
    for block in reply.blocks:
        console.print(_shown(block))


def _shown(block: Block) -> RenderableType:
    match block:
        case Text():
            return _Words(MARKS[block.tone] + block.text, style=STYLES[block.tone])
        case Table():
            return _table(block)
        case Box():
            frame = DOUBLE if block.final else ROUNDED
            title = _Words(block.title, style="bold") if block.title else None
            return Panel(Group(*map(_section, block.sections)), title=title, box=frame, expand=False, padding=(0, 2))
        case Ask():
            return Group(*(_question(question, index, block) for index, question in enumerate(block.questions, 1)))
        case YesNo():
            return _yes_no(block)


def _table(block: Table) -> Grid:
    grid = Grid(*block.columns, title=_Words(block.title), box=None, pad_edge=False, title_justify="left")
    for row in block.rows:
        grid.add_row(*map(_Words, row))
    return grid


def _section(section: Section) -> RenderableType:
    grid = Grid.grid(padding=(0, 1))
    point = "" if any(line.label for line in section.lines) else "•"
    for line in section.lines:
        grid.add_row(_Words(f"{line.label}:" if line.label else point), _value(line))
    title = _Words(MARKS[section.tone] + section.title, style=f"bold {STYLES[section.tone]}")
    return Group(*([title] if section.title else []), grid, _Words(""))


def _value(line: Line) -> _Words:
    value = _Words(line.value, style=STYLES[line.tone], overflow="fold")
    if line.note:
        value.append(f"  ({line.note})", style="dim" if line.tone == "plain" else "")
    return value


def _question(question: Question, index: int, block: Ask) -> _Words:
    if not question.options:
        number = f"{index}. " if len(block.questions) > 1 else ""
        return _Words(f"{number}{question.text}")
    found = _Words(f"{question.text}\n", style="bold")
    for place, option in enumerate(question.options, 1):
        found.append(_option(place, option))
    return found.append(f"Enter a number, 1 to {len(question.options)}{_or(question)}:", style="default")


def _option(number: int, option: Option) -> _Words:
    value = f" ({option.value})" if "/" in option.value and option.value != option.label else ""
    found = _Words(f"\n  [{number}] {option.label}{value}", style="not bold")
    if option.recommended:
        found.append(" ← Recommended", style="green")
    for note in option.notes:
        found.append(f"\n      • {note}", style="dim")
    return found.append("\n")


def _or(question: Question) -> str:
    return ", or type the full HuggingFace model ID" if question.parameter == "model" else ", or say something else"


def _yes_no(block: YesNo) -> _Words:
    found = _Words(f"{block.text} {_CHOICES[block.default]}", style="bold")
    for hint in block.hints:
        found.append(f"\n  • {hint}", style="not bold dim")
    return found
