"""What it may cost: trials, time, repeats, trials at the same time."""

from __future__ import annotations

import re

from servelab.request.reading.heard import Heard
from servelab.request.reading.known import Known, rx
from servelab.request.reading.quantity import COUNT, DECIMAL, NUMBER, read_number

UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "d": 86400.0}
TIME = r"(?:ms|milliseconds?|h|hrs?|hours?|m|mins?|minutes?|s|secs?|seconds?|d|days?)"
DURATION = rf"{NUMBER}[ -]?{TIME}(?![a-z])(?:(?: and)? ?{NUMBER}[ -]?{TIME}(?![a-z]))?"
_LIMIT = (
    r"(?:within|at most|up to|max(?:imum)?(?: of)?|no more than|not more than|budget(?: of| is)?:?|"
    r"limit(?:ed)?(?: to| of)?:?|total of|less than|under|(?:stop|quit|end|give up) after)"
)
_ABOUT = rf"(?:{_LIMIT} ){{0,5}}"
_AT_MOST = rf"(?:{_LIMIT} ){{1,5}}"
_TRIALS = rx(
    rf"{_ABOUT}(?P<n>{NUMBER})(?:-| )?(?:trials?|evaluations?|evals|iterations?|tries|"
    r"samples?(?= budget)|configurations?|configs)\b(?: budget| at most| max(?:imum)?| in total|"
    r" total)?"
    rf"|{_AT_MOST}(?P<m>{NUMBER}) (?:runs|experiments|attempts|measurements|deployments)\b"
)
_EXPERIMENTS = rx(rf"{_ABOUT}(?P<n>{NUMBER}) (?:runs|experiments|attempts|rounds|tests|measurements)\b(?! each)")
_SEARCH = rx(
    r"\b(?:auto-?)?(?:tun(?:e|ing)|optimi[sz]\w{1,6}|maximi[sz]\w{1,3}|minimi[sz]\w{1,3}|best|optimal|search)\b"
)
_TRIALS_NAMED = rx(
    r"-{0,2}\b(?:(?:number of |max[_ -]?|n[_ -]?){0,5}trials?(?: max(?:imum)?| limit| count)?|iterations|trial budget)"
    r"(?: ?[=:] ?|"
    rf" (?:is |of |to )?)(?P<n>{NUMBER})(?: trials)?(?![\w%.]|[- ](?:h|m|s|gpu|hour|min|sec)|"
    rf"[ ]?{TIME}\b)"
)
_REPEATS = rx(
    rf"(?P<n>{NUMBER}) (?:repeats?|repetitions?|measurements each|replicates?|runs each)\b|(?:repeat|"
    r"measure|run)(?:ing|ed|d)?(?: each| every| it| them| all){0,5}(?: trial| level| configuration|"
    rf" config| one)? (?P<m>{NUMBER})(?: ?x\b| times)|repeats? ?[=:] ?(?P<k>{NUMBER})|"
    rf"(?P<l>{NUMBER}) (?:times|time(?= each))\b(?: each| repeat(?:ed)?)?"
    r"(?! (?:as|more|less|faster|slower|larger|higher|the))"
)
_PARALLEL = rx(
    rf"(?P<n>{NUMBER}) (?:(?:parallel|concurrent|simultaneous) trials|trials (?:in parallel|at (?:a|"
    r"the same) time|at once|concurrently|simultaneously))|"
    rf"(?:(?<=trials )|(?<=trials, )|(?<=trials and )|(?<=trials, and )|(?<=trials with ))(?P<o>{NUMBER}) (?:of them )?"
    r"(?:in parallel|at a time|at once|at the same time|concurrently)\b|"
    rf"(?<![\w-])parallel(?: trials)? ?[=:] ?(?P<m>{NUMBER})"
)
_GPU_HOURS = rx(
    rf"{_ABOUT}(?P<n>{NUMBER})[ -]?(?:gpu|accelerator|card)[- ]?(?P<unit>hours?|h|minutes?|"
    r"mins?)\b(?: budget| at most| in total)?"
)
_WALL = rx(
    r"(?:(?:at most|no more than|not more than|up to|within|max(?:imum)?(?: of)?|no longer than|"
    r"not longer than|less than|under|in(?: under)?|(?:time |wall[- ]?(?:clock |time )?)?(?:budget|"
    r"limit)(?: of| is|:)?|(?:stop|quit|end|abort|give up)(?: it)? (?:after|at)|finish(?:ed)? (?:in|within)|"
    r"cap(?:ped)?(?: it)? (?:at|to)|done (?:in|within|after|by)|take at most|wall[-_ ]?(?:clock |"
    r"time)?(?: of| =|:|=)?|time(?: budget| limit| box)?(?: of|:|=)?|spend(?:ing)?(?: at most|"
    r" up to)?|give it|for at most|for up to) ?)+"
    r"(?:about |around |roughly |a total of |the |an? |one |"
    rf"at most )?(?P<t>{DURATION})(?: (?:in total|total|budget|at most|max(?:imum)?|"
    r"of wall[- ]?(?:clock|time)(?: time)?))?"
    rf"|(?:an? )?(?P<u>{DURATION})(?:'s?)? (?:in total|total|time budget|budget|at most|max(?:imum)?|"
    r"limit|time limit|tops|of wall[- ]?(?:clock|time)(?: time)?|wall[- ]?(?:clock|time)(?: time|"
    r" limit)?)"
)


def read_budget(heard: Heard, known: Known) -> None:
    """Each limit of a study that is told with its unit."""
    for match in heard.sentence.find(_PARALLEL):
        if match["n"] or match["o"] or "parallel" not in known.arguments:
            _whole(heard, "budget.parallel", next(filter(None, match.groups())), match)
    for match in heard.sentence.find(_REPEATS):
        _whole(heard, "budget.repeats", next(group for group in match.groups() if group), match)
    for pattern in (_TRIALS, _TRIALS_NAMED):
        for match in heard.sentence.find(pattern):
            _whole(heard, "budget.trials", next(filter(None, match.groups())), match)
    if not heard.said("budget.trials") and _SEARCH.search(heard.sentence.plain):
        for match in heard.sentence.find(_EXPERIMENTS):
            _whole(heard, "budget.trials", match["n"], match)
    for match in heard.sentence.find(_GPU_HOURS):
        value = read_number(match["n"], DECIMAL)
        if value:
            heard.say("budget.accelerator_minutes", value * (60 if match["unit"].startswith("h") else 1), *match.span())
    for match in heard.sentence.find(_WALL):
        said = seconds(match["t"] or match["u"])
        # "within 500 ms" is no time for a study.
        if said and said >= 1:
            heard.say("budget.wall_time", said, *match.span())


def seconds(said: str) -> float | None:
    """A duration as ``90 minutes`` or ``1h 30m``, in seconds."""
    total = 0.0
    for number, unit in re.findall(rf"({NUMBER})[ -]?({TIME})", said):
        value = read_number(number, DECIMAL)
        if value is None:
            return None
        total += value * (1e-3 if unit.startswith(("ms", "mill")) else UNITS[unit[0]])
    return total or None


def _whole(heard: Heard, name: str, said: str, match: re.Match[str]) -> None:
    value = read_number(said, COUNT)
    if value is not None and value >= 1 and value == int(value):
        heard.say(name, int(value), *match.span())
        return
    heard.sentence.take(*match.span())
    heard.ask(
        "budget",
        f"{heard.sentence.original(*match.span())!r}: how many {name.partition('.')[2]}? A whole number above 0.",
    )
