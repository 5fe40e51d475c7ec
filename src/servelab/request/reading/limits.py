"""Tensor parallelism and the three limits of the engine, each one value or several."""

from __future__ import annotations

import re
from dataclasses import dataclass

from servelab.request.reading.heard import Heard
from servelab.request.reading.known import Known, rx
from servelab.request.reading.quantity import COUNT, IS, JOIN, LEVELS, LIST, NUMBER, RANGE, Kind, read_levels

_MAX = r"max(?:imum|imal)?[-_ .]?"


@dataclass(frozen=True)
class Limit:
    """A field: what it is called before its value, and what follows its value; and which numbers make sense."""

    name: str
    before: str
    after: str
    kind: Kind
    highest: int


LIMITS = (
    Limit(
        "tensor_parallelism",
        r"(?:(?<!pipeline )(?<!data )(?<!expert )(?<![-_])\bparallelism|(?:tensor|"
        r"model)[-_ ]?parallel(?:ism|i[sz]ation)?(?:[-_ ](?:size|degree|level|factor)s?)?|"
        r"tensorparallelism|\btensor(?= ?[=:])|\btp'?s?(?:[-_ ](?:size|degree|level)s?)?(?=[ =:\d({\[]))",
        r"(?:[- ]?way)?[- ](?:tensor[- ]parallel(?:ism)?|tp\b)",
        COUNT,
        1024,
    ),
    Limit(
        "max_num_batched_tokens",
        rf"\bmn?bt\b|(?:{_MAX})?(?:num(?:ber)?[-_ ](?:of[-_ ])?)?batch(?:ed)?[-_ ]tokens?(?:[-_ ](?:limit|budget|"
        rf"size))?|(?:{_MAX})?tokens?[-_ ](?:per|in an?|in each)[-_ ](?:batch|step)|"
        rf"(?:{_MAX})?(?:num[-_ ])?batched[-_ ]tokens|token[-_ ](?:budget|batch)(?:[-_ ]size)?",
        r"[- ](?:max(?:imum)?[- ])?(?:num[- ])?batched[- ]tokens?(?:[- ](?:limit|budget))?|"
        r"[- ]tokens[- ](?:per|in a|in each)[- ](?:batch|step)|[- ]token[- ](?:batch(?:es)?|budget)",
        Kind(k=1024, most=262_144),
        16_777_216,
    ),
    Limit(
        "max_model_len",
        rf"\bmml\b|(?:{_MAX})?(?:model|seq(?:uence)?|ctx|context)[-_ ](?:lens?|lengths?|size)|{_MAX}(?:context|ctx|"
        r"len(?:gth)?|sequence length)(?:[-_ ](?:window|size|length|len))?|(?:contexts?|"
        r"ctx)[-_ ]?(?:windows?|sizes?|lengths?|lens?|limit)?|model[-_ ]len(?:gth)?|n[-_]ctx",
        r"[- ]?(?:tokens?[- ])?(?:of )?(?:max(?:imum)?[- ])?(?:model[- ]len(?:gth)?|(?:context|ctx|"
        r"sequence|seq)(?:[- ](?:lengths?|len|windows?|sizes?|limit))?)",
        Kind(k=1024),
        16_777_216,
    ),
    Limit(
        "max_num_seqs",
        rf"\b(?:mns|m?bs)\b|(?:{_MAX})?(?:num(?:ber)?[-_ ](?:of[-_ ])?)?(?:concurrent[-_ ])?(?:seqs?|"
        rf"sequences)\b(?![-_ ]len)|{_MAX}batch(?:[-_ ]size)?s?\b(?![-_ ]tok|ed)|batch[-_ ]sizes?\b|"
        rf"{_MAX}running[-_ ](?:requests|seqs)",
        r"[- ](?:max(?:imum)?[- ])?(?:num[- ])?(?:concurrent[- ])?(?:seqs?|"
        r"sequences)\b(?![- ]len)(?: (?:in|per) (?:a |one |each |the )?batch)?|[- ]requests (?:in|"
        r"per) (?:a |one |each |the )?batch|[- ]running requests",
        Kind(most=16_384),
        65_536,
    ),
)
FLAGS = {limit.name: "--" + limit.name.replace("_", "-") for limit in LIMITS[1:]}

_ONLY = re.compile(
    r"\b(?:only|just|exactly|nothing but|solely)\b[^,.;\d]*(?:\btp|tensor)|\d ?(?:only|alone|"
    r"exactly)\b|(?:only|just) (?:with |at |for )?\d|[=:] ?(?:only|just)"
)
_NOT = (
    r"(?:,? \(?(?:instead of|rather than|(?:and |but )?not|up from|down from|in place of)(?: the|"
    rf" default| of| for| at| tp){{0,3}}[ =]{NUMBER}\)?)"
)
_TAIL = rf"(?: ?[\])}}\"'])?(?: ?(?:only|alone|exactly|each)\b)?{_NOT}?"
_ADD = re.compile(r"\b(?:add|also|plus|additionally|as well)\b")
_TOKENS = r"(?: ?tokens?\b)?"
_FROM_TO = re.compile(
    r"\b(?:change|raise|increase|reduce|lower|decrease|bump|switch|move|go\b|update|cut|drop|grow|shrink|modify|adjust)"
)


