"""Token counts of a workload: prompts, outputs, prefix."""

from __future__ import annotations

import re

from servelab.request.reading.heard import Heard
from servelab.request.reading.known import Known, rx
from servelab.request.reading.quantity import IS, NUMBER, TOKENS, read_number
from servelab.request.said import Lengths

_PROMPT = r"(?:in(?= ?[=:] ?\d)|prompts?|inputs?|isl|questions?|requests? prompts?)"
_OUTPUT = r"(?:out(?= ?[=:] ?\d)|outputs?|osl|generations?|generated|completions?|answers?|responses?|replies|decode)"
_SIDE = rf"(?:(?P<prompt>{_PROMPT})|(?P<output>{_OUTPUT}))"
_TOKENS = r"(?:[-_ ]?(?:tokens?|toks?|len(?:gth)?s?|sizes?|count)){0,3}"
_STDEV = r"(?:std[-_. ]?dev(?:iation)?|standard deviation|std|stdev|sd|sigma|variation)"
_STAT = (
    rf"(?:(?P<stdev>{_STDEV})|(?P<min>min(?:imum|imal)?|at least|shortest)|"
    r"(?P<max>max(?:imum|imal)?|at most|up to|longest|no more than)|(?P<mean>mean|average|averaging|avg|"
    r"typical(?:ly)?|around|centered (?:on|at)))"
)
_PARTS = ("stdev", "min", "max", "mean")
_RANGE = rf"(?:between {NUMBER} and {NUMBER}|(?:from )?{NUMBER}(?: ?- ?| to |\.\.){NUMBER})"
_AMOUNT = rf"(?P<amount>{_RANGE}|{NUMBER})"
_SPREAD = rf"(?P<spread> ?(?:±|\+/?-) ?{NUMBER}| ?[,(]? ?(?:with )?(?:an? )?{_STDEV}(?: of| is)? ?=? ?{NUMBER}\)?)?"
_END = r"(?![\w%]|/(?!out)\w|\.\d)"
_WORDS = r"(?: (?:long|each|on average|in length|per request)){0,3}"

# 500 input tokens; 200 to 800 prompt tokens; 500±100 output tokens; 1024-token prompts; 500 tokens of input
_BEFORE = rx(
    rf"(?<![\w.,=-]){_AMOUNT}{_SPREAD}(?:[- ](?:tokens?|toks?)(?:[- ](?:long|of|for|in|per|the|each|"
    rf"sized)){{0,4}}| of(?: the)?)?[- ]{_SIDE}"
    rf"(?:[-_ ](?:tokens?|toks?|lengths?|len)\b)?{_WORDS}(?![\w=]|[-_ ]?(?:std|min|max|mean|len|per\b|"
    r"/s)| ?[=:]| ?(?:throughput|latency|speed))"
)
# prompt tokens 500; prompt_tokens_stdev=10; input length of 1k; ISL 1024; prompts of 200 to 800 tokens; max output 100
_STAT_AFTER = _STAT.replace("(?P<", "(?P<after_")
_ABOUT = (
    r"(?:(?:about|around|approximately|roughly|anywhere from|"
    r"(?:distributed )?(?:uniform|even|random)(?:ly)?(?: distributed)?(?: from| between)?) |~ ?)?"
)
_AFTER = rx(
    rf"-{{0,2}}(?:random[-_])?\b(?:{_STAT}[-_ ](?:of |for |the ){{0,2}})?{_SIDE}{_TOKENS}"
    rf"(?:(?: of| with| having)?(?: an?)?[-_ ]{_STAT_AFTER}{_TOKENS})?{IS}{_ABOUT}"
    rf"{_AMOUNT}{_END}{_SPREAD}(?:[- ]?(?:tokens?|toks?)\b)?{_WORDS}"
)
_MORE = rx(
    rf"(?:[,(;] ?|(?:and|with|an?|the) ){{0,3}}(?:(?:\b{_STAT}(?: (?:of|is))?[ =:]+|(?:±|\+/?-) ?)(?P<value>{NUMBER})|"
    rf"(?P<range>(?:between|from) {NUMBER} (?:and|to) {NUMBER})){_END}(?: tokens?)?\)?"
)
_SIDE_BEFORE = rx(rf"(?<![\w])(?:{_PROMPT}|{_OUTPUT}){_TOKENS}{IS}$")
LENGTH = rf"(?:isl|osl|(?:{_PROMPT}|{_OUTPUT})[-_ ](?:tokens?|len(?:gth)?s?|sizes?))"
"""A length's full name."""
_LISTED = rx(
    rf"\b(?P<stat>{_STDEV}|min|max|mean)s?:? (?P<rest>(?:(?:and |, ?)?(?:{_PROMPT}|"
    rf"{_OUTPUT}){_TOKENS} ?[=: ] ?{NUMBER} ?){{1,4}})"
)
_PAIR = rx(
    rf"(?<![\w.,=/-])(?P<value>{NUMBER})(?:[- ]?tokens?)? ?(?:/|in ?/ ?|in,? (?:and )?|->|x) ?(?P<out>{NUMBER}) ?"
    r"(?:tokens? (?:in ?/ ?)?out\b|tokens?|in/out|out\b|input/output(?: tokens)?|\(?isl/osl\)?)"
)
_BOTH = rx(
    rf"\b{_PROMPT}(?: ?/ ?| and ){_OUTPUT}{_TOKENS}(?: both)?{IS}(?P<value>{NUMBER})(?: ?(?:/|,|x) ?|"
    rf" and )?(?P<out>(?<=[/,x d]){NUMBER})?"
    rf"{_END}(?: tokens?)?(?: respectively| each)?"
)
_PREFIX = rx(
    r"-{0,2}\b(?:(?:shared|common|cached|system|fixed)[-_ ]){0,2}(?:prefix(?:es)?|system[-_ ]prompts?)(?! ?cach)"
    rf"(?:[-_ ](?:tokens?|len(?:gth)?|size)){{0,2}}{IS}(?P<value>{NUMBER})(?![\w%.])(?:[- ]?tokens?)?(?: long)?"
    rf"|(?<![\w.,=-])(?P<before>{NUMBER})[- ]?(?:tokens?)?[- ](?:of |long |(?:shared|common|cached|fixed)[- ]){{0,4}}"
    r"(?:prefix(?:es)?|system[- ]prompts?)(?![- ]?cach)(?: tokens?| length)?\b"
    r"|\b(?P<none>no|without(?: an?y?)?) (?:shared |common ){0,2}prefix\b(?![- ]?cach)(?: tokens?)?"
)


