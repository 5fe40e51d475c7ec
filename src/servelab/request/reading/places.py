"""Where it runs: the engine, the platform, the accelerators."""

from __future__ import annotations

import re

from servelab.request.reading.heard import Heard, Mention
from servelab.request.reading.known import Known, rx
from servelab.request.reading.owner import OF_OTHERS, own
from servelab.request.reading.quantity import JOIN

_ENGINES = {
    "vllm": r"vllm",
    "sglang": r"sglang\.launch_server|sg[- ]?lang|sgl",
    "llamacpp": r"llama[-. ]?cpp(?:[- ]server)?|llama[- ]server",
    "trtllm": r"(?:nvidia )?(?:tensor[- ]?rt|trt)[- ]?llm",
    "simulated": r"simulated(?: engine| vllm)?|simulator|simulated engine",
}
_THERE = rx(
    r"(?: in total| in all| total| available| free| each| per node|[- ](?:nodes?|machines?|box|server|"
    r"cluster|instance)\b)"
)
_MACHINE = rx(r"nodes?|machines?|instances?|box|available|free")
_ENGINE = rx(
    r"(?<![\w/.-])(?:(?:engine ?[=:] ?|--engine[ =])?)"
    rf"(?:{'|'.join(f'(?P<{name}>{words})' for name, words in _ENGINES.items())})(?![\w/:@-]|"
    r"\.\w)(?: (?:engine|server|backend)\b)?"
)

_IN_IMAGE = rx(r"(?<=/)(?:(?P<sglang>sglang)|(?P<llamacpp>llama\.cpp)|(?P<trtllm>tensorrt-llm))(?=[:@/])")

_PLATFORMS = {
    "tekton": (
        r"(?:on |with |in |via |through |using |over ){0,5}(?:the |a |my |our )?tekton(?: pipelines?)?|"
        r"as a pipeline ?run"
    ),
    "kubernetes": (
        r"(?:on|in|at|to) (?:the |my |our |a |this )?(?:[\w-]+ )?(?:kubernetes|k8s|openshift|gke|eks|"
        r"aks)(?: cluster)?|(?:on|in) (?:the |my |our |a |this )(?:[a-z0-9]+ )?cluster|on cluster|"
        r"kubernetes cluster|k8s"
    ),
    "docker": (
        r"(?:on|in|with|via|using|under|inside) (?:a |local )?(?:docker|podman)(?: containers?)?|"
        r"in a container|docker platform"
    ),
    "process": (
        r"(?:locally|local(?= ?(?:$|[,.;\n]))|local(?:ly)? (?:on|run|process|machine)|"
        r"(?:on|in) (?:this|my|the local|my own|our) (?:laptop|machine|computer|workstation|pc|"
        r"box|server|host|desktop)|on local ?host|"
        r"as a (?:local )?process|run it here|on here)"
    ),
    "endpoint": (
        r"(?:against|on|with|at) (?:the |my |our |an )?(?:running |existing |live |"
        r"already running )+(?:endpoint|server|deployment|instance)|against (?:the |my |our |"
        r"an )?(?:endpoint|server)|(?:existing|running) endpoint"
    ),
    "ome": r"(?:(?:on|with|via|using|through|as an?) )(?:the )?(?:ome|inference ?services?)\b(?: operator)?",
}
_PLATFORM = rx(rf"(?<![\w/.-])(?:{'|'.join(f'(?P<{name}>{words})' for name, words in _PLATFORMS.items())})(?![\w/@-])")
_PLATFORM_NAMED = rx(
    r"-{0,2}\bplatform(?: is| =|=|:| to| should be){0,5} ?[=:]? ?(?P<name>tekton|kubernetes|k8s|"
    r"docker|process|local|endpoint|ome)\b"
)
_SAME = {"k8s": "kubernetes", "local": "process"}

_SUFFIX = (
    r"(?: ?(?P<form>sxm\d?|pcie|nvl))?(?:[- ]?\(?(?P<after>\d{2,3}) ?g(?:i?b)?\)?)?(?:-hbm\d\w?)?"
    r"(?P<plural>'?s)?(?:[- ](?:gpus?|accelerators?|cards?|nodes?|machines?|instances?|box(?:es)?))?"
    r"(?: ?x ?(?P<times>\d{1,3})(?![\w.]))?"  # h100 x2
)
_COUNT = r"(?:(?P<count>\d{1,4})(?: ?x ?| )|(?P<one>single) )?"
_ON = (
    r"(?:tensor[- ]parallel(?:ly|ism)? )?(?:(?P<on>on|with|use|using|across|over|between|among) )?"
    r"(?:an? |the |our |my )?"
)
_GPUS = rx(
    rf"{_ON}(?:(?<![\w.,])(?P<count>\d{{1,4}})[ -]?(?:x )?|(?P<one>single|one)[- ])(?:available |free |"
    r"local )?(?:gpus?|accelerators?|(?:graphics |gpu )?cards?)\b(?P<tp> (?:with|in|using|for|as|"
    r"under) tensor[- ]parallel\w{0,7}|(?: per| for (?:each|every|one)| each|/) ?(?:replica|instance|engine|"
    r"copy|model)\b)?"
)
_GPUS_CALLED = r"(?:(?:num(?:ber)?[-_ ](?:of[-_ ])?)?gpus?|gpu count)"
_GPUS_NAMED = rx(rf"\b{_GPUS_CALLED}(?: ?[=:] ?| is | are |(?<=number of gpus) to )(?P<count>\d{{1,4}})\b(?! ?[x%.\w])")
_OWNED = rx(
    r"\b(?:have|has|had|got|own|there (?:are|is)|up to|at most|maximum of|max|total of|available|cluster|node|"
    r"machine|box|server)\b[^,.;\n\d]{0,14}$"
)
"""Before a number of accelerators that are there, and not all meant for one engine."""

