"""Engine arguments in plain words: "with prefix caching", "eager mode", "90% GPU memory", "dtype bf16"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from servelab.catalog.catalog import Catalog
from servelab.catalog.engines import Argument
from servelab.request.reading.flags import bare_value
from servelab.request.reading.heard import Heard
from servelab.request.reading.known import STOP, Known, one_of, rx
from servelab.request.reading.limits import FLAGS
from servelab.request.reading.quantity import IS, JOIN, LEVELS, NUMBER
from servelab.request.reading.values import Unfit, refuse, typed
from servelab.spec.base import Value

_BOTH = (
    r"(?:with and without|with or without|both with and without|w/ and w/o|without and with|"
    r"on and off|toggl(?:e|ing)|with/without|"
    r"enabled (?:and|or|vs\.?) disabled|compar(?:e|ing) with and without|(?:effects?|impact|influence|"
    r"benefits?|cost) (?:of|from))"
)
_OFF = (
    r"(?:without(?: any| using)?|w/o|no(?: use of)?|not(?! only)(?: to)?(?: us(?:e|ing)| with| enable)?|"
    r"disabl(?:e|ed|es|ing)|turn(?:ing)? off|"
    r"switch(?:ing)? off|deactivat(?:e|ed|ing)|minus|leave out|skip(?:ping)?|non|never|"
    r"(?:do(?:es)? not|don't|doesn't|shouldn't|should not|must not)(?: want| need)?(?: to)?(?: use| enable)?(?: any)?|"
    r"avoid(?:ing)?|exclude|excluding)"
)
_ON = (
    r"(?:with|enabl(?:e|es|ed|ing)|turn(?:ing)? on|switch(?:ing)? on|activat(?:e|ed|ing)|us(?:e|ing)|"
    r"add(?:ing)?|allow(?:ing)?|includ(?:e|ing)|want|set|in)"
)
_AFTER_BOTH = (
    r"(?: (?:both )?(?:on (?:and|vs\.?|versus|or|/) off|off (?:and|vs\.?|or) on|enabled (?:and|vs\.?|"
    r"or) disabled|on/off|"
    r"(?:in )?[\[{(]?(?:true|false)(?:/|, ?| and | or | vs\.? )(?:true|false)[\])}]?)|"
    r" ?[=:] ?(?:\[?true, ?false\]?|\[?false, ?true\]?|on/off)|"
    r" (?:in )?[\[{(](?:on, ?off|off, ?on|on/off)[\])}]|"
    r",? (?:and|vs\.?|versus|or)(?: once| then)? without(?: it| that)?(?=$|[,.;)?!]| (?:for|on|to|in|with)\b)|"
    r" (?:helps?|matters?|makes? (?:a|any) difference|pays? off|is worth(?: it)?|hurts?)\b)"
)
_AFTER_OFF = (
    r"(?: (?:is |be |turned |switched |should be |must be |set to ){0,5}(?:off|disabled|deactivated|"
    r"false)\b| ?[=:] ?(?:false|off|no|0|disabled)\b)"
)
_AFTER_ON = (
    r"(?: (?:is |be |turned |switched |should be |must be |set to ){0,5}"
    r"(?:on(?= ?(?:$|[,.;)!?\n]| (?:and|but|for|with)\b))|enabled|activated|true)\b|"
    r" ?[=:] ?(?:true|on|yes|1|enabled)\b)"
)
_JOIN = rx(JOIN)
_BINDS = re.compile(r"[a-z&/+;]")
_CHOICE = r"[a-z][\w-]{1,20}"
_AND = re.compile(r" (?:and|or|vs\.?|versus) |/")
_BUT = re.compile(r",? (?:but|rather|instead)\b")
_VERBS = ("trust", "enforce", "enable", "disable", "use")


@dataclass(frozen=True)
class Phrase:
    """A phrase for one value of an argument."""

    argument: Argument
    value: Value


@dataclass(frozen=True)
class Phrases:
    """All phrases of one engine, and the patterns that find them."""

    phrases: Mapping[str, Phrase]
    found: re.Pattern[str]
    named: Mapping[str, Argument]
    before: re.Pattern[str]
    after: re.Pattern[str]
    chosen: re.Pattern[str]


@cache
def phrases_of(catalog: Catalog, engine: str) -> Phrases:
    """The phrases of an engine's arguments, and the names that take a value."""
    phrases: dict[str, Phrase] = {}
    named: dict[str, Argument] = {}
    for name, argument in catalog.arguments(engine).items():
        words = name.replace("_", " ")
        if argument.flag in FLAGS.values() or name == "tensor_parallel_size":
            continue
        for said, value in argument.spoken.items():
            phrases[_plain(said)] = Phrase(argument, value)
        if argument.type == "bool":
            phrases.setdefault(words, Phrase(argument, True))
            for verb in ("enable ", "disable "):
                if words.startswith(verb):
                    phrases.setdefault(words.removeprefix(verb), Phrase(argument, verb == "enable "))
        else:
            named |= {_plain(said): argument for said in (words, *argument.called)}
    either = one_of(named)
    shares = one_of([said for said, argument in named.items() if argument.type == "float"])
    choices = one_of([said for said, argument in named.items() if argument.type == "enum"])
    said = one_of(phrases)
    return Phrases(
        phrases,
        rx(
            rf"(?:(?:(?P<both>{_BOTH})|(?P<off>{_OFF})|(?P<on>{_ON})) (?:the |a |an |"
            rf"its )?)?(?<![\w/.-])(?P<said>{said})(?![\w/=]|-\w)(?:(?P<then_both>{_AFTER_BOTH})|"
            rf"(?P<then_off>{_AFTER_OFF})|(?P<then_on>{_AFTER_ON}))?(?: mode\b| flag\b)?"
        ),
        named,
        rx(
            rf"(?<![\w/.-])(?P<name>{either})(?![\w-])(?:[ (]{{1,2}}(?:(?:at |with )?(?:an? |the )?(?:sample |"
            rf"sampling )?rate|sampled|sampling))?(?P<is>{IS})(?=\S)"
        ),
        rx(
            rf"(?:(?P<left>leav(?:e|ing)) )?(?<![\w.,-])(?P<value>{NUMBER} ?%?)(?: of)?(?: the| each| all|"
            r" total| its| available| whole| entire){0,3} "
            rf"(?P<name>{shares})(?![\w-])(?P<free> (?:free|unused|spare|empty))?"
        ),
        rx(
            rf"(?<![\w/.=-])(?P<value>{_CHOICE}(?:(?: (?:and|or|vs\.?|versus) |/){_CHOICE}){{0,4}})"
            rf"(?P<glue> (?:for|as)(?: the| an?| our)?)? (?P<name>{choices})(?![\w-])"
        ),
    )