def _patterns(limit: Limit) -> tuple[re.Pattern[str], re.Pattern[str]]:
    tokens = _TOKENS if limit.kind.k == 1024 else ""
    named = rx(rf"-{{0,2}}(?<![\w.])(?:{limit.before}){IS}(?P<levels>-?(?:{LEVELS})){tokens}{_TAIL}")
    followed = rx(
        rf"(?<![\w.,=-])(?P<levels>{RANGE}|{LIST}){_NOT}?(?: (?:for|as|is|are)(?: the| my|"
        rf" our)? -{{0,2}}(?:{limit.before})|(?:{limit.after}))(?![\w=])(?! ?[=:])"
    )
    return named, followed


_COMPILED = [(limit, *_patterns(limit)) for limit in LIMITS]
_WAYS = rx(
    rf"(?P<levels>\d{{1,4}}[- ]way(?:{JOIN}(?:once )?(?:with )?\d{{1,4}}[- ]way){{0,5}})[- ]"
    r"(?:tensor[- ]parallel(?:ism)?|tp)\b"
)
_BATCH = rx(rf"\bbatch(?:es)?(?:[- ]sizes?)?{IS}(?P<levels>{LEVELS}) ?tokens?\b")
_GLUED = rx(rf"\btp[-_]?(?P<levels>\d{{1,4}})(?![\w.]){_TAIL}")
_NO_NUMBER = {
    limit.name: rx(rf"(?:--(?:{limit.before})[= ]|(?<![\w.])(?:{limit.before}) ?[=:] ?)(?P<bad>[^\s,;\0]+)")
    for limit in LIMITS
}
_NUMBER_LATER = rx(rf"[^.;\n\0]{{0,40}}{NUMBER}")
_NONE = rx(r"\b(?:no|without(?: any)?) (?:tensor[- ]parallel(?:ism)?|tp)\b(?! ?[=\d])")


def read_limits(heard: Heard, known: Known) -> None:
    """Every limit, whether its name or its value comes first."""
    for match in heard.sentence.find(_NONE):
        heard.say("tensor_parallelism", (1,), *match.span())
    for match in heard.sentence.find(_WAYS):
        _say(heard, LIMITS[0], match)
    for match in heard.sentence.find(_BATCH):
        _say(heard, LIMITS[1], match)
    for limit, named, followed in _COMPILED:
        for pattern in (named, followed):
            for match in heard.sentence.find(pattern):
                if pattern is followed and _named_before(heard, match.start("levels")):
                    continue
                if not _is_argument(known, match[0]):
                    _say(heard, limit, match)
    for match in heard.sentence.find(_GLUED):
        _say(heard, LIMITS[0], match)
    for limit in LIMITS:
        for match in heard.sentence.find(_NO_NUMBER[limit.name]):
            if not _NUMBER_LATER.match(heard.sentence.free, match.end()):
                heard.sentence.take(*match.span())
                _ask(heard, limit, *match.span())


def _named_before(heard: Heard, start: int) -> bool:
    """Whether the number belongs to a name that stands before it, as 4 in "TP 4 max-num-seqs 64"."""
    before = heard.sentence.free[max(0, start - 60) : start]
    return any(re.search(rf"(?:{limit.before}){IS}$", before) for limit in LIMITS)


def _ask(heard: Heard, limit: Limit, start: int, end: int) -> None:
    said = heard.sentence.original(start, end)
    heard.ask(limit.name, f"{said!r}: what is {limit.name}? Whole numbers from 1 to {limit.highest}.")


def _is_argument(known: Known, said: str) -> bool:
    """Whether the engine itself has an argument of this name that means another thing, as llama.cpp's ctx-size."""
    return said.lstrip("-").replace("-", "_").replace(" ", "_").startswith("ctx_size") and "ctx_size" in known.arguments


def _say(heard: Heard, limit: Limit, match: re.Match[str]) -> None:
    levels = read_levels(re.sub(r"[- ]way", "", match["levels"]), limit.kind)
    sentence = heard.sentence
    start, end = match.span()
    if " to " in match["levels"] and _FROM_TO.search(sentence.plain[max(0, start - 24) : match.start("levels")]):
        levels = levels[-1:]
    if (
        match["levels"].startswith("-")
        or not levels
        or any(level != int(level) or not 1 <= level <= limit.highest for level in levels)
    ):
        sentence.take(start, end)
        _ask(heard, limit, start, end)
        return
    values = tuple(dict.fromkeys(int(level) for level in levels))
    if limit.name == "tensor_parallelism":
        if _ONLY.search(sentence.plain[max(0, start - 20) : end]):
            heard.say("only", True, start, end)
        if _ADD.search(sentence.plain[max(0, start - 12) : match.start("levels")]):
            heard.say("added", True, start, end)
        heard.say(limit.name, values, start, end)
    else:
        heard.say(limit.name, values, start, end)
