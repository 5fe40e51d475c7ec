"""The workload: a preset by its name or by what people call it, or one of one's own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from servelab.catalog.catalog import Catalog
from servelab.request.reading.heard import Heard
from servelab.request.reading.known import Known, one_of, rx
from servelab.request.said import Option

_KINDS = (
    r"workloads?|benchmarks?|presets?|traffic|scenarios?|profiles?|use[- ]?cases?|apps?|applications?|"
    r"requests?|load|tests?|style|-style|type|tasks?|experiments?|runs?|data|mix|like|based"
)
_KIND = rf"(?:{_KINDS})"
_LEAD = (
    r"(?:(?:-{0,2}\b(?:workload|wl)(?:\.preset|\.app)?|workload (?:type|preset|app|name)|"
    r"preset)(?: ?[=:] ?| (?:is |of |to |should be |called |named |like |from )?(?:the |an? )?)[\"']?)"
)
_CUSTOM = rx(
    r"(?:(?:an? |my |the |with |using |own ){0,5}(?:custom|own|self-defined|"
    rf"user-defined)[- ](?:token |length )?(?:{_KIND}|distribution|prompts?|lengths?)(?: profile|"
    rf" preset)?\b:?|{_LEAD}custom\b)"
)
_THING = re.compile(
    r"\b(?:a|an|the|your|my|me|full|short|detailed|final|machine|deep|reinforcement|next|until|data|"
    r"performance|latency)[ -]$"
)
_PRESET = rx(
    r"(?:\bpreset(?: ?[=:] ?| (?:is |called |named )?)[\"']?(?P<a>[a-z]+)[\"']?|"
    r"workload\.preset ?[=:] ?(?P<c>[a-z]+)|[\"']?\b(?P<b>[a-z]+)[\"']? preset\b)"
)
_NO_WORKLOAD = r"(?! (?:parameters?|coefficients?|constants?|costs?|latency|times?|speed|tokens?|(?:and|or) decode)\b)"
"""Behind a keyword that then is no workload's: "prefill latency", "prefill and decode"."""


@dataclass(frozen=True)
class Keywords:
    """What people call presets; ``weak`` words have other meanings too and count only where nothing else is said."""

    presets: dict[str, str]
    weak: frozenset[str]
    pattern: re.Pattern[str]


@cache
def keywords_of(catalog: Catalog) -> Keywords:
    """All keywords of a catalog's presets; the presets' own names are among them, unless they mean another one."""
    presets = {name: name for name in catalog.presets}
    weak: set[str] = set()
    for name, preset in catalog.presets.items():
        presets |= {_plain(word): name for word in (*preset.keywords, *preset.weak)}
        weak |= {_plain(word) for word in preset.weak}
    words = one_of(presets)
    pattern = rx(
        rf"(?:{_LEAD}|(?<![\w/.=$-]))(?P<word>{words})(?![\w/=]|\.\w|"
        rf"-(?!(?:{_KINDS})\b)){_NO_WORKLOAD}(?P<kind>[\"']?[- ]?{_KIND}(?:[- ]{_KIND}){{0,5}}\b)?"
    )
    return Keywords(presets, frozenset(weak), pattern)


def read_workload(heard: Heard, known: Known) -> None:
    """A preset, or ``custom``; two different ones are asked about."""
    for match in heard.sentence.find(_PRESET):
        name = next(group for group in match.groups() if group)
        if name in known.catalog.presets:
            heard.say("workload", name, *match.span())
    for match in heard.sentence.find(_CUSTOM):
        heard.say("workload", "custom", *match.span())
    words = keywords_of(known.catalog)
    found = list(heard.sentence.find(words.pattern))
    found = [match for match in found if match["kind"] or not _is_a_thing(heard, words, match)]
    strong = [match for match in found if _plain(match["word"]) not in words.weak]
    anchored = [match for match in found if match["kind"] or match.start("word") > match.start()]
    custom = bool(heard.said("workload"))
    chosen = [] if custom else strong or anchored or found
    for match in found:
        if match in chosen:
            _say(heard, words, match)
        elif match in strong or (_plain(match["word"]) in words.weak and (match in anchored or chosen)):
            heard.sentence.take(*match.span())


def _is_a_thing(heard: Heard, words: Keywords, match: re.Match[str]) -> bool:
    """Whether a weak word is something else: "send me a report", "machine learning"."""
    before = heard.sentence.plain[max(0, match.start() - 24) : match.start()]
    return _plain(match["word"]) in words.weak and bool(_THING.search(before))


def _say(heard: Heard, words: Keywords, match: re.Match[str]) -> None:
    heard.sentence.take(*match.span())
    heard.say("workload", words.presets[_plain(match["word"])], *match.span("word"))


def options(known: Known, names: list[str]) -> list[Option]:
    """Presets as answers."""
    return [
        Option(value=name, label=name, notes=(known.catalog.presets[name].description,))
        for name in names
        if name in known.catalog.presets
    ]


def _plain(word: str) -> str:
    return re.sub(r"[-_ ]+", " ", word.lower())
