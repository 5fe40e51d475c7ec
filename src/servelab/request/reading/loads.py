"""How many requests at once, or per second, how many in all, for how long."""

from __future__ import annotations

import re

from servelab.request.reading.budgets import DURATION, seconds
from servelab.request.reading.heard import Heard
from servelab.request.reading.known import Known, rx
from servelab.request.reading.owner import own
from servelab.request.reading.quantity import (
    COUNT,
    IS,
    LIST,
    NUMBER,
    RANGE,
    RATE_UNIT,
    RATE_UNIT_PER,
    REAL,
    STEP,
    USERS,
    Kind,
    levels,
    read_levels,
    read_number,
)

_LEVELS_HERE = rf"(?:{RANGE}|{LIST})"
_RATES = rx(
    r"(?:(?:arrival|request|load|offered|rates?)(?: of)? ){0,5}(?<![\w.,-])"
    rf"(?P<levels>{_LEVELS_HERE})[ -]?{RATE_UNIT_PER}(?: each| (?:arrival |request )?rates?\b)?(?P<step>{STEP})"
)
_RATES_NAMED = rx(
    r"-{0,2}\b(?:(?:request|arrival|req|offered|load|constant|poisson|qps|"
    r"rps)[-_ ]){0,5}(?:rates?|rps|qps)(?! ?type)(?: in (?:req/s|"
    rf"rps))?{IS}(?P<levels>{levels(RATE_UNIT)})(?: ?{RATE_UNIT_PER})?(?! ?%)"
)
_CONCURRENCY_NAMED = rx(
    r"-{0,2}\b(?:max[-_ ])?(?:conc(?=[ =:]{1,3}\d)|concurrenc(?:y|ies)(?:[-_ ]levels?)?|"
    rf"(?:num(?:ber)?[-_ ]of[-_ ])?concurrent[-_ ](?:users?|requests?|streams?|clients?|level))"
    rf"(?: (?:from|sweep))?{IS}(?P<levels>{levels(USERS)})(?: {USERS}\b)?"
)
_USERS_NAMED = rx(
    r"\b(?:(?:number|count) of )?(?:users?|clients?|streams?|sessions?)(?: count)?"
    rf"(?: (?:is|are|of|equals?)|(?= ?[=:])|(?<=count)){IS}(?P<levels>{levels(USERS)})(?! ?(?:%|{RATE_UNIT_PER}))"
)
_PEOPLE = r"(?:people|persons|customers|employees|colleagues|callers|visitors|developers|agents)\b"
_AT_ONCE = (
    r"(?:of (?:them|these) )?(?:at (?:a|the same) time|at once|in parallel|in flight|simultaneously|concurrently)\b"
)
_CONCURRENCY = rx(
    rf"(?<![\w.,-])(?P<levels>{_LEVELS_HERE})[ -]?(?:{_PEOPLE}|{_AT_ONCE}|(?:concurrent|simultaneous|parallel|virtual|"
    r"in-flight) (?:requests?|users?|clients?|streams?|connections?|sessions?|chats?|conversations?|"
    r"calls?|queries)|way concurrency\b|users?\b|clients?\b|streams?\b|concurrency\b|"
    r"requests? (?:in flight|in parallel|at (?:once|a time|the same time)|concurrently|"
    rf"simultaneously)|concurrent\b(?! seq))(?P<step>{STEP})"
)
_REQUESTS = rx(
    r"(?:(?:max(?:imum)?|at most|up to|limit(?:ed)? to|total of|"
    rf"no more than) ){{0,5}}(?<![\w.,-])(?P<n>{NUMBER})(?: total| max(?:imum)?)?[ -](?:requests?|"
    r"reqs?|queries|prompts?)(?: total| in total| max(?:imum)?| at most| overall| each| per (?:level|"
    r"rate|run|trial|treatment|config(?:uration)?))?(?![-_ ]?(?:tokens?|len|(?:in|per) (?:a |one |"
    r"each |the )?batch|/|per\b|a sec|in flight|in parallel|at once|prefix|stdev|max|min))\b"
)
_REQUESTS_NAMED = rx(
    r"-{0,2}\b(?:(?:max(?:imum)?(?:[-_ ]num(?:ber)?(?:[-_ ]of)?)?|num(?:ber)?(?:[-_ ]of)?|total|"
    r"limit)[-_ ]){0,5}(?:requests?|prompts?(?<=num.prompts))(?:[-_ ](?:count|limit|total|"
    r"max(?:imum)?|number))?(?: ?[=:] ?| (?:is |of |to |at |are |= |limited to |"
    rf"limit )|(?:(?<=requests)|(?<=num.prompts))[ ])(?P<n>{NUMBER})(?![\w.%]| ?(?:tokens?|/|rps|per ))"
)
_MAX_REQUESTS = rx(rf"-{{0,2}}\bmax(?:imum)?[-_ ]requests?{IS}(?P<n>{NUMBER})(?![\w.%])")
_TYPES = {
    "sweep": (
        r"rate[-_ ]sweeps?|load[-_ ]sweeps?|sweep(?:ing)? (?:the |over |of |across ){0,5}(?:request |"
        r"arrival |load ){0,5}(?:rates?|loads?)\b|sweep mode|sweep of (?:the )?(?:rates?|loads?)|"
        r"sweep (?:rate|load) type|sweep load"
    ),
    "constant": (
        r"(?:constant|fixed|steady|uniform|evenly spaced)(?: |-)?(?:request |arrival |load )?(?:rates?|"
        r"arrivals?|load|mode|rate type)|constant\b(?! length)|(?:at )?fixed intervals"
    ),
    "poisson": (
        r"(?:with |as )?(?:a )?poisson(?:[- ]distributed)?(?: (?:arrivals?|process|distribution|rates?|"
        r"load|mode|traffic|requests?|distributed)){0,5}"
    ),
    "synchronous": (
        r"synchronous(?:ly)?(?: (?:mode|requests?|load|rate))?|one (?:request )?at a time|"
        r"1 (?:request )?at a time|one after (?:the other|another)|sequential(?:ly)?(?: requests)?"
    ),
    "throughput": (
        r"(?:in )?throughput mode|throughput rate type|(?:max(?:imum|imal)?|full)[- ]throughput load|"
        r"saturat(?:e|ing) (?:it|the (?:server|engine|gpus?|model|deployment))|"
        r"(?:at )?(?:full|maximum|max) (?:load|speed|rate|"
        r"blast)|as fast as possible|(?:at )?(?:an )?(?:infinite|unlimited|inf) (?:request )?rates?|"
        r"all at once"
    ),
    "concurrent": r"concurrent mode|concurrent (?:load|rate type)",
}
_TYPE_NAMED = rx(
    rf"-{{0,2}}\brate[-_ ]?type{IS}(?P<type>{'|'.join(_TYPES)})\b[\"')]?|"
    rf"\b(?P<other>{'|'.join(_TYPES)}) (?:as (?:the )?)?rate[-_ ]type"
)
_TYPE = rx(
    r"(?<![\w-])(?:(?:with |at |using |in |as )?(?:an? |"
    rf"the )?)(?:{'|'.join(f'(?P<{name}>{words})' for name, words in _TYPES.items())})(?![\w])"
)
_SECONDS = rx(
    r"(?:for|lasting|during|run(?:s|ning)? for|each|measure(?:d)? for|duration(?: of| is|=|:)?|"
    r"-{0,2}max[-_ ]?(?:seconds|duration)(?: of| is|=|:)?|taking|"
    r"hold(?:ing)?(?: for)?)[ =:]*(?:about |around |an? |each |up to |"
    rf"at most )?(?P<t>{DURATION})(?: (?:each|per (?:level|rate|run|load|point|step|treatment|"
    rf"measurement)|at each (?:rate|level)|of load|long))?|(?P<u>{DURATION})(?: (?:each|per (?:level|"
    r"rate|run|load|point|step|treatment|measurement)|at each (?:rate|level)|of load|long|run|runs|"
    r"duration|benchmark))\b"
)
_LONG = rx(rf"(?<![\w.,-]){NUMBER}[ -]?(?:h|hrs?|hours?|mins?|minutes?|d|days?)(?![a-z])")
_SCALE = {"s": 1.0, "m": 1 / 60, "h": 1 / 3600}


