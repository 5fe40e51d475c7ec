"""Token counts of a workload: prompts, outputs, prefix."""

from __future__ import annotations

import re

from servelab.request.reading.heard import Heard
from servelab.request.reading.known import Known, rx
from servelab.request.reading.quantity import IS, NUMBER, TOKENS, read_number

_PROMPT = r"(?:prompts?|inputs?|isl|in|question|queries|query)"
_OUTPUT = r"(?:outputs?|osl|out|generations?|generated|completions?|answers?|responses?|replies|decode|generate)"
_SIDE = rf"(?:(?P<prompt>{_PROMPT})|(?P<output>{_OUTPUT}))"
_TOKENS = r"(?:[-_ ]?(?:tokens?|toks?|len(?:gth)?s?|sizes?|count)){0,5}"
_STAT = r"(?:(?P<stdev>std[-_. ]?dev(?:iation)?|standard deviation|std|stdev|sd|sigma|variance|variation)|(?P<min>min(?:imum)?|at least|shortest)|(?P<max>max(?:imum)?|at most|up to|longest)|(?P<mean>mean|average|avg|typical(?:ly)?|about|around))"
_PARTS = ("stdev", "min", "max", "mean")
_SPREAD = rf"(?: ?(?:±|\+/?-) ?(?P<spread>{NUMBER})| ?[,(]? ?(?:with )?(?:an? )?(?:stdev|std[-. ]?dev|std|sd|standard deviation|sigma)(?: of| is)? ?=? ?(?P<spread2>{NUMBER})\)?)?"
_TO = rf"(?: ?- ?| to | and |\.\.)(?P<high>{NUMBER})"

# 500 input tokens; 200 to 800 prompt tokens; 500±100 output tokens; 1024-token prompts
_BEFORE = rx(
    rf"(?<![\w.,=-])(?:(?:between|from) )?(?P<value>{NUMBER})(?:{_TO})?{_SPREAD}(?:[- ](?:tokens?|toks?))?(?:[- ](?:long|of|for|in|the|per|sized)){{0,5}}[- ]{_SIDE}(?:[-_ ](?:tokens?|toks?|lengths?|len)\b(?: ?each)?)?(?![\w=]|[- ]?(?:std|min|max|mean|len|per\b|/s)| ?[=:])"
)
# prompt tokens 500; prompt_tokens_stdev=10; input length of 1k; ISL 1024; prompts of 200 to 800 tokens; max output 100
_AFTER = rx(
    rf"-{{0,2}}(?:random[-_])?\b(?:{_STAT}[-_ ](?:of |for |the ){{0,5}})?{_SIDE}{_TOKENS}(?:[-_ ]{_STAT.replace('(?P<', '(?P<after_')}{_TOKENS})?{IS}(?:between |from |about |around |approximately |roughly |~ ?)?(?P<value>{NUMBER})(?![\w%]|/\w|\.\d)(?:{_TO}(?! ?(?:{_OUTPUT}|{_PROMPT})\b))?{_SPREAD}(?:[- ]?(?:tokens?|toks?)\b)?(?: (?:long|each|on average|in length|per request)){{0,5}}"
)
_SIDE_BEFORE = rx(rf"(?<![\w])(?:{_PROMPT}|{_OUTPUT}){_TOKENS}{IS}$")
_BARE_STAT = rx(rf"(?:[,(;] ?|(?:and|with|an?|the) ){{0,5}}(?:\b{_STAT}(?: (?:of|is))?[ =:]+|(?:±|\+/?-) ?)(?P<value>{NUMBER})(?![\w%.])(?: tokens?)?\)?")
_LISTED_STAT = rx(rf"\b(?P<stat>std[-_. ]?dev|stdev|std|min|max|mean)s?:? (?P<rest>(?:(?:and |, ?)?(?:{_PROMPT}|{_OUTPUT}){_TOKENS} ?[=: ] ?{NUMBER} ?){{1,4}})")
_PAIR = rx(rf"(?<![\w.,=/-])(?P<value>{NUMBER}) ?(?:/|in ?/ ?|in,? (?:and )?|->|→|x) ?(?P<out>{NUMBER}) ?(?:tokens?(?: in ?/ ?out)?|in/out|out\b|input/output(?: tokens)?|\(?isl/osl\)?)")
_PREFIX = rx(
    rf"-{{0,2}}\b(?:(?:shared|common|cached|system|fixed)[-_ ]){{0,5}}(?:prefix(?:es)?|system[-_ ]prompts?)(?! ?cach)(?:[-_ ](?:tokens?|len(?:gth)?|size)){{0,5}}{IS}(?P<value>{NUMBER})(?![\w%.])(?:[- ]?tokens?)?(?: long)?"
    rf"|(?<![\w.,=-])(?P<before>{NUMBER})[- ]?(?:tokens?)?[- ](?:of |long ){{0,5}}(?:(?:shared|common|cached|fixed)[- ]){{0,5}}(?:prefix(?:es)?|system[- ]prompts?)(?![- ]?cach)(?: tokens?| length)?\b"
    rf"|\b(?P<none>no|without(?: an?y?)?(?: shared)?) (?:shared |common ){{0,5}}prefix\b(?![- ]?cach)(?: tokens?)?"
)
_UNIFORM = "the mean of {what} from {low:g} to {high:g} tokens is taken as {mean:g}"


