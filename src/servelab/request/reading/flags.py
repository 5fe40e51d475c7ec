"""Engine arguments written as flags: ``--flag value``, ``--flag=value``, ``--flag``."""

from __future__ import annotations

import re

from servelab.catalog.engines import Argument
from servelab.catalog.nearest import nearest
from servelab.request import safe
from servelab.request.reading.heard import Heard
from servelab.request.reading.known import STOP, Known, rx, word_list
from servelab.request.reading.leftover import SAYS_NOTHING
from servelab.request.reading.quantity import JOIN, LEVELS
from servelab.request.reading.values import Unfit, refuse, typed
from servelab.request.reading.vocabulary import says_more
from servelab.spec.base import Value

FIELDS = word_list("fields")
"""Flags that are no engine's: fields of a request, which other readers know by the same names."""

SHORT = {
    "pp": "pipeline_parallel_size",
    "dp": "data_parallel_size",
    "q": "quantization",
    "ep": "enable_expert_parallel",
}

_FLAG = rx(r"(?<![\w/.=-])(?:--(?P<long>[a-z0-9][\w.-]{0,63})|-(?P<short>pp|dp|ep|q)(?=[ =]))")
_START = rx(r"(?: ?= ?|: | )(?=\S)")
_QUOTED = rx(r"'[^'\0\n]{0,1000}'|\"[^\"\0\n]{0,1000}\"")
_BARE = rx(r"[^\s,;\0]+")
_LEVELS = rx(LEVELS)
_JOIN = rx(JOIN)
_SWITCH = {"true": True, "on": True, "yes": True, "1": True, "false": False, "off": False, "no": False, "0": False}
_NUMERIC = rx(r"[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


def read_flags(heard: Heard, known: Known) -> None:
    """Every ``--flag`` and what follows it."""
    for match in heard.sentence.find(_FLAG):
        _read_flag(heard, known, match)


def _read_flag(heard: Heard, known: Known, match: re.Match[str]) -> None:
    name = (match["long"] or SHORT[match["short"]]).rstrip(".-_").replace("-", "_")
    end = match.start() + len(match[0].rstrip(".-_"))
    if name.replace("_", "-") in FIELDS:
        return
    argument = known.arguments.get(name)
    if argument is None and name.startswith("no_") and name[3:] in known.arguments:
        heard.say(known.arguments[name[3:]].flag, False, match.start(), end)
    elif argument is None:
        _unknown(heard, known, name, match.start(), end)
    elif argument.type == "bool":
        value, end = _switch(heard, end)
        heard.say(argument.flag, value, match.start(), end)
    else:
        _with_value(heard, argument, match.start(), end)


def _with_value(heard: Heard, argument: Argument, start: int, end: int) -> None:
    said, stop = _value_text(heard, argument, end)
    heard.sentence.take(start, stop)
    if not said:
        refuse(heard, argument, "needs a value")
        return
    try:
        values = typed(argument, said)
    except Unfit as fault:
        refuse(heard, argument, str(fault))
        return
    heard.say(argument.flag, values if len(values) > 1 else values[0], start, stop)


def _value_text(heard: Heard, argument: Argument, end: int) -> tuple[str, int]:
    """The words of a flag's value, several where they are joined, and where they end."""
    sentence = heard.sentence
    start = _START.match(sentence.free, end)
    if start is None:
        return "", end
    if argument.type in ("int", "float") and (levels := _LEVELS.match(sentence.free, start.end())):
        return levels[0] + _percent(sentence.free, levels.end()), levels.end() + len(
            _percent(sentence.free, levels.end())
        )
    said, stop = bare_value(heard, start.end())
    if (said.lower() in STOP and "=" not in start[0]) or said.startswith("--"):
        return "", end
    while argument.type == "enum" and (join := _JOIN.match(sentence.free, stop)):
        more, then = bare_value(heard, join.end())
        if more.lower() not in {str(value).lower() for value in argument.values}:
            break
        said, stop = f"{said},{more}", then
    return said, stop


def bare_value(heard: Heard, start: int) -> tuple[str, int]:
    """A quoted text, a JSON object or list, or a word without the punctuation after it; and where it ends."""
    sentence = heard.sentence
    if quoted := _QUOTED.match(sentence.free, start):
        return sentence.exact(start + 1, quoted.end() - 1), quoted.end()
    if sentence.free[start : start + 1] in ("{", "["):
        stop = _balanced(sentence.free, start)
        return sentence.exact(start, stop), stop
    word = _BARE.match(sentence.free, start)
    length = len(word[0].rstrip(".!?:)]}'\"")) if word else 0
    return sentence.exact(start, start + length), start + length


def _balanced(text: str, start: int) -> int:
    depth = 0
    for index in range(start, len(text)):
        depth += (text[index] in "{[") - (text[index] in "}]")
        if depth == 0 or text[index] == "\0":
            return index + 1
    return len(text)


def _percent(text: str, end: int) -> str:
    return "%" if text[end : end + 1] == "%" else ""


def _switch(heard: Heard, end: int) -> tuple[bool, int]:
    """The value of a switch, on where nothing is said of it."""
    start = _START.match(heard.sentence.free, end)
    said, stop = bare_value(heard, start.end()) if start else ("", end)
    value = _SWITCH.get(said.lower())
    if value is None or (said.isdigit() and start is not None and "=" not in start[0]):
        return True, end
    return value, stop


def _unknown(heard: Heard, known: Known, name: str, start: int, end: int) -> None:
    """Pass on a flag that the catalog does not know, with what looks like its value."""
    value, stop = _guessed(heard, known, end)
    flag = "--" + heard.sentence.exact(start, end).lstrip("-").replace("_", "-")
    if fault := safe.argument_fault(flag, value):
        heard.sentence.take(start, stop)
        heard.ask(flag, f"{fault}. What should it be?")
        return
    meant = nearest(name, known.arguments) if known.arguments else None
    hint = f", did you mean {known.arguments[meant].flag}?" if meant else ";"
    heard.warn(
        f"{known.engine} has no argument {flag} that servelab knows{hint} It is passed on as it is.".replace(
            "; It", "; it"
        )
    )
    heard.say(flag, value, start, stop)


def _guessed(heard: Heard, known: Known, end: int) -> tuple[Value, int]:
    start = _START.match(heard.sentence.free, end)
    if start is None:
        return True, end
    said, stop = bare_value(heard, start.end())
    given = "=" in start[0]
    if not said or (said.startswith("-") and not _NUMERIC.fullmatch(said)) or (said.lower() in STOP and not given):
        return True, end
    if _NUMERIC.fullmatch(said):
        return (float(said) if set(said) & set(".eE") else int(said)), stop
    if not given and not _names_a_value(known, said):
        return True, end
    return {"true": True, "false": False}.get(said.lower(), said), stop


def _names_a_value(known: Known, said: str) -> bool:
    """Whether a word after an unknown flag is its value, and not the next thing that is said."""
    word = said.lower()
    return word not in SAYS_NOTHING and not says_more(known.catalog, known.engine, word)
