"""What is wanted of the result: an objective, and bounds (SLOs)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from servelab.request.reading.heard import Heard
from servelab.request.reading.known import Known, rx
from servelab.request.reading.quantity import DECIMAL, NUMBER, read_number
from servelab.spec.goal import Constraint, Objective
from servelab.spec.metrics import STATISTICS, Direction, metric

_LATENCIES = {
    "ttft": r"ttft|time[- ]to[- ](?:the )?first[- ]token|first[- ]token(?: latency| time)?|prefill latency",
    "itl": r"itl|inter[- ]?token[- ]latenc(?:y|ies)|inter[- ]?token(?: time)?|time between tokens|tbt",
    "tpot": r"tpot|time[- ]per[- ](?:output[- ])?token|per[- ]token latency|latency per (?:output )?token|token latency",
    "e2e": r"e2e(?:[- _]latenc(?:y|ies)| response time)?|end[- ]to[- ]end(?:[- ]latenc(?:y|ies)| response time| time)?|request[- ]latenc(?:y|ies)|response times?|total latenc(?:y|ies)|latenc(?:y|ies)",
}
_SCALARS = {
    "output_throughput_per_accelerator": r"(?:output |token )?throughput(?: per|/) ?(?:gpu|accelerator|card)|tok(?:en)?s?(?: per |/)s(?:ec(?:ond)?)?(?:/| per )(?:gpu|accelerator)",
    "total_throughput": r"total (?:token )?throughput|overall (?:token )?throughput",
    "request_throughput": r"requests? throughput|throughput in requests|requests? rate served|completed requests per second|requests? per second served",
    "goodput_ratio": r"goodput[- _](?:ratio|share|fraction)|slo[- ]attainment",
    "goodput": r"good[- ]?put",
    "output_throughput": r"(?:output |token |decode |generation |output[- ]token )?(?:through[- ]?puts?|tput)|output_throughput|(?:output )?tok(?:en)?s?(?: per |/| a )s(?:ec(?:ond)?)?",
    "error_rate": r"(?:error|failure)s?[- _]?rates?|(?:share|fraction|percentage) of (?:failed requests|errors|failures)|failed requests|failures|errors",
    "saturation": r"saturation(?: rate| point)?",
}
_STAT = (
    r"(?:p[- ]?\d{1,2}(?:\.\d+)?|\d{1,2}(?:\.\d+)?(?:st|nd|rd|th)?[- ]percentile|percentile \d{1,2}|median|mean|average|avg\.?|worst[- ]case|worst|maximum|max(?=[ _](?:ttft|itl|tpot|e2e|lat|time|inter|end))|tail)"
)
_METRIC = "|".join([*(f"(?P<{name}>{words})" for name, words in {**_LATENCIES, **_SCALARS}.items())])
_NAMED = rf"(?:(?:the |our |its |a )?(?P<before>{_STAT})(?: of| for)?(?: the)?[ _-]+)?(?:the |our )?\b(?:{_METRIC})(?![a-z])(?:[ _-]*\(?(?:at |at the )?(?P<after>{_STAT})\)?)?"
_UNIT = r"(?P<unit>ms|msecs?|milli ?sec(?:ond)?s?|s|secs?|seconds?|us|%|percent|(?:output )?tok(?:en)?s?(?:/| per )s(?:ec(?:ond)?)?(?:/gpu| per gpu)?|tps|req(?:uest)?s?(?:/| per )s(?:ec(?:ond)?)?|rps)?(?![a-z])"
_BELOW = (
    r"<=?|=<|(?:is |be |stays? |staying |kept |keep |remain(?:s|ing)? |must |should |has to |needs to |to |of |was |that |which |with |an? |are |have |not |slo |target ){0,5}"
    r"(?:under|below|less than|lower than|smaller than|no more than|not more than|at most|no (?:higher|worse|greater|longer|slower) than|not (?:to )?exceed(?:ing)?|(?:does|do|must|should|may|can)(?: not|n't) exceed|never (?:above|over|exceeds?)|never exceeding|not (?:above|over)|within|up to|max(?:imum|\.)?(?: of)?|capped at|limited to|bounded by|beneath|faster than|quicker than|inside)"
)
_ABOVE = (
    r">=?|=>|(?:is |be |stays? |staying |kept |must |should |has to |needs to |to |of |that |which |with ){0,5}"
    r"(?:above|over|at least|more than|higher than|greater than|no less than|not less than|no lower than|not below|min(?:imum|\.)?(?: of)?|exceed(?:s|ing)?|beyond|or more)"
)
_BOUND = rx(rf"(?P<lead>(?:with|and|keep(?:ing)?|while|subject to|under|given|where|such that|so that|if|slos?(?: of)?:?|an slo of|constraints?:?|having|provided|ensur(?:e|ing)|guarante(?:e|eing)|but|has|have) (?:an? |the |our )?(?:slo(?: of)? )?(?:keep(?:ing)? )?(?:the |a )?)?{_NAMED} ?(?:slo )?(?:(?P<below>{_BELOW})|(?P<above>{_ABOVE})|(?P<equal>=|:|of|is|target(?: of)?|slo(?: of)?|budget of|limit(?: of)?|at)?) ?(?:an? |the )?(?P<value>{NUMBER}) ?{_UNIT}")
_BOUND_FIRST = rx(rf"(?P<lead>)(?:(?P<below>under|below|less than|at most|within|no more than|<=?|max(?:imum)?)|(?P<above>at least|above|over|more than|>=?)) (?P<value>{NUMBER}) ?{_UNIT} (?:of )?{_NAMED}")
_MORE = r"maxim(?:i[sz]e|i[sz]ing|um|al)|max(?:ing)?(?: out)?|highest|most|best(?: possible)?|greatest|increas(?:e|ing)|improv(?:e|ing)|boost(?:ing)?|higher|push(?:ing)?|as much|largest|peak"
_LESS = r"minim(?:i[sz]e|i[sz]ing|um|al)|min|lowest|least|reduc(?:e|ing)|decreas(?:e|ing)|lower(?:ing)?|shortest|smallest|fastest|quickest|cut(?:ting)?|shrink"
_EITHER = r"optimi[sz](?:e|es|ing|ed)|tun(?:e|ing|ed)|optimal|objective(?: is)?:?|goal(?: is)?:?|best"
_OBJECTIVE = rx(
    rf"\b(?:(?P<more>{_MORE})|(?P<less>{_LESS})|(?P<either>{_EITHER}))(?: (?:vllm|sglang|it|the (?:engine|server|config(?:uration)?|settings|deployment)))?(?: (?:for|on|in|towards?|to|get|with|the|its|our|possible|overall|of|a|an|as|low|high|max(?:imum|imal)?|min(?:imum|imal)?|maxim(?:i[sz]e|i[sz]ing)|minim(?:i[sz]e|i[sz]ing)|best|average(?= [a-z]+put))){{0,5}}:? {_NAMED}"
    r"(?: at (?:a )?(?P<at_word>concurrency|rate)(?: of)? (?P<at>\d+(?:\.\d+)?))?"
)
_FOR = rx(rf"(?<!slo )\b(?:for|towards?)(?: the| an?| our| my)?(?: (?:best|highest|lowest|max(?:imum|imal)?|min(?:imum|imal)?|peak|low|high|good|better|overall|possible|maxim(?:i[sz]ing|i[sz]ed)|minim(?:i[sz]ing|i[sz]ed))){{0,3}} {_NAMED}")
_SEARCHES = rx(r"\b(?:tun(?:e|ed|ing)|auto-?tun\w{1,4}|optimi[sz]\w{1,6}|find|search\w{0,3}|best|optimal|pick|choose)\b")
_POSSIBLE = rx(rf"(?:as )?(?P<how>high|low|fast) (?:an? )?{_NAMED} as possible")
_ADJECTIVE = {"high": "maximize", "low": "minimize", "fast": "minimize"}


@dataclass(frozen=True)
class _Metric:
    name: str
    assumed: bool = False
    fault: str | None = None


def read_goals(heard: Heard, known: Known) -> None:
    """Objectives first claim their metric; every other metric with a number is a bound."""
    for pattern in (_BOUND, _BOUND_FIRST):
        for match in heard.sentence.find(pattern):
            _read_bound(heard, match)
    for pattern in (_OBJECTIVE, _POSSIBLE):
        for match in heard.sentence.find(pattern):
            _read_objective(heard, match)
    if not heard.said("objective") and _SEARCHES.search(heard.sentence.plain):
        for match in heard.sentence.find(_FOR):
            _read_objective(heard, match)


def _read_objective(heard: Heard, match: re.Match[str]) -> None:
    groups = match.groupdict()
    found = _metric(match)
    if found.fault:
        heard.sentence.take(*match.span())
        heard.ask("objective", found.fault)
        return
    direction: Direction = metric(found.name).direction
    if groups.get("more") and metric(found.name).unit != "s":
        direction = "maximize"
    elif groups.get("less"):
        direction = "minimize"
    if direction != metric(found.name).direction:
        heard.sentence.take(*match.span())
        heard.ask("objective", f"{heard.sentence.original(*match.span())!r} would make it worse. What is wanted?")
        return
    _tell(heard, found)
    level = groups.get("at")
    if level:
        heard.say("profile.concurrency" if groups["at_word"] == "concurrency" else "profile.rates", (float(level),), *match.span())
    heard.say("objective", Objective(metric=found.name, direction=direction, at=float(level) if level else None), *match.span())


def _read_bound(heard: Heard, match: re.Match[str]) -> None:
    found, value = _metric(match), read_number(match["value"], DECIMAL)
    if not match["unit"] and _belongs_elsewhere(heard, match):
        return
    if found.fault or not value:
        heard.sentence.take(*match.span())
        heard.ask("constraints", found.fault or f"{heard.sentence.original(*match.span())!r}: a bound must be above 0. What is it?")
        return
    seconds = metric(found.name).unit == "s"
    scale = _scale(match["unit"], seconds, value, found.name)
    if scale is None:
        heard.sentence.take(*match.span())
        heard.ask("constraints", f"{heard.sentence.original(*match.span())!r}: which unit? Write it with the number, as 500 ms.")
        return
    side = "min" if match["above"] or (not match["below"] and metric(found.name).direction == "maximize") else "max"
    start = match.start() if "below" in match.groupdict() else match.start()
    _tell(heard, found)
    heard.say(f"constraints.{found.name}.{side}", Constraint.model_validate({"metric": found.name, side: round(value * scale, 12)}), start, match.end())


def _belongs_elsewhere(heard: Heard, match: re.Match[str]) -> bool:
    """Whether the number after a metric is another thing's, as in "throughput, 30 trials"."""
    return not (match["below"] or match["above"] or match.groupdict().get("equal"))


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
        return 1e-3 if not unit and value >= 20 else 1.0 if not unit and value < 1 else None
    if name in ("error_rate", "goodput_ratio"):
        return 1.0 if value < 1 or (value == 1 and not unit) else 0.01 if not unit else None
    return 1.0 if not unit.startswith(("ms", "s", "u", "milli")) else None


def _metric(match: re.Match[str]) -> _Metric:
    groups = match.groupdict()
    base = next(name for name in (*_LATENCIES, *_SCALARS) if groups[name])
    said = groups["before"] or groups["after"]
    if base in _SCALARS:
        return _Metric(base)
    if said is None:
        return _Metric(f"{base}_mean", assumed=True)
    statistic = _statistic(said)
    if statistic not in STATISTICS:
        return _Metric("", fault=f"{said} of {base.upper()} is not measured; choose one of {', '.join(STATISTICS)}.")
    return _Metric(f"{base}_{statistic}")


def _statistic(said: str) -> str:
    digits = re.search(r"\d+(?:\.\d+)?", said)
    if digits:
        return f"p{digits[0]}"
    if said.startswith(("worst", "max")):
        return "max"
    return {"median": "p50", "tail": "p99"}.get(said, "mean")


def _tell(heard: Heard, found: _Metric) -> None:
    if found.assumed:
        name = found.name.removesuffix("_mean").upper()
        heard.warn(f"{name} without a percentile is its mean ({found.name}); say for example p95 {name}")
