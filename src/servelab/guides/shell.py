"""Cut a shell script into its commands and words, without running or changing any of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_CLOSING = {"(": ")", "{": "}"}
_ENDS = ";|&()\n"
_HEREDOC = re.compile(r"(?<!<)<<(?!<)-?(?P<end>.*)$", re.DOTALL)


@dataclass(frozen=True)
class Word:
    """A word as it is written, and what it says where the shell changes nothing but quotes."""

    raw: str
    line: int
    """Of the script, counted from 0; the one in which the word begins."""
    last: int
    start: int
    end: int

    @property
    def value(self) -> str:
        """The word without its quotes."""
        return unquoted(self.raw)


@dataclass(frozen=True)
class Simple:
    """A command: its words, and where it stands in the script."""

    words: tuple[Word, ...]
    start: int
    end: int


def commands(script: str) -> Iterator[Simple]:
    """The commands of a script, one after another; comments and the lines of heredocs are none."""
    words: list[Word] = []
    ends: list[str] = []
    at = 0
    while at < len(script):
        letter = script[at]
        if script.startswith("\\\n", at):
            at += 2
        elif letter in " \t\r":
            at += 1
        elif letter == "#":
            at = _end_of_line(script, at)
        elif letter in _ENDS:
            if words:
                yield Simple(tuple(words), words[0].start, words[-1].end)
                words = []
            at += 1
            if letter == "\n" and ends:
                at = _after_heredocs(script, at, ends)
                ends = []
        else:
            end = _end_of_word(script, at)
            if ends and not ends[-1]:
                ends[-1] = unquoted(script[at:end])
            elif not script.startswith("$((", at) and (heredoc := _HEREDOC.search(script[at:end])):
                ends.append(unquoted(heredoc["end"]))
            line = script.count("\n", 0, at)
            words.append(Word(script[at:end], line, line + script.count("\n", at, end), at, end))
            at = end
    if words:
        yield Simple(tuple(words), words[0].start, words[-1].end)


def unquoted(raw: str) -> str:
    """A word without its quotes and escapes; what the shell would expand stays as it is written."""
    result, at, quote = "", 0, ""
    while at < len(raw):
        letter = raw[at]
        if quote:
            if letter == quote:
                quote = ""
            elif quote == '"' and letter == "\\" and raw[at + 1 : at + 2] in ('"', "\\", "$", "`", "\n"):
                at += 1
                result += "" if raw[at] == "\n" else raw[at]
            else:
                result += letter
        elif letter in "'\"":
            quote = letter
        elif letter == "\\" and at + 1 < len(raw):
            at += 1
            result += "" if raw[at] == "\n" else raw[at]
        else:
            result += letter
        at += 1
    return result


def _after_heredocs(script: str, at: int, ends: list[str]) -> int:
    """Where what follows the heredocs begins whose first line is at ``at``."""
    for end in ends:
        while at < len(script):
            line, at = script[at : _end_of_line(script, at)], _end_of_line(script, at) + 1
            if line.lstrip("\t") == end:
                break
    return at


def _end_of_line(script: str, at: int) -> int:
    found = script.find("\n", at)
    return len(script) if found < 0 else found


def _end_of_word(script: str, at: int) -> int:
    """Where the word that begins at ``at`` ends; quotes and $(…), ${…} belong to it whole."""
    while at < len(script):
        letter = script[at]
        if letter == "\\":
            at += 2
        elif letter == "'":
            at = _after(script, "'", at + 1)
        elif letter == '"':
            at = _end_of_double(script, at + 1)
        elif letter == "`":
            at = _after(script, "`", at + 1)
        elif letter == "$" and script[at + 1 : at + 2] in _CLOSING:
            at = _end_of_nested(script, at + 1)
        elif letter in " \t\r" + _ENDS and not _redirects(script, at):
            break
        else:
            at += 1
    return min(at, len(script))


def _redirects(script: str, at: int) -> bool:
    """Whether an ampersand is of ``2>&1`` or ``&>``, and ends no command."""
    return script[at] == "&" and (script[at - 1 : at] == ">" or script[at + 1 : at + 2] == ">")


def _after(script: str, sign: str, at: int) -> int:
    found = script.find(sign, at)
    return len(script) if found < 0 else found + 1


def _end_of_double(script: str, at: int) -> int:
    while at < len(script) and script[at] != '"':
        if script[at] == "\\":
            at += 2
        elif script[at] == "$" and script[at + 1 : at + 2] in _CLOSING:
            at = _end_of_nested(script, at + 1)
        else:
            at += 1
    return at + 1


def _end_of_nested(script: str, at: int) -> int:
    """The end of what a bracket at ``at`` opens."""
    opening, closing, depth = script[at], _CLOSING[script[at]], 0
    while at < len(script):
        letter = script[at]
        if letter == "'":
            at = _after(script, "'", at + 1)
            continue
        if letter == "\\":
            at += 1
        depth += (letter == opening) - (letter == closing)
        at += 1
        if depth == 0:
            return at
    return at