def read_lengths(heard: Heard, known: Known) -> None:
    """Means, deviations and bounds of prompts and outputs, and the prefix."""
    for match in heard.sentence.find(_PREFIX):
        value = 0.0 if match["none"] else read_number(match["value"] or match["before"], TOKENS)
        if value is not None and value == int(value):
            heard.say("profile.prefix", int(value), *match.span())
    for match in heard.sentence.find(_LISTED):
        _listed(heard, match)
    for pattern in (_BOTH, _PAIR):
        for match in heard.sentence.find(pattern):
            _say(heard, "prompt", "mean", match["value"], *match.span())
            _say(heard, "output", "mean", match["out"] or match["value"], *match.span())
    for match in heard.sentence.find(_BEFORE):
        # In "ISL 1024 OSL 128" the first number belongs to what stands before it.
        if not _SIDE_BEFORE.search(heard.sentence.free, max(0, match.start() - 40), match.start()):
            _sided(heard, match)
    for match in heard.sentence.find(_AFTER):
        _sided(heard, match)
    for match in heard.sentence.find(_MORE):
        _more(heard, match)
    for side in ("prompt", "output"):
        _mean_of_range(heard, known, side)


def _sided(heard: Heard, match: re.Match[str]) -> None:
    groups = match.groupdict()
    side = "prompt" if groups["prompt"] else "output"
    part = next((part for part in _PARTS if groups.get(part) or groups.get(f"after_{part}")), "mean")
    amounts = re.findall(NUMBER, groups["amount"])
    if len(amounts) == 2:
        _bounds(heard, side, amounts, match)
    else:
        _say(heard, side, part, amounts[0], *match.span())
    if groups["spread"]:
        _say(heard, side, "stdev", re.findall(NUMBER, groups["spread"])[-1], *match.span())


def _mean_of_range(heard: Heard, known: Known, side: str) -> None:
    """Lengths "from 200 to 800 tokens" without a mean have it in the middle."""
    low, high, mean = (heard.said(f"profile.{side}.{part}") for part in ("min", "max", "mean"))
    before: Lengths = getattr(known.before.profile, side)
    if low and high and low[0].start == high[0].start and not mean and before.mean is None:
        middle = (low[0].value + high[0].value) / 2
        heard.warn(f"the mean of {side} lengths from {low[0].value} to {high[0].value} tokens is taken as {middle:g}")
        heard.say(f"profile.{side}.mean", middle, low[0].start, low[0].end)


def _listed(heard: Heard, match: re.Match[str]) -> None:
    """``stdev prompt=100 output=50``: one statistic for both sides."""
    part = match["stat"] if match["stat"] in ("min", "max", "mean") else "stdev"
    for said in re.finditer(rf"{_SIDE}{_TOKENS} ?[=: ] ?(?P<value>{NUMBER})", match["rest"]):
        _say(heard, "prompt" if said["prompt"] else "output", part, said["value"], *match.span())


def _more(heard: Heard, match: re.Match[str]) -> None:
    """``500 prompt tokens, stdev 100``: what follows belongs to the side that was named just before it."""
    said = [one for one in heard.mentions if one.name.startswith(("profile.prompt", "profile.output"))]
    before = [one for one in said if one.end <= match.start()]
    if not before or match.start() - max(one.end for one in before) > 2:
        return
    side = max(before, key=lambda one: one.end).name.split(".")[1]
    if match["range"]:
        _bounds(heard, side, re.findall(NUMBER, match["range"]), match)
    else:
        _say(heard, side, next((part for part in _PARTS if match[part]), "stdev"), match["value"], *match.span())


def _bounds(heard: Heard, side: str, amounts: list[str], match: re.Match[str]) -> None:
    _say(heard, side, "min", amounts[0], *match.span())
    _say(heard, side, "max", amounts[1], *match.span())


def _say(heard: Heard, side: str, part: str, said: str, start: int, end: int) -> None:
    value = read_number(said, TOKENS)
    whole = part in ("min", "max")
    if value is None or (whole and value != int(value)) or (value <= 0 and part in ("mean", "max")):
        heard.sentence.take(start, end)
        parameter = f"{side}_tokens" + ("" if part == "mean" else f"_{part}")
        heard.ask(parameter, f"{heard.sentence.original(start, end)!r}: how many tokens? A number above 0.")
        return
    heard.say(f"profile.{side}.{part}", int(value) if whole else value, start, end)