_SOME_GPUS = r"\d{1,3}(?: ?(?:gpus?|accelerators?|cards?))?"
_GPU_LEVELS = rx(
    rf"(?:(?:on|with|using|across) )?(?<![\w.,])(?P<levels>{_SOME_GPUS}"
    rf"(?:(?:{JOIN}| against | compared (?:to|with) )(?:on |with |using )?{_SOME_GPUS}){{1,5}})(?<=[a-z])(?![\w-])"
)
"""Several numbers of accelerators to compare: "2 GPUs against 4 GPUs"."""


def engine_of(text: str) -> str | None:
    """The engine that a text names, or whose image it names; None where it names none."""
    found = _ENGINE.search(text) or _IN_IMAGE.search(text)
    return found.lastgroup if found else None


def read_engine(heard: Heard, known: Known) -> None:
    """The engine's name, which elsewhere is a part of an image or a model."""
    for match in heard.sentence.find(_ENGINE):
        name = next(name for name in _ENGINES if match[name])
        heard.say("engine", name, *match.span())
    built = _IN_IMAGE.search(heard.sentence.plain)
    if built and not heard.said("engine"):
        heard.mentions.append(Mention("engine", built.lastgroup, *built.span()))


_URL = rx(r"https?://[\w.-]+(?::\d{1,5})?(?:/[\w/.-]*)?(?<![.-])")
_API = re.compile(r"/+(?:v1(?:/.*)?)?$", re.IGNORECASE)


def read_urls(heard: Heard, known: Known) -> None:
    """The address of a server that runs already, without the API's own path."""
    for match in heard.sentence.find(_URL):
        heard.say("url", _API.sub("", heard.sentence.original(*match.span())), *match.span())
        heard.mentions.append(Mention("platform", "endpoint", *match.span()))


def read_platform(heard: Heard, known: Known) -> None:
    """A cluster, a pipeline, docker, this machine, or a server that runs already."""
    for match in heard.sentence.find(_PLATFORM_NAMED):
        heard.say("platform", _SAME.get(match["name"], match["name"]), *match.span())
    for match in heard.sentence.find(_PLATFORM):
        name = next(name for name in _PLATFORMS if match[name])
        heard.say("platform", name, *match.span())
    if any(one.value in ("tekton", "ome") for one in heard.said("platform")):  # both are on Kubernetes
        heard.mentions = [one for one in heard.mentions if (one.name, one.value) != ("platform", "kubernetes")]


def read_accelerators(heard: Heard, known: Known) -> None:
    """Kind and number of accelerators."""
    kinds = {alias.lower(): name for name, one in known.catalog.accelerators.items() for alias in (name, *one.aliases)}
    words = "|".join(re.escape(kind).replace(r"\-", "[- ]?") for kind in sorted(kinds, key=len, reverse=True))
    named = rx(
        rf"{_ON}(?<![\w.]){_COUNT}(?:nvidia[- ]|amd[- ]|intel[- ]|"
        rf"google[- ])?(?:(?P<before>\d{{2,3}}) ?gb )?(?P<kind>{words}){_SUFFIX}(?![\w/.-]*\w)"
    )
    for match in heard.sentence.find(named):
        kind = re.sub(r"[- ]", "", match["kind"])
        base = next(name for name in kinds if name.replace("-", "") == kind)
        memory = match["before"] or match["after"]
        form = match["form"] or ""
        wanted = [f"{base}-{form}-{memory}gb", f"{base}-{memory}gb", f"{base}-{form}", base]
        heard.say("accelerator", next(kinds[one] for one in wanted if one in kinds), *match.span())
        if match["count"] or match["one"] or match["times"]:
            _count(heard, match)
    for match in heard.sentence.find(_GPU_LEVELS):
        if mine := own(heard, _GPU_LEVELS, match, OF_OTHERS):
            levels = tuple(int(level) for level in re.findall(r"\d+", mine["levels"]))
            heard.say("tensor_parallelism", tuple(dict.fromkeys(levels)), *mine.span())
    for match in heard.sentence.find(_GPUS_NAMED):
        heard.say("accelerators", int(match["count"]), *match.span())
        heard.say("together", int(match["count"]), *match.span())
    for match in heard.sentence.find(_GPUS):
        _count(heard, match)


def _count(heard: Heard, match: re.Match[str]) -> None:
    """How many there are; how many one engine is put on, where that was said."""
    count = int(match["count"] or match.groupdict().get("times") or 1)
    heard.say("accelerators", count, *match.span())
    there = _THERE.match(heard.sentence.plain, match.end()) or _MACHINE.search(match[0])
    owned = _OWNED.search(heard.sentence.plain, max(0, match.start() - 30), match.start())
    times = re.search(r"\dx ?[a-z]|x ?\d", match[0])  # 4xH100, H100 x4
    if (match["on"] or times or count == 1 or match.groupdict().get("tp") or not owned) and not there:
        heard.say("together", count, *match.span())