def read_loads(heard: Heard, known: Known) -> None:
    """Whatever carries its own unit: 5 req/s, 64 concurrent users, 100 requests."""
    _read_types(heard)
    for match in heard.sentence.find(_RATES):
        if mine := own(heard, _RATES, match):
            _say_rates(heard, mine, constant=True)
    for match in heard.sentence.find(_CONCURRENCY_NAMED):
        _say_concurrency(heard, match)
    for match in heard.sentence.find(_USERS_NAMED):
        _say_concurrency(heard, match)
    for match in heard.sentence.find(_CONCURRENCY):
        if mine := own(heard, _CONCURRENCY, match):
            _say_concurrency(heard, mine)
    for pattern in (_MAX_REQUESTS, _REQUESTS_NAMED, _REQUESTS):
        for match in heard.sentence.find(pattern):
            value = read_number(match["n"], COUNT)
            if value and value == int(value):
                heard.say("profile.max_requests", int(value), *match.span())
            else:
                heard.sentence.take(*match.span())
                heard.ask(
                    "max_requests",
                    f"{heard.sentence.original(*match.span())!r}: how many requests? A whole number above 0.",
                )


def read_named_loads(heard: Heard, known: Known) -> None:
    """What is told by its name: rate 5, rates 2, 4 and 8."""
    for match in heard.sentence.find(_RATES_NAMED):
        _say_rates(heard, match, constant=False)


