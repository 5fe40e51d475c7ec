"""What a container starts: the flags of vLLM, and the shell around it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import NamedTuple

from servelab.guides.parse import text_line
from servelab.guides.shell import Word, commands
from servelab.guides.tree import Node, Scalar, Span, together

_FLAG = re.compile(r"--?[A-Za-z]")
_SAFE = re.compile(r"[\w@%+=:,./-]+")
_SHELLS = ("bash", "sh", "dash", "ash", "zsh")
_REDIRECTION = re.compile(r"\d*[<>]|&>")
_COMMENTS = re.compile(r"(\s*(#[^\n]*)?(\n|\Z))*")
_LEADING_COMMENTS = re.compile(r"\A([ \t]*(#[^\n]*)?\n)+")
ALIASES = {"-tp": "--tensor-parallel-size", "-dp": "--data-parallel-size", "-pp": "--pipeline-parallel-size"}


@dataclass(frozen=True)
class Flag:
    """An argument of vLLM: its name as it is written, its value without and with the shell's quotes."""

    written: str
    value: str | None
    raw: str
    span: Span | None
    sign: str = " "
    """What stands between the two."""

    @property
    def name(self) -> str:
        """Its name with dashes, as ``--max-model-len``."""
        return ALIASES.get(self.written, self.written.replace("_", "-"))


@dataclass(frozen=True)
class Command:
    """A call of vLLM."""

    model: str | None
    model_span: Span | None
    preamble: str
    """The script up to the call, as it is written; empty for none. It may end within the call's own line."""
    flags: tuple[Flag, ...]
    postamble: str
    """What follows it in its script, redirections of its own included."""
    spans: tuple[Span, ...]
    unread: str = ""
    """All of a script in which no call of vLLM was found."""
    stray: tuple[str, ...] = ()
    """Words after the model that belong to no flag."""

    def flag(self, name: str) -> Flag | None:
        """The last flag of that name."""
        return next((one for one in reversed(self.flags) if one.name == name), None)


def read_command(command: Node | None, args: Node | None) -> Command:
    """The call of vLLM that a container's ``command`` and ``args`` make; without flags where it makes none."""
    given = _words(command)
    words = [*given, *_words(args)]
    program = posixpath.basename(words[0].text) if words else ""
    script = next((one for one in words[1:] if not one.text.startswith("-")), None) if program in _SHELLS else None
    script = script or next((one for one in words if " " in one.text and _call(one.text)), None)
    if script is not None:
        return _of_script(script)
    return _of_words(words, starts=bool(given))


def replaced(container: Node, path: str) -> Iterator[tuple[str, Node]]:
    """A container's ``command`` with its path, where a scenario starts what it says in a shell of its own."""
    command = container.get("command")
    if command is not None and (command.scalar is not None or command.items):
        yield from command.leaves(f"{path}.command")


def quoted(value: str) -> str:
    """A word for the shell, in single quotes where it needs any."""
    if _SAFE.fullmatch(value):
        return value
    return "'" + value.replace("'", "'\\''") + "'"


def _words(node: Node | None) -> list[Node]:
    """Scalars of a list, or of a text that should be one; a flag that has its value in its own word is two."""
    found = [] if node is None else [node] if node.scalar is not None else list(node.items)
    words = []
    for one in found:
        if re.match(r"--[\w-]+ +\S", one.text) or (one is node and not _call(one.text)):
            parts = [word for command in commands(one.text) for word in command.words]
            words += [replace(one, content=Scalar(word.value)) for word in parts]
        elif one.scalar is not None and not one.null:
            words.append(one)
    return words


class _Call(NamedTuple):
    """Where a script calls vLLM."""

    start: int
    words: tuple[Word, ...]
    """What follows ``vllm serve``, up to a redirection."""
    end: int


