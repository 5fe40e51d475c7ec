"""All that was heard as one request on top of the one before; what contradicts itself is asked about."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from servelab.request.reading.heard import Heard, Mention
from servelab.request.reading.images import ask_for_image
from servelab.request.reading.known import Known
from servelab.request.reading.leftover import leftover
from servelab.request.reading.limits import FLAGS
from servelab.request.said import Intent, Option, Request, Understanding
from servelab.spec.budget import Budget

_JOINED = re.compile(
    r"(?=\s*[a-z,;&/+])[\s,;&/+]*(?:(?:and|or|vs\.?|versus|then|also|as|well|along|together|with|plus|"
    r"compare|compared|to|both|once|first|second|later|afterwards|at|it|run|runs|do|try|for|on|the|as|"
    r"well|against|,)[\s,]*)*"
)
_CORRECTED = re.compile(
    r"\b(?:no,? wait|wait|actually|sorry|i mean|i meant|rather|make that|scratch that|correction|"
    r"or rather|no(?=[,:])|meant|hmm|on second thoughts?|nope|oops|hold on|instead)\b"
)
_EXCLUDED = re.compile(
    r"(?:except(?: for)?|excluding|other than|anything but|but not|apart from|instead of|rather than|"
    r"without|no|skip(?:ping)?|drop|leave out) (?:the |a |an )?$"
)
_REFUSED = re.compile(
    r"\b(?:except(?: for)?|excluding|without|no|skip(?:ping)?|anything but|but not|apart from|besides|"
    r"instead of|rather than|not|in place of|replacing|replace|from|no longer|other than|was) (?:the |"
    r"a |an )?$"
)
LEVELS = ("tensor_parallelism", "profile.rates", "profile.concurrency", "tuned", *FLAGS)
"""Fields that may have several values; several values of another field contradict one another."""


def answer(heard: Heard, known: Known) -> Understanding:
    """The understanding of a sentence, once every reader had its turn."""
    said = _settled(heard)
    _check_builds(heard, known, said)
    _call_levels_an_experiment(known, said)
    _share_among_accelerators(heard, known, said)
    request = _request(heard, known, said)
    words = {name: heard.sentence.original(mention.start, mention.end) for name, mention in said.items()}
    return Understanding(
        request=request,
        words=words,
        questions=tuple(heard.questions),
        warnings=tuple(heard.warnings),
        leftover=leftover(heard.sentence),
    )


def _check_builds(heard: Heard, known: Known, said: dict[str, Mention]) -> None:
    """Ask for an image where an argument needs a build of one's own."""
    flags = [one.flag for one in known.arguments.values() if one.requires_custom_image and one.flag in said]
    if flags:
        ask_for_image(heard, known, flags)


def _call_levels_an_experiment(known: Known, said: dict[str, Mention]) -> None:
    """Several values of an argument are an experiment, unless something else was asked for."""
    swept = [
        one
        for name, one in said.items()
        if (name.startswith("--") or name in FLAGS) and isinstance(one.value, tuple) and len(one.value) > 1
    ]
    intent = said["intent"].value if "intent" in said else known.before.intent
    if swept and intent in (None, Intent.COLLECT):
        said["intent"] = Mention("intent", Intent.EXPERIMENT, swept[0].start, swept[0].end)


def _share_among_accelerators(heard: Heard, known: Known, said: dict[str, Mention]) -> None:
    """ "on 4 H100s" is TP=4 where nothing else was said of it."""
    count = said.pop("together", None)
    if count is None or "tensor_parallelism" in said or known.before.tensor_parallelism:
        return
    if any(question.parameter == "tensor_parallelism" for question in heard.questions):
        return
    said["tensor_parallelism"] = Mention("tensor_parallelism", (count.value,), count.start, count.end)
    heard.warn(f"{heard.sentence.original(count.start, count.end)!r} is read as TP={count.value}")


def _settled(heard: Heard) -> dict[str, Mention]:
    """One mention of each field: the only one, several joined, the corrected one; else a question."""
    settled: dict[str, Mention] = {}
    for name in dict.fromkeys(mention.name for mention in heard.mentions):
        mentions = sorted(heard.said(name), key=lambda mention: mention.start)
        one = _one_of(heard, name, mentions)
        if one is not None:
            settled[name] = one
    return settled


