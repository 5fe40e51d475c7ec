"""What a container starts: the flags of vLLM, and the shell around it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from servelab.guides.parse import text_line
from servelab.guides.shell import Word, commands
from servelab.guides.tree import Node, Span, together

_FLAG = re.compile(r"--?[A-Za-z]")
_SAFE = re.compile(r"[\w@%+=:,./-]+")
_SHELLS = ("bash", "sh", "/bin/bash", "/bin/sh", "/usr/bin/bash")
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
    """Commands before it, a line each; empty for none."""
    flags: tuple[Flag, ...]
    postamble: str
    """What follows it in its script."""
    spans: tuple[Span, ...]

    def flag(self, name: str) -> Flag | None:
        """The last flag of that name."""
        return next((one for one in reversed(self.flags) if one.name == name), None)


def read_command(command: Node | None, args: Node | None) -> Command:
    """The call of vLLM that a container's ``command`` and ``args`` make; without flags where it makes none."""
    words = [*(command.items if command else ()), *(args.items if args else ())]
    script = next((one for one in words if " " in one.text and _calls_vllm(one.text)), None)
    if script is not None:
        return _of_script(script)
    return _of_words(list(words))


def quoted(value: str) -> str:
    """A word for the shell, in single quotes where it needs any."""
    if _SAFE.fullmatch(value):
        return value
    return "'" + value.replace("'", "'\\''") + "'"


def _calls_vllm(text: str) -> bool:
    return bool(re.search(r"\bvllm\s+serve\b|vllm\.entrypoints", text))


def _of_script(script: Node) -> Command:
    text = script.text
    call = next(
        one
        for one in commands(text)
        if any(word.value in ("vllm", "serve") or "vllm.entrypoints" in word.value for word in one.words)
        and _calls_vllm(text[one.start : one.end])
    )
    words = list(call.words)
    while words and words[0].value != "serve" and "vllm.entrypoints" not in words[0].value:
        words.pop(0)
    first = text_line(script)
    file = script.span.file if script.span else ""
    literal = script.scalar is not None and script.scalar.style == "|"

    def place(word: Word) -> Span | None:
        return Span(file, first + word.line, first + word.last) if literal else script.span

    positional, flags = _flags([_Given(word.raw, word.value, place(word)) for word in words[1:]], lambda raw: raw)
    before = list(commands(text[: call.start]))
    spans = together([span for one in (*before, call) for word in one.words if (span := place(word))])
    model = positional[0] if positional else None
    return Command(
        model=model.value if model else None,
        model_span=model.span if model else None,
        preamble="\n".join(text[one.start : one.end] for one in before),
        flags=tuple(flags),
        postamble=text[call.end :].strip(),
        spans=spans,
    )


def _of_words(words: Sequence[Node]) -> Command:
    """Of words that no shell reads: ``["vllm", "serve", …]`` or nothing but flags."""
    rest = [one for one in words if one.scalar is not None]
    while rest and not rest[0].text.startswith("--"):
        word = rest.pop(0)
        if word.text == "serve" or "vllm.entrypoints" in word.text:
            break
        if word.text in ("vllm", "python", "python3", "-m", *_SHELLS) or "/" in word.text[:1]:
            continue
        rest.insert(0, word)
        break
    positional, flags = _flags([_Given(one.text, one.text, one.span) for one in rest], quoted)
    model = positional[0] if positional else None
    spans = together([one.span for one in words if one.span])
    return Command(model.value if model else None, model.span if model else None, "", tuple(flags), "", spans)


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
