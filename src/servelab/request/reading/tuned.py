"""Which arguments a search is about, where their names alone were said: "tune max-num-seqs and kv-cache-dtype"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from servelab.catalog.catalog import Catalog
from servelab.request.reading.heard import Heard, Mention
from servelab.request.reading.known import Known, one_of, rx
from servelab.request.reading.quantity import IS
from servelab.request.said import Intent

_SEARCH = r"(?:(?:auto[- ]?)?tun(?:e|ing)|optimi[sz](?:e|ing)|search(?:ing)?(?: over| through)?|explor(?:e|ing))"
_BETWEEN = r"(?:,? and | ?[,/&+] ?)(?:the )?"
_VALUE = rf"(?!(?: (?:from|between|in))?{IS}[\d.])"
_VERB = re.compile(r"(?:enable|disable|enforce|use) ")


def read_tuned(heard: Heard, known: Known) -> None:
    """Names after the word for a search, none of them with a value."""
    pattern, flags = _names(known.catalog, known.engine)
    for match in heard.sentence.find(pattern):
        said = [flags[_plain(name)] for name in re.split(_BETWEEN, match["names"])]
        heard.mentions.append(Mention("intent", Intent.TUNE, *match.span()))
        ranges = {one.flag for one in known.arguments.values() if one.tune is not None}
        for flag in dict.fromkeys(said):
            if flag not in ranges:
                heard.warn(f"{flag} has no usual range: it is searched where values are given")
        found = tuple(dict.fromkeys(flag for flag in said if flag in ranges))
        if found:
            heard.say("tuned", found, *match.span())
        else:
            heard.sentence.take(*match.span())
            heard.ask(
                said[0], f"Which values are to be tried? Say them with the name: {said[0].lstrip('-')} VALUE, VALUE"
            )


@cache
def _names(catalog: Catalog, engine: str) -> tuple[re.Pattern[str], Mapping[str, str]]:
    """What finds names after the word for a search; and the flag that each name stands for."""
    flags: dict[str, str] = {}
    for name, one in catalog.arguments(engine).items():
        if one.type not in ("string", "json") and name not in ("tensor_parallel_size", "tp_size"):
            switch = (_VERB.sub("", _plain(name)), *one.spoken) if one.type == "bool" else ()
            flags |= {_plain(said): one.flag for said in (name, *one.called, *switch)}
    name = one_of(flags)
    pattern = rf"(?<![\w-]){_SEARCH} (?:(?:the|only|just|both) ){{0,2}}(?P<names>{name}(?:{_BETWEEN}{name}){{0,15}})"
    return rx(rf"{pattern}(?![\w-]){_VALUE}"), flags


def _plain(said: str) -> str:
    return re.sub(r"[-_ ]+", " ", said.lower())
