"""Names that a person gives: the namespace, and the experiment's id."""

from __future__ import annotations

import re

from servelab.request import safe
from servelab.request.reading.flags import bare_value
from servelab.request.reading.heard import Heard
from servelab.request.reading.known import STOP, Known, rx
from servelab.request.reading.leftover import SAYS_NOTHING
from servelab.request.reading.quantity import OH_NO
from servelab.request.reading.vocabulary import says_more

_GLUE = (
    r"(?: (?:that )?(?:i|we|you)(?: [a-z]{2,8}){1,4}(?= is\b)| to use|"
    r" from \S{1,63} to(?= \S))?(?: (?:is|are|to|be|as|of|should|must|will|going|supposed|set|called|"
    r"named|use|using|please|take|it|the|=)){0,5}"
)
_BEFORE_NAME = rf"{_GLUE}(?: ?(?:->|=>|=|:|/) ?| )(?=\S)"
_NAMESPACE = rx(
    r"(?:\b(?:in|into|to|on|under|use|using|within|with|for|inside|as|change|switch|move|set|k8s|"
    r"kubernetes|my|our|the|target) ){0,4}"
    rf"(?:-{{0,2}}\bname[ -]?spaces?|\bns\b|\b(?:oc|openshift) project){_BEFORE_NAME}|(?<![\w-])-n[ =](?=\S)"
)
_NAMESPACE_AFTER = rx(
    r"\b(?:in|into|to|on|under|within|inside|using|use) (?:the |my |our )?[\"']?(?P<name>(?!(?:my|the|"
    r"our|a|this|that|which|what|kubernetes|k8s|target)[ \"'])[^\s,;\"'\0]{1,80})[\"']? (?:k8s |"
    r"kubernetes )?(?:name[ -]?space|ns)\b"
    r"|(?:^|(?<=[\n,;(]))[ ]?[\"']?(?P<line>[a-z0-9][a-z0-9-]{0,62})[\"']? (?:name[ -]?space|ns)(?=$|[\n,;.)])"
    r"|(?<![\w-])(?P<bracketed>[a-z0-9][a-z0-9-]{0,62}) \((?:the |my )?(?:name[ -]?space|ns)\)"
    r"|\b(?:the|my|our)(?: k8s| kubernetes| target)? name[ -]?space, [\"']?"
    r"(?P<so>[a-z0-9][a-z0-9-]{0,62})[\"']?(?=[,.;\n]|$)"
    r"|(?:\b(?:use|using|take|with|set|have|make|keep) )?[\"']?(?<![\w-])"
    r"(?P<as>[a-z0-9][a-z0-9-]{0,62})[\"']? (?:as|for|to be) (?:the |my |our |its )?(?:k8s |"
    r"kubernetes |target )?(?:name[ -]?space|ns)\b"
    r"|(?<![\w-])[\"']?(?P<is>[a-z0-9][a-z0-9-]{0,62})[\"']?(?:,? which)? (?:is|as|being|will be|"
    r"should be) (?:the |my |our )(?:k8s |kubernetes |target )?name[ -]?space\b"
)
_AUTOMATIC = rx(
    r"(?:please )?(?:auto[- ]?(?:matically )?generat(?:e|ed|ing)|automatically (?:name|choose|pick|"
    r"make)|generate|auto|make up|pick|choose|invent)(?: (?:an?|the|my|your|its|own|for|me)){0,5}"
    r"(?: (?:experiment|run|study))?[ -]?(?:ids?|names?)\b"
    r"|(?:(?:the )?(?:experiment )?(?:id|name)(?: (?:can|should|is|be|to|may|"
    r"=)){0,5} ?[=:]? ?)auto(?:matic(?:ally)?|[- ]?generated?)?\b(?: generated?\b)?"
    r"|\bauto[- ]?generate it\b|\bautomatic (?:experiment )?(?:id|name)\b|(?:choose|pick|"
    r"use) any (?:id|name)\b|no (?:particular|special|specific) (?:id|name)\b"
)
_THING = r"(?:experiment|exp|run|study|pipeline[- ]?run|job|test|benchmark)"
_ID = rx(
    r"\b(?:(?:and |please ){0,5}(?:call|name|label|title) (?:it|this one|this|that|(?:the|this|"
    rf"my) {_THING})(?: as)?|(?:the |my |with |use |using |as |set ){{0,5}}{_THING}[-_ ]?(?:id|"
    rf"name){_GLUE}"
    r"|(?:(?:with |by |under )?(?:the|its|this) )name(?: (?:is|be|will be|shall be|should be|must be))"
    rf"|(?:its|the \w{{2,12}}'s|{_THING}'s) (?:name|id){_GLUE}|(?:call|name) this one|(?:tag|"
    rf"title) (?:it|the {_THING})|(?:give|assign) (?:it|(?:the|this|my) {_THING}) (?:the |"
    r"an? )?(?:name|id)|save it as|(?:under|with|by|using) (?:the )?(?:name|id)(?: of)?|"
    rf"(?:and )?(?:it|{_THING}) (?:is |be |should be )?(?:called|named|titled)|"
    r"(?<!model )(?<!model_)(?:the |with |use |my ){0,5}\bid(?: (?:is|be|should|to|as|of|=)){0,5}|"
    r"(?<=\s)named(?= [\"'])|(?<=[\s,])(?:called|named)|(?<![\w.-])(?:experiment|name|"
    r"title)(?= ?[=:]))(?: ?(?:->|=>|=|:|/) ?| )(?=\S)"
)
_ID_FLAG = rx(r"--(?:experiment[-_](?:id|name)|name|id)[= ](?=\S)")
LONGEST = 200  # characters of a name that is still to be made safe

