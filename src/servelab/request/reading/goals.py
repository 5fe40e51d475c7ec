"""What is wanted of the result: an objective, and bounds (SLOs)."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

from servelab.request.reading.heard import Heard
from servelab.request.reading.known import Known, rx
from servelab.request.reading.metrics import GOAL, LATENCIES, METRIC, STATISTIC, Said, metric_of, named
from servelab.request.reading.quantity import DECIMAL, NUMBER, read_number
from servelab.request.said import Intent
from servelab.spec.goal import Constraint, Objective
from servelab.spec.metrics import Direction, metric

_UNIT = (
    r"(?P<unit>ms|msecs?|milli ?sec(?:ond)?s?|s|secs?|seconds?|us|%|percent|"
    r"(?:output )?tok(?:en)?s?(?:/| per )s(?:ec(?:ond)?)?(?:/gpu| per gpu)?|tps|req(?:uest)?s?(?:/|"
    r" per )s(?:ec(?:ond)?)?|rps)?(?![a-z])"
)
_IS = r"(?:(?:is|are|be|must|should|stays?|of) ){0,3}"
_BELOW = (
    rf"{_IS}(?:<=?|=<)|"
    r"(?:in |comes? |arrives? |is |be |stays? |staying |kept |keep |remain(?:s|ing)? |must |should |has to |"
    r"needs to |to |of |was |that |which |"
    r"with |an? |are |have |not |slo |target ){0,5}(?:"
    r"under|below|(?:less|lower|smaller) than|less(?= \d)|at or (?:below|under)|"
    r"sub(?= ?\d)|no later than|no more than|not more than|at most|"
    r"(?:not|never|n't|cannot) (?:to )?(?:go|goes|rise|rises|get|gets|be|climb|grow)? ?(?:above|over|beyond|past)|"
    r"no (?:higher|worse|greater|longer|slower) than|not (?:to )?exceed(?:ing)?|(?:does|do|must|"
    r"should|may|can)(?: not|n't) exceed|"
    r"never (?:above|over|exceeds?)|never exceeding|not (?:above|over)|within|up to|max(?:imum|"
    r"\.)?(?: of)?|capped at|limited to|"
    r"bounded by|beneath|faster than|quicker than|inside)"
)
_ABOVE = (
    rf"{_IS}(?:>=?|=>)|"
    r"(?:is |be |stays? |staying |kept |must |should |has to |needs to |to |of |that |which |"
    r"with ){0,5}(?:above|over|at least|"
    r"more than|higher than|greater than|no less than|not less than|no lower than|not below|"
    r"min(?:imum|\.)?(?: of)?|exceed(?:s|ing)?|beyond)"
)
_LATE = (
    rf"(?: ?\(?(?:at |for |@ ?|in |on )?(?:the )?(?P<late>{STATISTIC})\)?"
    rf"(?![ _(-]*(?:the |of )?(?:{'|'.join(LATENCIES.values())})))?"
)
_VALUE = rf"(?:an? |the )?(?P<value>{NUMBER}) ?{_UNIT}"
_BOUND = rx(
    rf"{METRIC} ?(?:slo )?(?:(?P<below>{_BELOW})|(?P<above>{_ABOVE})|(?P<equal>=|:|of|is|"
    r"(?:should|must|has to|have to|needs? to|to|can|may) be|are|target(?: of)?|slo(?: of)?|budget of|"
    rf"limit(?: of)?|at|to)?) ?{_VALUE}{_LATE}"
)
_BOUND_FIRST = rx(
    rf"(?:(?P<late>{STATISTIC}) )?(?:(?P<below>under|below|less than|at most|within|no more than|<=?|"
    r"max(?:imum)?(?: of)?)|"
    rf"(?P<above>at least|above|over|more than|min(?:imum)?(?: of)?|>=?)) ?{_VALUE} (?:of |for |on |in )?{METRIC}"
)
_BOUND_UNIT = rx(
    rf"(?<![\w.,])(?P<value>{NUMBER}) ?(?P<unit>ms|msecs?|milli ?sec(?:ond)?s?|s|secs?|seconds?)(?P<below>) "
    rf"(?:for |of )?{METRIC}(?: ?\(?(?:at |@ ?|in |on )?(?:the )?(?P<late>{STATISTIC})\)?)?"
)
"""A time and a latency side by side: "500 ms p95 TTFT"."""

_FORBIDS = rx(
    r"\b(?:without|never|not|don't|cannot|avoid)(?: (?:let(?:ting)?|hav(?:e|ing)|allow(?:ing)?|ever))?"
    r"(?: (?:the|our|any|its))?\s*$"
)
_SUCCEED = rx(
    rf"(?:at least |more than |>=? ?)?(?<![\w.,])(?P<value>{NUMBER}) ?(?P<unit>%)(?P<below>) of (?:all |the |our )?"
    r"requests (?:(?:should|must|have to|need to|to|are|be) ){0,2}(?:succeed|successful|complete)\b"
)
_BOUND_NAMED = rx(rf"{_VALUE} {METRIC} (?P<below>slo|target|limit|bound|budget|ceiling|cap)\b")
_BOUND_ALONE = rx(rf"(?P<late>{STATISTIC}) ?(?P<below>{_BELOW}) ?{_VALUE}")
_BASE = rx("|".join(f"(?P<{name}>{words})" for name, words in LATENCIES.items()))

_MORE = (
    r"maxim(?:i[sz]e|i[sz]ing|um|al)|max(?:ing)?(?: out)?|highest|most|best(?: possible)?|greatest|increas(?:e|ing)|"
    r"how (?:many|much|high|large)(?: (?:more|an?))?|"
    r"improv(?:e|ing)|boost(?:ing)?|higher|push(?:ing)?|as (?:much|many)|largest|peak"
)
_LESS = (
    r"minim(?:i[sz]e|i[sz]ing|um|al)|min|lowest|least|reduc(?:e|ing)|decreas(?:e|ing)|lower(?:ing)?|"
    r"shortest|smallest|fastest|"
    r"quickest|cut(?:ting)?|shrink"
)
_EITHER = (
    r"optimi[sz](?:e|es|ing|ed)|tun(?:e|ing|ed)|optimal|(?:objective|goal|aim|priority|target)(?: is|"
    r" of| being)?(?: good| high| low| better)?|prioriti[sz](?:e|ing)|focus(?:ing)? on|"
    r"care(?: most)? about|best"
)
_BETWEEN = (
    r"(?: (?:vllm|sglang|it|the (?:engine|server|config(?:uration)?|settings|deployment)))?(?: (?:for|"
    r"on|in|towards?|to|get|with|the|its|our|"
    r"possible|overall|of|a|an|as|low|high|max(?:imum|imal)?|min(?:imum|imal)?|maxim(?:i[sz]e|"
    r"i[sz]ing)|minim(?:i[sz]e|i[sz]ing)|best)){0,5}"
)
_LEVEL = r"(?: at (?:a )?(?P<at_word>concurrency|rate)(?: of)? (?P<at>\d+(?:\.\d+)?))?(?: as possible)?"
_OBJECTIVE = rx(rf"\b(?:(?P<more>{_MORE})|(?P<less>{_LESS})|(?P<either>{_EITHER})){_BETWEEN} ?[:=]? ?{GOAL}{_LEVEL}")
_AS_POSSIBLE = rx(rf"(?:as )?(?:(?P<more>high)|(?P<less>low|fast)) (?:an? )?{GOAL} as possible")
_IN_TERMS = rx(
    r"(?:as )?(?:fast(?:est)?|quick(?:est)?|best|good|well|efficient(?:ly)?)(?: as possible)? (?:in terms of|"
    rf"with respect to|w\.r\.t\.|regarding|judged by|(?:as )?measured by) (?:the )?{GOAL}"
)
_THEN = rx(
    rf"{GOAL} (?:(?:(?:should|must|to|is|be) ){{0,3}}(?:as )?"
    r"(?:(?P<more>high|large)|(?P<less>low|fast|small)) as possible|"
    r"(?:is |be |should be |to be )?(?:max(?:imi[sz]ed|imum)?|min(?:imi[sz]ed|imum)?)\b(?! ?\d| of)|"
    r"(?:maximi[sz](?:e|ing)|minimi[sz](?:e|ing))(?= ?(?:$|[,.;\n])))"
)
_FOR = rx(
    r"(?<!slo )\b(?:for|towards?|in terms of|with respect to|w\.r\.t\.|regarding)(?: the| an?| our|"
    r" my)?(?: (?:best|highest|lowest|max(?:imum|imal)?|min(?:imum|imal)?|peak|low|high|"
    rf"good|better|overall|possible|maxim(?:i[sz]ing|i[sz]ed)|minim(?:i[sz]ing|i[sz]ed))){{0,3}} {GOAL}"
)
_STATED = rx(STATISTIC)
_LAST_STATED = rx(rf"\d[^a-z]*[a-z]*\W*(?:at |on )?(?:the )?(?:{STATISTIC})\)?$")
_BESIDE = rx(r"[ ,;/]*(?:and|&|with)?[ ]*")
_SEARCHES = rx(
    r"\b(?:tun(?:e|ed|ing)|auto-?tun\w{1,4}|optimi[sz]\w{1,6}|find|search\w{0,3}|best|optimal|pick|choose)\b"
)


def read_goals(heard: Heard, known: Known) -> None:
    """A metric with a number is a bound; one with a superlative, or after "tune for", the objective."""
    for match in heard.sentence.find(_SUCCEED):
        _read_bound(heard, match, named("success_rate", None))
    for pattern in (_BOUND_NAMED, _BOUND, _BOUND_FIRST, _BOUND_UNIT):
        for match in heard.sentence.find(pattern):
            _read_bound(heard, match, metric_of(match, "late"))
    _share_statistics(heard)
    for match in heard.sentence.find(_BOUND_ALONE):
        bases = list(_BASE.finditer(heard.sentence.plain, 0, match.start()))
        if bases and bases[-1].lastgroup:
            _read_bound(heard, match, named(bases[-1].lastgroup, match["late"]))
            heard.sentence.take(*bases[-1].span())
        elif "request" in match["late"]:  # "99% of the requests within 2 seconds": from end to end
            _read_bound(heard, match, named("e2e", match["late"]))
    for pattern in (_OBJECTIVE, _AS_POSSIBLE, _IN_TERMS, _THEN):
        for match in heard.sentence.find(pattern):
            _read_objective(heard, match)
    if not heard.said("objective") and _SEARCHES.search(heard.sentence.plain):
        for match in heard.sentence.find(_FOR):
            _read_objective(heard, match)


def _share_statistics(heard: Heard) -> None:
    """In "TTFT < 1 s, E2E < 20 s (p95)" the percentile is meant for both: none of the others has its own."""
    bounds = sorted((one for one in heard.mentions if one.name.startswith("constraints.")), key=lambda one: one.start)
    for first, second in reversed(list(pairwise(bounds))):
        base, _, statistic = first.value.metric.rpartition("_")
        shared = second.value.metric.rpartition("_")[2]
        own, last = (heard.sentence.plain[one.start : one.end] for one in (first, second))
        if (
            _STATED.search(own)
            or statistic != "mean"
            or not _LAST_STATED.search(last)
            or not _BESIDE.fullmatch(heard.sentence.plain, first.end, second.start)
        ):
            continue
        bound = first.value.model_copy(update={"metric": f"{base}_{shared}"})
        side = first.name.rpartition(".")[2]
        heard.mentions[heard.mentions.index(first)] = replace(
            first, name=f"constraints.{bound.metric}.{side}", value=bound
        )


def read_lone_metric(heard: Heard, known: Known) -> None:
    """What a search is for where only a metric is named beside it: said as an objective, and told."""
    tunes = any(one.value is Intent.TUNE for one in heard.said("intent")) and known.before.objective is None
    metrics = list(rx(GOAL).finditer(heard.sentence.free)) if tunes and not heard.said("objective") else []
    if len(metrics) == 1:
        heard.warn(f"{heard.sentence.original(*metrics[0].span())!r} is read as the objective")
        _read_objective(heard, metrics[0])


def _read_objective(heard: Heard, match: re.Match[str]) -> None:
    groups, place = match.groupdict(), match.span()
    found = metric_of(match)
    if found.fault:
        heard.sentence.take(*place)
        heard.ask("objective", found.fault)
        return
    direction: Direction = metric(found.name).direction
    if groups.get("less") and direction == "maximize":
        heard.sentence.take(*place)
        heard.ask("objective", f"{heard.sentence.original(*place)!r} would make it worse. What is wanted?")
        return
    _tell(heard, found)
    level = float(groups["at"]) if groups.get("at") else None
    if level:
        field = "profile.concurrency" if groups["at_word"] == "concurrency" else "profile.rates"
        heard.say(field, (level,), *place)
    heard.say("objective", Objective(metric=found.name, direction=direction, at=level), *place)


def _read_bound(heard: Heard, match: re.Match[str], found: Said) -> None:
    groups, place = match.groupdict(), match.span()
    forbids = groups.get("above") and _FORBIDS.search(heard.sentence.plain, max(0, place[0] - 32), place[0])
    value = read_number(match["value"], DECIMAL)
    if groups.get("equal") == "at" and not match["unit"]:
        return  # "TTFT and ITL at 1, 2 and 4 users"
    if not (match["unit"] or match["below"] or groups.get("above") or groups.get("equal")):
        return  # the number is another thing's, as in "throughput, 30 trials"
    said = heard.sentence.original(*place)
    if found.fault or not value:
        heard.sentence.take(*place)
        heard.ask("constraints", found.fault or f"{said!r}: a bound must be above 0. What is it?")
        return
    if found.name == "goodput" and match["unit"] in ("%", "percent"):
        found = Said("goodput_ratio")
    info = metric(found.name)
    scale = _scale(match["unit"], info.unit == "s", value, found.name)
    if found.complement and scale:  # a success rate of 99% is an error rate of 1%
        value, forbids = 1 / scale - value, groups.get("above") or not match["below"]
    if scale is None:
        heard.sentence.take(*place)
        heard.ask("constraints", f"{said!r}: which unit? Write it with the number, as 500 ms.")
        return
    above = bool(groups.get("above")) or (not match["below"] and info.direction == "maximize")
    side = "min" if above and not forbids else "max"
    _tell(heard, found)
    bound = Constraint.model_validate({"metric": found.name, side: round(value * scale, 12)})
    heard.say(f"constraints.{found.name}.{side}", bound, *place)


def _scale(unit: str | None, seconds: bool, value: float, name: str) -> float | None:
    """What a bound is multiplied with, into seconds or shares; None when its unit is not clear."""
    unit = (unit or "").replace(" ", "")
    if unit in ("%", "percent"):
        return None if seconds else 0.01
    if seconds:
        if unit.startswith(("ms", "milli")):
            return 1e-3
        if unit == "us":
            return 1e-6
        if unit.startswith("s"):
            return 1.0
        # A TTFT of 500 can only be milliseconds, one of 0.5 only seconds.
        return 1e-3 if not unit and value >= 20 else 1.0 if not unit and value < 1 else None
    if name in ("error_rate", "goodput_ratio"):
        return 1.0 if value < 1 or (value == 1 and not unit) else 0.01 if not unit else None
    return None if unit.startswith(("ms", "s", "u", "milli")) else 1.0


def _tell(heard: Heard, found: Said) -> None:
    if found.assumed:
        name = found.name.removesuffix("_mean").upper()
        heard.warn(f"{name} without a percentile is its mean ({found.name}); say for example p95 {name}")