def read_lengths(heard: Heard, known: Known) -> None:
    """Means, deviations and bounds of prompts and outputs, and the prefix."""
    for match in heard.sentence.find(_PREFIX):
        value = 0.0 if match["none"] else read_number(match["value"] or match["before"], TOKENS)
        if value is not None and value == int(value):
            heard.say("profile.prefix", int(value), *match.span())
    for match in heard.sentence.find(_LISTED_STAT):
        _listed(heard, match)
    for match in heard.sentence.find(_PAIR):
        _say(heard, "prompt", "mean", match["value"], match.start(), match.end())
        _say(heard, "output", "mean", match["out"], match.start(), match.end())
    for match in heard.sentence.find(_BEFORE):
        # In "ISL 1024 OSL 128" the first number belongs to what stands before it.
        if not _SIDE_BEFORE.search(heard.sentence.free, max(0, match.start() - 40), match.start()):
            _sided(heard, match)
    for match in heard.sentence.find(_AFTER):
        _sided(heard, match)
    for match in heard.sentence.find(_BARE_STAT):
        _after_a_length(heard, match)


def _sided(heard: Heard, match: re.Match[str]) -> None:
    groups = match.groupdict()
    side = "prompt" if groups["prompt"] else "output"
    bare = groups["prompt"] in ("in",) or groups["output"] in ("out", "decode", "generate")
    if bare and "token" not in match[0]:
        return
    part = next((part for part in _PARTS if groups.get(part) or groups.get(f"after_{part}")), "mean")
    start, end = match.span()
    high = read_number(groups["high"], TOKENS) if groups["high"] else None
    low = read_number(groups["value"], TOKENS)
    if low is None:
        return
    if high is not None and high > low:
        _say(heard, side, "min", groups["value"], start, end)
        _say(heard, side, "max", groups["high"], start, end)
        mean = (low + high) / 2
        heard.warn(_UNIFORM.format(what=f"{side} lengths", low=low, high=high, mean=mean))
        heard.say(f"profile.{side}.mean", mean, start, end)
    else:
        _say(heard, side, part, groups["value"], start, end)
    spread = groups["spread"] or groups["spread2"]
    if spread:
        _say(heard, side, "stdev", spread, start, end)


def _listed(heard: Heard, match: re.Match[str]) -> None:
    """``stdev prompt=100 output=50``: one statistic for both sides."""
    name = match["stat"]
    part = name if name in ("min", "max", "mean") else "stdev"
    for said in re.finditer(rf"{_SIDE}{_TOKENS} ?[=: ] ?(?P<value>{NUMBER})", match["rest"]):
        side = "prompt" if said["prompt"] else "output"
        _say(heard, side, part, said["value"], match.start(), match.end())


def _after_a_length(heard: Heard, match: re.Match[str]) -> None:
    """``500 prompt tokens, stdev 100``: a statistic belongs to the side that was named last before it."""
    said = [one for one in heard.mentions if one.name.startswith(("profile.prompt", "profile.output")) and one.end <= match.start()]
    if said and match.start() - max(one.end for one in said) <= 2:
        side = max(said, key=lambda one: one.end).name.split(".")[1]
        part = next((part for part in _PARTS if match[part]), "stdev")
        _say(heard, side, part, match["value"], *match.span())


def _say(heard: Heard, side: str, part: str, said: str, start: int, end: int) -> None:
    value = read_number(said, TOKENS)
    whole = part in ("min", "max")
    if value is None or (whole and value != int(value)) or (value <= 0 and part in ("mean", "max")):
        heard.sentence.take(start, end)
        parameter = f"{side}_tokens" + ("" if part == "mean" else f"_{part}")
        heard.ask(parameter, f"{heard.sentence.original(start, end)!r}: how many tokens is {parameter}? A number above 0.")
        return
    heard.say(f"profile.{side}.{part}", int(value) if whole else value, start, end)