def read_spoken(heard: Heard, known: Known) -> None:
    """Names with values, then phrases."""
    words = phrases_of(known.catalog, known.engine)
    for match in heard.sentence.find(words.before):
        _read_named(heard, words.named[_plain(match["name"])], match)
    for match in heard.sentence.find(words.after):
        argument = words.named[_plain(match["name"])]
        said = match["value"].replace(" ", "")
        if match["left"] or match["free"]:
            said = f"{100 - float(said.rstrip('%')):g}%" if said.endswith("%") else ""
        if said.endswith("%") or argument.type == "int" or said.startswith(("0.", ".", "0,")):
            _say(heard, argument, said, *match.span())
    for match in heard.sentence.find(words.chosen):
        argument = words.named[_plain(match["name"])]
        values = _AND.sub(",", match["value"])
        if ("," in values or match["glue"]) and _fits(argument, values):
            _say(heard, argument, values, *match.span())
    for chain in _chains(heard, list(heard.sentence.find(words.found))):
        way = ""
        for match in chain:
            # "turn off prefix caching and trust remote code" is not without both: a new verb begins.
            way = _way(match) or ("" if match["said"].startswith(_VERBS) else way)
            _read_phrase(heard, words, match, way)


def _chains(heard: Heard, matches: list[re.Match[str]]) -> Iterator[list[re.Match[str]]]:
    """Phrases that are told in one breath: "without prefix caching, eager mode and chunked prefill" is without all.

    Commas alone part them: "no prefix caching, eager mode".
    """
    chain: list[re.Match[str]] = []
    joins: list[str] = []
    for match in matches:
        join = _JOIN.fullmatch(heard.sentence.plain, chain[-1].end(), match.start()) if chain else None
        if chain and not join:
            yield from [chain] if any(map(_BINDS.search, joins)) else [[one] for one in chain]
            chain, joins = [], []
        joins += [join[0]] if join else []
        chain.append(match)
    if chain:
        yield from [chain] if any(map(_BINDS.search, joins)) else [[one] for one in chain]


def _way(match: re.Match[str]) -> str:
    """Whether a phrase is turned on, off, or both in turn; empty where nothing is said of it."""
    return next((way for way in ("both", "off", "on") if match[way] or match[f"then_{way}"]), "")


def _read_phrase(heard: Heard, words: Phrases, match: re.Match[str], way: str) -> None:
    phrase = words.phrases[_plain(match["said"])]
    argument, value = phrase.argument, phrase.value
    both, off = way == "both", way == "off"
    if isinstance(value, bool):
        heard.say(argument.flag, (True, False) if both else (not value if off else value), *match.span())
    elif off and _BUT.match(heard.sentence.plain, match.end()):
        heard.sentence.take(*match.span())  # "not fp8 but awq"
    elif both or off:
        heard.sentence.take(*match.span())
        refuse(heard, argument, f"was told to be without {value}: a value is needed")
    else:
        heard.say(argument.flag, value, *match.span())


def _read_named(heard: Heard, argument: Argument, match: re.Match[str]) -> None:
    sentence = heard.sentence
    if argument.type in ("int", "float"):
        levels = rx(rf"-?(?:{LEVELS})").match(sentence.free, match.end()) or rx(rf"{NUMBER} ?%").match(
            sentence.free, match.end()
        )
        if levels:
            percent = re.compile(r" ?%").match(sentence.free, levels.end())
            _say(
                heard,
                argument,
                levels[0].replace(" %", "%") + ("%" if percent else ""),
                match.start(),
                percent.end() if percent else levels.end(),
            )
        return
    said, end = bare_value(heard, match.end())
    told = bool(match["is"].strip(" \"'([{"))  # "dtype is bf17" is meant as a value, "dtype bf17" may be something else
    if not said or said.lower() in STOP or not (_fits(argument, said) or told):
        return
    while argument.type == "enum" and (join := rx(JOIN).match(sentence.free, end)):
        more, then = bare_value(heard, join.end())
        if not _fits(argument, more):
            break
        said, end = f"{said},{more}", then
    _say(heard, argument, said, match.start(), end)


def _fits(argument: Argument, said: str) -> bool:
    if argument.type == "string" and not argument.usual:
        return False
    try:
        return bool(typed(argument, said))
    except Unfit:
        return False


def _say(heard: Heard, argument: Argument, said: str, start: int, end: int) -> None:
    try:
        values = typed(argument, said)
    except Unfit as fault:
        heard.sentence.take(start, end)
        refuse(heard, argument, str(fault))
        return
    heard.say(argument.flag, values if len(values) > 1 else values[0], start, end)


def _plain(said: str) -> str:
    return re.sub(r"[-_ ]+", " ", said.lower())