def _call(text: str) -> _Call | None:
    """The first call of vLLM in a script."""
    for one in commands(text):
        for index, word in enumerate(one.words):
            before = posixpath.basename(one.words[index - 1].value) if index else ""
            first = index
            if word.value == "serve" and before == "vllm":
                first = index - 1
            elif word.value.startswith("vllm.entrypoints") and before == "-m":
                while first and (one.words[first - 1].raw[0] == "-" or "python" in one.words[first - 1].value):
                    first -= 1
            if first < index and one.words[0].value not in ("echo", "printf"):
                rest = tuple(takewhile(lambda word: not _REDIRECTION.match(word.raw), one.words[index + 1 :]))
                return _Call(one.words[first].start, rest, (rest or (word,))[-1].end)
    return None


def _of_script(script: Node) -> Command:
    text = script.text
    call = _call(text)
    if call is None:
        spans = (script.span,) if script.span else ()
        return Command(None, None, "", (), "", spans, unread=text.strip("\n"))
    first = text_line(script)
    file = script.span.file if script.span else ""
    literal = script.scalar is not None and script.scalar.style == "|"

    def place(word: Word) -> Span | None:
        return Span(file, first + word.line, first + word.last) if literal else script.span

    positional, flags = _flags([_Given(word.raw, word.value, place(word)) for word in call.words], lambda raw: raw)
    model = positional[0] if positional else None
    after = re.sub(r"\A(\s|\\\n|\\\Z)+", "", text[call.end :])
    after = "" if _COMMENTS.fullmatch(after) else after.rstrip()
    opening = _LEADING_COMMENTS.match(text)
    begin = text.count("\n", 0, opening.end() if opening else 0)
    last = text.count("\n", 0, len(text.rstrip()) if after else call.end)
    spans = (Span(file, first + begin, first + last),) if literal else (script.span,) if script.span else ()
    return Command(
        model=model.value if model else None,
        model_span=model.span if model else None,
        preamble=re.sub(r"\bexec[ \t]+\Z", "", _LEADING_COMMENTS.sub("", text[: call.start])),
        flags=tuple(flags),
        postamble=after,
        spans=spans,
        stray=tuple(one.value for one in positional[1:]),
    )


def _of_words(words: Sequence[Node], starts: bool) -> Command:
    """Of words that no shell reads: ``["vllm", "serve", …]``, or nothing but flags where the image ``starts`` vLLM."""
    rest = list(words)
    spans = together([one.span for one in words if one.span])
    at = next((i for i, one in enumerate(rest) if one.text == "serve" or "vllm.entrypoints" in one.text), None)
    if at is not None:
        rest = rest[at + 1 :]
    elif starts:
        return Command(None, None, "", (), "", spans, unread=" ".join(quoted(one.text) for one in words))
    positional, flags = _flags([_Given(one.text, one.text, one.span) for one in rest], quoted)
    model = positional[0] if positional else None
    stray = tuple(one.value for one in positional[1:])
    found = tuple(flags)
    return Command(model.value if model else None, model.span if model else None, "", found, "", spans, stray=stray)


class _Given(NamedTuple):
    """A word, as it is written and as it is meant."""

    raw: str
    value: str
    span: Span | None


def _flags(words: Sequence[_Given], raw_of: Callable[[str], str]) -> tuple[list[_Given], list[Flag]]:
    """Words before any flag, and flags with the words after them; ``raw_of`` writes a word for the shell."""
    positional: list[_Given] = []
    found: list[tuple[str, str, list[_Given], Span | None]] = []
    for word in words:
        if _FLAG.match(word.value):
            name, sign, rest = word.raw.partition("=")
            own = [_Given(rest, word.value.partition("=")[2], word.span)] if sign else []
            found.append((name, sign or " ", own, word.span))
        elif found:
            found[-1][2].append(word)
        else:
            positional.append(word)
    return positional, [_flag(*one, raw_of) for one in found]


def _flag(name: str, sign: str, values: list[_Given], span: Span | None, raw_of: Callable[[str], str]) -> Flag:
    spans = together([one for one in (span, *(value.span for value in values)) if one])
    return Flag(
        name,
        " ".join(one.value for one in values) if values else None,
        " ".join(raw_of(one.raw) for one in values),
        spans[0] if spans else None,
        sign,
    )