def _one_of(heard: Heard, name: str, mentions: list[Mention]) -> Mention | None:
    plain = heard.sentence.plain
    wanted = [one for one in mentions if not _REFUSED.search(plain[max(0, one.start - 18) : one.start])]
    if not wanted:
        return None if _EXCLUDED.search(plain[max(0, mentions[0].start - 18) : mentions[0].start]) else mentions[-1]
    values = list(dict.fromkeys(repr(one.value) for one in wanted))
    if len(values) == 1:
        return wanted[-1]
    if name == "intent":
        return wanted[0]
    between = [plain[a.end : b.start] for a, b in pairwise(wanted)]
    if _CORRECTED.search(between[-1] if between else "") or _CORRECTED.search(
        plain[wanted[-1].start : wanted[-1].end + 9]
    ):
        return wanted[-1]
    several = name in LEVELS or name.startswith("--")
    if several and all(_JOINED.fullmatch(gap) for gap in between):
        union = tuple(
            dict.fromkeys(
                value for one in wanted for value in (one.value if isinstance(one.value, tuple) else (one.value,))
            )
        )
        return Mention(name, union, wanted[0].start, wanted[-1].end)
    shown = [", ".join(map(str, one.value)) if isinstance(one.value, tuple) else str(one.value) for one in wanted]
    options = [Option(value=value, label=value) for value in dict.fromkeys(shown)]
    parameter = _parameter(name)
    heard.ask(
        parameter,
        f"{parameter} was given more than once: {' and '.join(dict.fromkeys(shown))}. Which one holds?",
        options,
    )
    return None


def _parameter(name: str) -> str:
    """What a field is called in a question."""
    parts = name.split(".")
    if parts[0] in ("images", "budget", "constraints"):
        return parts[0]
    if parts[0] == "profile":
        side = {"rates": "rate", "prefix": "prefix_tokens"}.get(parts[1], parts[1])
        return side if len(parts) == 2 else f"{parts[1]}_tokens" + ("" if parts[2] == "mean" else f"_{parts[2]}")
    return name


def _request(heard: Heard, known: Known, said: dict[str, Mention]) -> Request:
    before = known.before
    plain = before.model_dump()
    for name in heard.removed:
        _remove(plain, name)
    plain["constraints"] = {
        f"constraints.{one.metric}.{'max' if one.max is not None else 'min'}": one
        for one in (before.constraints if plain["constraints"] else ())
    }
    budget: dict[str, Any] = before.budget.model_dump(exclude_unset=True) if before.budget and plain["budget"] else {}
    for name, mention in said.items():
        head, _, rest = name.partition(".")
        if name.startswith("--"):
            _set_argument(plain, name, mention.value)
        elif name in FLAGS:
            _set_limit(plain, name, mention.value)
        elif head == "constraints":
            plain["constraints"][name] = mention.value
        elif head == "budget":
            budget[rest] = mention.value
        elif name == "tensor_parallelism":
            added = before.tensor_parallelism if "added" in said else ()
            plain[name] = tuple(sorted({*added, *mention.value}))
            plain["only"] = "only" in said
        elif name not in ("added", "only"):
            _set(plain, name, mention.value)
    plain["constraints"] = tuple(plain["constraints"].values())
    plain["budget"] = Budget.model_validate(budget) if budget else None
    return Request.model_validate(plain)


def _set(plain: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        plain = plain[parent]
    plain[last] = value


def _set_argument(plain: dict[str, Any], flag: str, value: Any) -> None:
    several = isinstance(value, tuple)
    plain["sweep" if several else "engine_args"][flag] = value
    plain["engine_args" if several else "sweep"].pop(flag, None)


def _set_limit(plain: dict[str, Any], name: str, values: tuple[int, ...]) -> None:
    plain["sweep"].pop(FLAGS[name], None)
    plain[name] = values[0] if len(values) == 1 else None
    if len(values) > 1:
        plain["sweep"][FLAGS[name]] = values


def _remove(plain: dict[str, Any], name: str) -> None:
    fresh = Request().model_dump()
    if name.startswith("--"):
        plain["engine_args"].pop(name, None)
        plain["sweep"].pop(name, None)
        return
    *parents, last = name.split(".")
    for parent in parents:
        plain, fresh = plain[parent], fresh[parent]
    plain[last] = fresh[last]
    if name == "images":
        plain["custom_image"] = False
    if name in FLAGS:
        plain["sweep"].pop(FLAGS[name], None)
