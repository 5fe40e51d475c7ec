"""How people name what is measured: "p95 TTFT", "inter-token latency at the 99th percentile", "tokens per second"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from servelab.spec.metrics import STATISTICS

_S = r"s(?:ec(?:ond)?)?"
LATENCIES = {
    "ttft": (
        r"ttfts?|time[- ]to[- ](?:the )?first[- ]token|first[- ]token(?: latency| time)?|"
        r"latency (?:of|to|until) (?:the )?first token|prefill latency"
    ),
    "itl": r"itls?|inter[- ]?token[- ]latenc(?:y|ies)|inter[- ]?token(?: time)?|time between tokens|tbt",
    "tpot": (
        r"tpots?|time[- ]per[- ](?:output[- ])?token|per[- ]token latency|latency per (?:output )?token|"
        r"token latency"
    ),
    "e2e": (
        r"e2e(?:[- _]latenc(?:y|ies)| response time)?|end[- ]to[- ]end(?:[- ]latenc(?:y|ies)| response time| time)?|"
        r"request[- ]latenc(?:y|ies)|response times?|total latenc(?:y|ies)|latenc(?:y|ies)"
    ),
}
SCALARS = {
    "output_throughput_per_accelerator": (
        r"(?:output |token )?throughput(?: per|/) ?(?:gpu|accelerator|card)|"
        rf"(?:output )?tok(?:en)?s?(?: per |/){_S}(?:/| per )(?:gpu|accelerator)"
    ),
    "total_throughput": r"(?:total|overall) (?:token )?throughput",
    "request_throughput": r"requests? throughput|throughput in requests",
    "goodput_ratio": r"goodput[- _](?:ratio|share|fraction)|slo[- ]attainment",
    "goodput": r"good[- ]?put",
    "output_throughput": (
        r"output_throughput|(?:output |token |decode |generation |output[- ]token )?(?:through[- ]?puts?|tput)|"
        rf"(?:output )?tok(?:en)?s?(?: per |/| a ){_S}"
    ),
    "success_rate": r"(?:success(?:ful)?|completion)[- _]?rates?|(?:share|fraction|percentage) of successful requests",
    "error_rate": (
        r"(?:error|failure)s?[- _]?rates?|(?:share|fraction|percentage) of (?:failed requests|errors|failures)|"
        r"failed requests|failures|errors"
    ),
    "saturation": r"saturation(?: rate| point)?",
}
_REQUESTS = rf"req(?:uest)?s?(?: ?/ ?| per | a ){_S}|rps|qps"
STATISTIC = (
    r"(?:p[- ]?\d{1,2}(?:\.\d+)?|\d{1,2}(?:\.\d+)?(?:st|nd|rd|th)?[- ]percentile|percentile \d{1,2}|"
    r"median|mean|average|avg\.?|"
    r"worst[- ]case|worst|maximum|max(?=[ _](?:ttft|itl|tpot|e2e|lat|time|inter|end))|tail|"
    r"\d{2}(?:\.\d+)? ?%(?= of (?:all |the |our )?(?:ttfts|itls|tpots|latencies|response times))|"
    r"(?:half|\d{2}(?:\.\d+)? ?(?:%|percent)) of (?:all |the |our |all our )?(?:requests|users|customers|queries|calls)"
    r"(?: (?:need|receive|should|must|to|have|having|with|see|get|their|an?|the|keep|meet)){0,5})"
)


def _named(words: dict[str, str]) -> str:
    either = "|".join(f"(?P<{name}>{said})" for name, said in words.items())
    return (
        rf"(?:(?:the |our |its |a )?(?P<before>{STATISTIC})(?: of| for)?(?: the)?[ _(-]+)?(?:the |"
        rf"our )?\b(?:{either})(?![a-z])"
        rf"(?:'s|(?<=[a-z])\))?(?:[ _-]*\(?(?:at |at the )?(?P<after>{STATISTIC})\)?)?"
    )


METRIC = _named(LATENCIES | SCALARS)
"""A metric with its statistic, before or after it."""

GOAL = _named(LATENCIES | SCALARS | {"request_throughput": f"{SCALARS['request_throughput']}|{_REQUESTS}"})
"""The same as an objective, where requests per second are a result and not a load."""


@dataclass(frozen=True)
class Said:
    """A metric that was named: ``assumed`` where its statistic was not, ``fault`` where that is not measured;
    ``complement`` where 1 minus the metric was named."""

    name: str
    assumed: bool = False
    fault: str | None = None
    complement: bool = False


def metric_of(match: re.Match[str], *more: str) -> Said:
    """The metric in a match of METRIC; ``more`` are further groups that may hold the statistic."""
    groups = match.groupdict()
    base = next(name for name in (*LATENCIES, *SCALARS) if groups.get(name))
    said = next((groups[name] for name in ("before", "after", *more) if groups.get(name)), None)
    return named(base, said)


def named(base: str, said: str | None) -> Said:
    """The metric of a base, as ``ttft``, and the words for its statistic."""
    if base == "success_rate":
        return Said("error_rate", complement=True)
    if base in SCALARS:
        return Said(base)
    if said is None:
        return Said(f"{base}_mean", assumed=True)
    statistic = _statistic(said)
    if statistic not in STATISTICS:
        return Said("", fault=f"{said} of {base.upper()} is not measured; choose one of {', '.join(STATISTICS)}.")
    return Said(f"{base}_{statistic}")


def _statistic(said: str) -> str:
    digits = re.search(r"\d+(?:\.\d+)?", said)
    if digits:
        return f"p{digits[0]}"
    if said.startswith("half"):
        return "p50"
    if said.startswith(("worst", "max")):
        return "max"
    return {"median": "p50", "tail": "p99"}.get(said, "mean")
