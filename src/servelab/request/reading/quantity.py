"""Numbers as people write them: digits and words, thousands and decimals, k, lists and ranges."""

from __future__ import annotations

import re
from dataclasses import dataclass

from servelab.request.reading.sentence import Text

LONGEST = 200  # characters of a number, or of several with commas
MOST = 64  # levels that a range may stand for

_UNITS = {"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9}
_UNITS |= {"ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16}
_UNITS |= {"seventeen": 17, "eighteen": 18, "nineteen": 19}
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_WORD = "|".join(sorted((*_UNITS, *_TENS), key=len, reverse=True))
_SCALE_WORDS = "|".join(_SCALES)
_WORDS = re.compile(
    r"\b(?:an? (?=dozen\b|hour\b|minute\b|day\b)|half an? (?=hour\b|second\b|minute\b)|"
    rf"(?:(?:{_WORD})|an? (?:{_SCALE_WORDS}))(?:(?:[ -]|(?<=hundred) and |"
    rf"(?<=thousand),? and )(?:{_WORD}|{_SCALE_WORDS})\b)*\b)",
    re.IGNORECASE,
)
_TOGETHER = re.compile(r"\b(?:an? )?(?:pair|couple) of\b", re.IGNORECASE)
_QUARTER = re.compile(
    r"\b(?P<n>an? |three )?(?P<part>half|quarters?) (?:of )?an? (?=second|hour|minute)", re.IGNORECASE
)
_HALF_DOZEN = re.compile(r"\bhalf (?:a )?dozen\b", re.IGNORECASE)
_HALF_OF_MEMORY = re.compile(r"\bhalf (?:of )?(?:the |its |each )?(?=(?:gpu|memory|vram)\b)", re.IGNORECASE)
_HALF_HOUR = re.compile(r"\bhalf[- ](?=hour\b)", re.IGNORECASE)
_STEP_FIRST = re.compile(
    r"\b(?P<step>in (?:steps|increments) of \d[\d.]{0,9}) (?P<range>from \d[\d.]{0,9}k? to \d[\d.]{0,9}k?)(?![\w.]\d)"
)
_TIMES = re.compile(r"\b(?:twice|thrice)\b(?! as\b)", re.IGNORECASE)
_AND_A_HALF = re.compile(
    r"(?<![\w.,])(?P<n>\d{1,6})(?P<unit> (?:hours?|minutes?|seconds?|days?))? and (?:a |1 )?half\b", re.IGNORECASE
)
_PRONOUN = re.compile(
    r"\b(?:this|that|which|each|any|another|the first|the last|main|init|default|same) $", re.IGNORECASE
)
_PERCENT = re.compile(r"(?<=\d) ?(?:percent|per cent|pct)\b|(?<=\d) (?=%)%", re.IGNORECASE)
_SPACED_K = re.compile(r"(?<=\d) (?=[kK]\b)")
_SPACED_FORMAT = re.compile(r"(?:(?<=float)|(?<=\bfp)|(?<=\bbf)) (?=(?:8|16|32)\b)", re.IGNORECASE)
_THOUSANDS = re.compile(
    r"((?:len(?:gth)?|tokens|context|window|ctx)(?: of| is| to)?[ =:]{1,3}\d{1,3}) (\d{3})(?=$| ?[^\w ]| tokens?\b)",
    re.IGNORECASE,
)
_ZEROS = re.compile(r"(?<![\w.,])(\d{1,3}) (0\d{2})(?![\w.,]\d|\w)")
_DOZEN = re.compile(r"\b(\d*) ?dozen\b")

NUMBER = (
    r"(?:(?<!\d)(?<!\d[.,])(?:\d+(?:[.,_]\d+){0,31}|(?<!\w)\.\d+)(?:e\+?\d{1,2}(?!\d))?(?:k|"
    r"m(?=[ ,;.)\]]|$)| thousand\b| million\b)?)"
)
JOIN = (
    r"(?:(?: ?[/;&|+] ?| , ?|, |(?<=[kmy\])}]),)(?:and |or |then |& )?| (?:and|or|then|vs\.?|versus|"
    r"plus|&|as well as|along with|together with)(?: (?:then|also))? )"
)
LIST = rf"{NUMBER}(?:{JOIN}{NUMBER}(?![\w%:]|\.\w|-\w)){{0,31}}"
"""A number, or several: before their unit."""

_PER = r"(?: ?/ ?| ?per (?:1 )?| an? | each | every | in (?:an? |1 |each )?)"
RATE_UNIT_PER = (
    rf"(?:(?:req(?:uest)?s?|quer(?:y|ies)|calls|messages|prompts)\.?{_PER}(?P<per>s(?:ec(?:ond)?)?|"
    r"m(?:in(?:ute)?)?|h(?:our)?)\b|rps\b|qps\b|r/s\b|req/s\b)"
)
"""Of requests per time; the group ``per`` is the time, second where there is none."""
RATE_UNIT = RATE_UNIT_PER.replace("?P<per>", "?:")
USERS = r"(?:users?|clients?|streams?|(?:concurrent|simultaneous|parallel) [a-z]+)"
OF_TOKENS = r"tokens?(?! (?:in|out|of|per|each)\b)"
_ANY_UNIT = (
    rf"{RATE_UNIT}|{USERS}|requests?|reqs?|queries|prompts?|tokens?|gpus?|accelerators?|trials?|repeats?|"
    r"repetitions?|rounds?|hours?|hrs?|minutes?|mins?|seconds?|secs?|days?"
)
STEP = (
    r"(?:,? (?:in|by|with|at)?(?: a)? ?(?:steps?|increments?|strides?)(?: size)?(?: of|"
    r" by)? \d+(?:[.,]\d+)?k?|,? (?:doubling|(?:in |by )?(?:powers of 2|factors? of 2))\b"
    r"(?: (?:each|every) (?:time|step))?)?"
)
_UP_TO = r"(?: ?(?:-|\.{2,3}) ?| (?:up )?to | through | until )(?:and )?"
RANGE = (
    rf"(?:(?:powers of 2 )?(?:from |between )?{NUMBER}{_UP_TO}{NUMBER}{STEP}"
    rf"|between {NUMBER} and {NUMBER}{STEP})"
)
_SPACED = r"\d{1,6}(?: \d{1,6}){2,31}(?= ?(?:$|[,;.)\]}\n]|for|with|on|in\b))"


def levels(own: str = OF_TOKENS) -> str:
    """A number, several, or a range, after their name.

    A number with a unit begins another clause ("concurrency 8, 200 requests"), unless the unit is one of their own.
    """
    of_another = rf"(?! (?!{own}\b)(?:{_ANY_UNIT})\b)"
    several = rf"{NUMBER}(?:{JOIN}{NUMBER}(?![\w%:]|\.\w|-\w){of_another}){{0,31}}"
    return rf"(?:{RANGE}|{_SPACED}|{several})(?![\w%]|[.,]\d)"


LEVELS = levels()

_GLUE = (
    r"(?:is|are|be|of|to|at|as|by|with|equals?|try|trying|use|using|run|test|changed|switched|"
    r"set|up|should|must|will|can|values?|levels?|sizes?|degrees?|limit(?:ed)?|across|over|in|"
    r"among|for|only|just|either|both|the|a|around|about|has|have|needs?|go|goes|going|raised|increased|bumped|lowered|"
    r"reduced|down|now|say|exactly|max(?:imum)?|respectively)"
)
IS = rf"(?: {_GLUE}){{0,6}}(?: ?(?:->|=>|:=|==|=|:) ?| )(?:{_GLUE} ){{0,4}}(?:[\[({{\"'] ?)?"
"""What may stand between a name and its value."""

_NUMBER = re.compile(
    r"(?P<digits>\d+(?:[.,_]\d+){0,31}|\.\d+)(?P<power>e\+?\d{1,2})?(?P<scale>k|m| thousand| million)?"
)
OH_NO = (
    r"(?:sorry|oops|nope|wait|hold on|actually|i mean|i meant|rather|make (?:that|it)|scratch that|correction|hmm|no)"
)
_TAKEN_BACK = re.compile(
    r"(?<![\w.,-])\d[\d.,]{0,11}k?(?P<unit> ?(?:[a-z]{1,9}|%|req/s))?(?: ?[,;.(:-] ?| )"
    rf"(?:(?:or )?{OH_NO}(?:[,:;.!]+ ?| )(?:no[,:;.!]+ ?)?)+(?:(?<=no, )|(?<=no\. )|(?<!no ))"
    r"(?P<now>\d[\d.]{0,11}k?)",
    re.IGNORECASE,
)
"""A number that the next one replaces: "128, sorry, I meant 64"."""
_RANGE = re.compile(RANGE)
_STEP = re.compile(r"(\d+(?:[.,]\d+)?k?)$")


@dataclass(frozen=True)
class Kind:
    """How a number of some field is written: what k stands for, and up to where 64,128 is one number."""

    k: int = 1000
    whole: bool = True
    most: float = 1e12
    decimal_comma: bool = False


COUNT = Kind()
TOKENS = Kind(k=1024)
REAL = Kind(whole=False)
DECIMAL = Kind(whole=False, decimal_comma=True)


def with_digits(text: Text) -> Text:
    """Numbers in words as digits: ``thirty-two`` becomes ``32``, ``8 k`` becomes ``8k``."""
    text = text.rewritten(_TOGETHER, "2").rewritten(_HALF_DOZEN, "6").rewritten(_HALF_HOUR, "0.5 ")
    text = text.rewritten(_HALF_OF_MEMORY, "50% ")
    text = text.rewritten(_STEP_FIRST, lambda match: f"{match['range']} {match['step']}")
    text = text.rewritten(_QUARTER, _quarters).rewritten(_TIMES, _times)
    text = (
        text.rewritten(_WORDS, _digits)
        .rewritten(_AND_A_HALF, _with_half)
        .rewritten(_PERCENT, "%")
        .rewritten(_SPACED_FORMAT, "")
    )
    text = text.rewritten(_ZEROS, lambda match: match[1] + match[2])
    text = text.rewritten(_THOUSANDS, lambda match: match[1] + match[2]).rewritten(_SPACED_K, "")
    return text.rewritten(_DOZEN, lambda match: str(12 * int(match[1] or 1))).rewritten(_TAKEN_BACK, _corrected)


def read_levels(said: str, kind: Kind) -> tuple[float, ...]:
    """All numbers of a list or range (as ``levels`` matches it); empty when they make no sense.

    A range without a step doubles from its low end to its high end.
    """
    said = said.removeprefix("powers of 2 ")  # which is what a range without a step is
    found = _RANGE.fullmatch(said)
    if not found:
        return tuple(value for one in re.findall(NUMBER, said) for value in _values(one, kind))
    ends = [value for one in re.findall(NUMBER, said)[:2] for value in _values(one, kind)[:1]]
    step = _STEP.search(said) if re.search(r"\b(?:step|incr|strid)", said) else None
    if len(ends) < 2 or ends[0] >= ends[1]:
        return ()
    return _between(ends[0], ends[1], _values(step[1], kind)[0] if step else None)


def read_number(said: str, kind: Kind) -> float | None:
    """The one number that is written, or None."""
    values = _values(said, kind)
    return values[0] if len(values) == 1 else None


def _between(low: float, high: float, step: float | None) -> tuple[float, ...]:
    levels = [low]
    while levels[-1] < high and len(levels) < MOST:
        levels.append(levels[-1] + step if step else max(2 * levels[-1], 1))
    return (*(level for level in levels if level < high), high) if levels[-1] >= high else ()


def _values(said: str, kind: Kind) -> tuple[float, ...]:
    """The number that ``said`` is, or the several that commas without spaces part."""
    match = _NUMBER.fullmatch(said)
    if match is None or len(said) > LONGEST:
        return ()
    digits = match["digits"].replace("_", "")
    scale = _scale(match["scale"], kind) * 10 ** int((match["power"] or "e0").lstrip("e+"))
    if "," in digits:
        return tuple(value * scale for value in _with_commas(digits, kind))
    if digits.count(".") > 1 or (kind.whole and scale == 1 and re.fullmatch(r"[1-9]\d{0,2}(\.\d{3})+", digits)):
        digits = digits.replace(".", "") if re.fullmatch(r"\d{1,3}(\.\d{3})+", digits) else ""
    return (_rounded(float(digits) * scale),) if digits else ()


def _with_commas(digits: str, kind: Kind) -> tuple[float, ...]:
    if re.fullmatch(r"[1-9]\d{0,2}(,\d{3})+(\.\d+)?", digits) and float(digits.replace(",", "")) <= kind.most:
        return (float(digits.replace(",", "")),)
    if re.fullmatch(r"\d+,\d+", digits) and not kind.whole and (kind.decimal_comma or digits.startswith("0,")):
        return (float(digits.replace(",", ".")),)
    parts = digits.split(",")
    return tuple(float(part) for part in parts) if all(part.count(".") <= 1 for part in parts) else ()


def _rounded(value: float) -> float:
    return round(value, 9)


def _scale(written: str | None, kind: Kind) -> int:
    match (written or "").strip():
        case "k":
            return kind.k
        case "m":
            return kind.k**2
        case "thousand":
            return 1000
        case "million":
            return 1_000_000
    return 1


def _quarters(match: re.Match[str]) -> str:
    """``0.25`` for "a quarter of a": what follows is a unit."""
    if match["part"].lower() == "half":
        return "0.5 "
    return "0.75 " if (match["n"] or "").lower().startswith("three") else "0.25 "


def _times(match: re.Match[str]) -> str:
    return "2 times" if match[0].lower() == "twice" else "3 times"


def _with_half(match: re.Match[str]) -> str:
    return f"{match['n']}.5{match['unit'] or ''}"


def _corrected(match: re.Match[str]) -> str:
    """The number that holds, with the unit of the one before where it has none of its own."""
    unit = match["unit"] or ""
    own = match.string[match.end() :].lstrip().lower().startswith(unit.strip().lower())
    return match["now"] if own else match["now"] + unit


def _digits(match: re.Match[str]) -> str | None:
    """``32`` for ``thirty-two``; words that are several numbers, as ``two four``, stay apart."""
    words = match[0].lower().strip()
    if words.startswith("half"):
        return "0.5 "
    if words in ("a", "an"):
        return "1 "
    if words == "one" and _PRONOUN.search(match.string[: match.start()]):
        return None
    numbers, total, part, last = list[str](), 0, 0, 0
    for word in re.split(r"[ -]", words.replace(",", "").replace(" and ", " ")):
        value = _UNITS.get(word, _TENS.get(word, 0))
        if word in ("a", "an"):
            continue
        if word == "hundred":
            part = max(part, 1) * 100
        elif word in _SCALES:
            total, part = total + max(part, 1) * _SCALES[word], 0
        elif last and value and (last < 20 or value > 9):
            numbers, total, part = [*numbers, str(total + part)], 0, value
        else:
            part += value
        last = value
    return " ".join((*numbers, str(total + part)))