_NO_NAMESPACE = (STOP - {"default"}) | {"kubernetes", "k8s", "target", "cluster"}
_ID_AS = rx(
    r"(?:\b(?:use|using|take|with|set) )?[\"']?(?<![\w-])(?P<name>[a-z0-9][\w.-]{0,62})[\"']? (?:as|"
    rf"for) (?:the |its |my |our |an? ){{0,2}}(?:{_THING} )?(?:id|name)\b"
)
_EXPERIMENT = rx(
    r"(?<![\w-])(?:as |the |for )?(?:experiment|exp) (?P<name>[a-z][a-z0-9]*-[a-z0-9-]*[a-z0-9])(?![\w/.])"
)
_WORDS_TO_THE_END = rx(r"(?: [a-z]{3,20}){1,2}(?= ?(?:$|[,.;\n]))")
_INSTEAD = rx(
    rf" ?[,;(]? ?(?:{OH_NO}[,.:;!]{{0,2}} ){{1,3}}(?:in )?(?P<name>[a-z0-9][a-z0-9-]{{0,62}})(?= ?(?:$|[,.;:!)\n]))"
)
"""Another name for the one before it: "prod, no, staging"."""

_NOT_BEFORE = (
    "namespace ",
    "model ",
    "image ",
    "container ",
    "preset ",
    "cluster ",
    "engine ",
    "namespace is ",
    "secret ",
)


def read_names(heard: Heard, known: Known) -> None:
    """The namespace, then the id of the experiment."""
    _read_namespace(heard)
    for match in heard.sentence.find(_AUTOMATIC):
        heard.removed.append("experiment_id")
        heard.sentence.take(*match.span())
    for match in heard.sentence.find(_ID_AS):
        if match["name"] not in SAYS_NOTHING and not says_more(known.catalog, known.engine, match["name"]):
            heard.say("experiment_id", heard.sentence.exact(*match.span("name")), *match.span())
    for pattern in (_ID_FLAG, _ID):
        for match in heard.sentence.find(pattern):
            word, end = bare_value(heard, match.end())
            if word and word.lower() not in STOP and not _is_a_name_of_else(heard, match):
                word, end = _rest_of_name(heard, known, word, end)
                heard.say("experiment_id", word[:LONGEST], match.start(), end)
    for match in heard.sentence.find(_EXPERIMENT):
        if not says_more(known.catalog, known.engine, match["name"].partition("-")[0]):
            heard.say("experiment_id", heard.sentence.exact(*match.span("name")), *match.span())


def _rest_of_name(heard: Heard, known: Known, word: str, end: int) -> tuple[str, int]:
    """A name of two or three words up to the end of a clause, of which no other reader makes anything."""
    more = _WORDS_TO_THE_END.match(heard.sentence.free, end)
    words = more[0].split() if more else []
    if not words or any(one in SAYS_NOTHING or says_more(known.catalog, known.engine, one) for one in words):
        return word, end
    return f"{word} {' '.join(words)}", end + len(more[0])  # type: ignore[index]


def _is_a_name_of_else(heard: Heard, match: re.Match[str]) -> bool:
    """Whether the words name what stands before them, as in "the namespace is called perf"."""
    return heard.sentence.plain[: match.start()].endswith(_NOT_BEFORE) and not match[0].startswith(("and ", "please "))


def _read_namespace(heard: Heard) -> None:
    sentence = heard.sentence
    for match in sentence.find(_NAMESPACE_AFTER):
        group = next(name for name in ("name", "line", "bracketed", "so", "as", "is") if match[name])
        if match[group] not in _NO_NAMESPACE and not (group in ("as", "is") and match[group] in SAYS_NOTHING):
            _namespace(heard, sentence.exact(*match.span(group)), *match.span())
    for match in sentence.find(_NAMESPACE):
        word, end = bare_value(heard, match.end())
        ends = sentence.plain[end : end + 1] in ("", "\n", ",", ".", ";", ")") or sentence.plain.startswith(
            " and ", end
        )
        # "ns a" at the end of a clause is a namespace, "namespace with" is none.
        if any(char.isalnum() for char in word) and (ends or word.lower() not in _NO_NAMESPACE):
            if instead := _INSTEAD.match(sentence.free, end):
                word, end = instead["name"], instead.end()
            _namespace(heard, word, match.start(), end)


def _namespace(heard: Heard, name: str, start: int, end: int) -> None:
    fault = safe.namespace_fault(name.lower())
    if fault:
        heard.sentence.take(start, end)
        heard.ask("namespace", f"{fault}. What should it be?")
        return
    if name != name.lower():
        heard.warn(f"the namespace {name} is written {name.lower()}: Kubernetes knows small letters only")
    heard.say("namespace", name.lower(), start, end)