def read_seconds(heard: Heard, known: Known) -> None:
    """How long a level lasts; of a search, how long all of it."""
    searching = (
        heard.said("objective")
        or heard.said("budget.trials")
        or any(one.value == "tune" for one in heard.said("intent"))
    )
    for match in heard.sentence.find(_SECONDS):
        value = seconds(match["t"] or match["u"])
        if value:
            each = re.search(r"each|per |of load|level|rate", match[0])
            heard.say("budget.wall_time" if searching and not each else "profile.seconds", value, *match.span())
    for match in heard.sentence.find(_LONG):
        value = seconds(match[0])
        if searching and value:
            heard.say("budget.wall_time", value, *match.span())


def _read_types(heard: Heard) -> None:
    for match in heard.sentence.find(_TYPE_NAMED):
        heard.say("profile.rate_type", match["type"] or match["other"], *match.span())
    for match in heard.sentence.find(_TYPE):
        name = next(name for name in _TYPES if match[name])
        follows = heard.sentence.free[match.end() : match.end() + 12]
        # "constant rate of 5": the rate itself is read later, by its name.
        end = match.end()
        if name in ("constant", "poisson") and re.match(r"s? (?:of |= ?)?\d|s?[=:]", follows) and "rate" in match[0]:
            end = match.start() + match[0].index("rate")
        heard.say("profile.rate_type", name, match.start(), end)


def _levels(match: re.Match[str], kind: Kind) -> tuple[float, ...]:
    """The levels of a match, whose step may stand after the unit: "10 to 50 users in steps of 10"."""
    step = match.groupdict().get("step") or ""
    return read_levels(match["levels"] + (step if re.fullmatch(RANGE, match["levels"]) else ""), kind)


def _say_rates(heard: Heard, match: re.Match[str], *, constant: bool) -> None:
    per = match["per"]
    rates = tuple(rate * _SCALE[per[0]] if per else rate for rate in _levels(match, REAL))
    if not rates or min(rates) <= 0:
        heard.sentence.take(*match.span())
        heard.ask(
            "rate", f"{heard.sentence.original(*match.span())!r}: how many requests per second? A number above 0."
        )
        return
    heard.say("profile.rates", tuple(round(rate, 9) for rate in rates), *match.span())
    if (constant or len(rates) > 1 or per) and not heard.said("profile.rate_type"):
        heard.say("profile.rate_type", "constant", *match.span())


def _say_concurrency(heard: Heard, match: re.Match[str]) -> None:
    levels = _levels(match, COUNT)
    if not levels or any(level < 1 or level != int(level) for level in levels):
        heard.sentence.take(*match.span())
        heard.ask(
            "concurrency",
            f"{heard.sentence.original(*match.span())!r}: how many requests at once? Whole numbers above 0.",
        )
        return
    heard.say("profile.concurrency", levels, *match.span())
    if not any(one.value == "concurrent" for one in heard.said("profile.rate_type")):
        heard.say("profile.rate_type", "concurrent", *match.span())
