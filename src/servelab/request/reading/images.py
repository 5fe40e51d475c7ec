"""Container images: a tag, a full reference, or one each for the main and the init container."""

from __future__ import annotations

import re
from collections.abc import Iterable

from servelab.request import safe
from servelab.request.reading.heard import Heard
from servelab.request.reading.known import STOP, Known, one_of, rx
from servelab.request.said import Option

DEFAULT = "default"
"""The image of the values file, whichever it is."""

_INIT = r"init(?:[- ]?containers?)?(?:[-_ ]image| one)?"
_DEFAULT_INIT = rx(
    r"(?:(?:but |and )?(?:keep|keeping|leave|leaving|use|using|with) )?(?:the )?(?:default|standard|"
    r"official|stock|original|same)"
    rf"(?: one| image)? (?:for|in|as|on) (?:the )?{_INIT}\b"
    rf"|(?:(?:but |and )?(?:keep|keeping|leave|leaving) )(?:the )?{_INIT}(?: (?:on|at|as|to|is|the|it|"
    r"image|container)){0,5}"
    rf"(?: (?:default|standard|unchanged|alone|untouched|official|stock))?(?: image| one)?\b"
    rf"|(?:the )?(?:default|standard|official|stock) {_INIT}\b"
    rf"|{_INIT}(?: (?:on|at|as|stays?|remains?|keeps?|is|uses?|should|be|with|to|"
    r"the)){0,5} ?[=:]? ?(?:the )?(?:default|unchanged|standard)(?: image| one)?\b"
)
_DEFAULT_MAIN = rx(
    r"(?:the )?(?:default|official|standard|stock|upstream)(?: vllm| sglang| container|"
    r" docker){0,5} (?:image|container)\b"
)
_WORD = rx(
    r"[^\s,;\0\"'()\[\]{}]*[/:@][^\s,;\0\"'()\[\]{}]*|(?<=image )[^\s,;\0\"'()]+|"
    r"(?<=image=)[^\s,;\0\"'()]+|(?<=image: )[^\s,;\0\"'()]+|(?<=image is )[^\s,;\0\"'()]+"
)
_KEY = rx(
    r"(?:-{0,2}(?:(?:vllm|main|init|container|docker)[-_. ]?)?image|image\.(?:main|init)|main|init|"
    r"docker|oci)(?:[=:]|://)"
)
_REFERENCE = re.compile(
    r"[a-z0-9][a-z0-9.-]*(?::\d{1,5}(?=/))?(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*){0,8}"
    r"(?P<tag>:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(?P<digest>@sha256:[A-Fa-f0-9]{64})?"
)
_BEFORE = rx(
    r"(?P<role>main|init|both)?(?:[- ]?containers?)?(?:(?:^|[\s\0])(?:use|using|with|and|the|a|an|our|"
    r"my|own|custom|full|private|"
    r"vllm|docker|container|engine|run|running|on|from|pull|is|to|of|for|be|should|it|=|:)|"
    r" image(?: tag)?|^image|[=:]){0,5}[ =:]*[\"']?$"
)
_AFTER_ROLE = rx(
    r"[\"']?(?: image)?(?: ?\(| (?:for|in|as|on|to) )(?:the )?(?P<role>main|init|both|decode|"
    r"vllm)(?: and init)?(?: one)?(?: containers?)?(?: image)?\)?"
)
_CUSTOM = rx(
    r"(?:(?:a|an|our|my|the|some) )?(?:custom|customi[sz]ed|own|private|patched|modified|home-?made|special)"
    r"(?:[- ](?:built|build|vllm|sglang|docker|container|engine|made)){0,5} (?:image|build|container|"
    r"docker|fork|vllm)\b"
    r"|\b(?:my|our)(?: own)?(?: vllm| docker| container){0,5} image\b|(?:an |vllm ){0,5}image of (?:my|our) own"
    r"|\bcustom[- ](?:vllm|image)\b"
)
_VERSION = r"v?\d+\.\d+(?:\.\d+)?(?:[.-]?(?:rc|post|dev|a|b)\d+)?(?:[-+][\w.]+)?"
_TAG = rx(
    r"\b(?:vllm|sglang)(?:[- ]openai)?(?: docker| container)?(?: image)?(?: (?:in|at|with|on|to|using|"
    rf"the|its|is|tag|tagged|version|release|ver\.?)){{0,5}}[- =:@]{{1,3}}(?P<a>{_VERSION})"
    r"(?![\w%.]*\w)"
    rf"|\b(?P<b>{_VERSION})(?: version| release| tag)? (?:of|for) (?:the )?(?:vllm|sglang|image)\b"
    r"|\b(?:image |docker |vllm |container ){0,5}(?:tag|tagged|version|release)(?: (?:is|to|of|"
    rf"should|be|the|at|as)){{0,5}} ?[=:]? ?[\"']?(?P<c>{_VERSION}|v\d+|latest|nightly|main|"
    r"(?<=tag )[a-z][\w.-]*\d[\w.-]*)(?![\w%.]*\w)[\"']?"
    rf"|\bimage(?: (?:is|to|of|at|as)){{0,5}} ?[=:]? ?(?P<f>{_VERSION})(?![\w%.]*\w)"
    r"|\b(?P<d>latest|nightly)(?: version| release| build| tag)?(?: of)?(?: the)? (?:vllm|"
    r"sglang)(?: image| version| release| build)?\b"
    r"|\b(?P<g>latest|nightly) (?:docker |container )?(?:image|build|release)\b"
    rf"|\b(?:vllm|sglang)(?: image)?[ :](?P<e>latest|nightly)\b(?: version| release| build| image)?"
)
_BOTH = ("both",)


def read_images(heard: Heard, known: Known) -> None:
    """Images and tags; the init container follows the main one unless it is told apart."""
    for match in heard.sentence.find(_DEFAULT_INIT):
        heard.say("images.init", DEFAULT, *match.span())
    for match in heard.sentence.find(_WORD):
        _read_word(heard, known, match)
    for match in heard.sentence.find(_TAG):
        _read_tag(heard, next(group for group in match.groups() if group), match)
    for match in heard.sentence.find(_CUSTOM):
        heard.say("custom_image", True, *match.span())
    for match in heard.sentence.find(_DEFAULT_MAIN):
        heard.say("images.main", DEFAULT, *match.span())


def read_features(heard: Heard, known: Known) -> None:
    """What only builds of one's own can do, spoken of without its flag: an image is needed, and the flag's value."""
    for image in known.catalog.images.values():
        for match in heard.sentence.find(
            rx(
                rf"(?:(?P<off>no|without|not|disable|drop|remove) |with |for )?(?<![\w-]){one_of(image.spoken)}"
                r"(?: (?:enabled|on|support))?(?![\w-])"
            )
        ):
            heard.sentence.take(*match.span())
            if match["off"]:
                heard.removed.append("features")
                continue
            features = dict.fromkeys(image.provides, image.spoken[0])
            heard.say("features", {**known.before.features, **features}, *match.span())
            ask_for_image(heard, known, image.provides)


def ask_for_image(heard: Heard, known: Known, flags: Iterable[str]) -> None:
    """Ask which image knows the flags, unless an image of one's own was spoken of."""
    images = [one for one in heard.said("images.main") if one.value != DEFAULT and not _is_official(one.value, known)]
    before = known.before.images.main
    if heard.said("custom_image") or images or known.before.custom_image or (before and before != DEFAULT):
        return
    fitting = [image for image in known.catalog.images.values() if set(flags) & set(image.provides)]
    options = [
        Option(value=f"{image.image}:{tag}", label=f"{image.image}:{tag}", notes=(image.notes,))
        for image in fitting
        for tag in image.tags
    ]
    wanted = " and ".join(flags)
    heard.ask(
        "images", f"{wanted} needs a custom {known.engine} image. Which one? (e.g., ghcr.io/org/vllm:tag)", options
    )


def _read_word(heard: Heard, known: Known, match: re.Match[str]) -> None:
    sentence = heard.sentence
    key = _KEY.match(match[0])
    start = match.start() + (key.end() if key else 0)
    word = sentence.exact(start, match.end()).rstrip(".:!?/")
    end = start + len(word)
    before = _BEFORE.search(sentence.free, max(0, start - 60), start)
    after = _AFTER_ROLE.match(sentence.free, end)
    called = bool(key) or after is not None or (before is not None and "image" in before[0])
    if not word or word.startswith(("--", "-")) or not _is_image(word, called, known):
        if called and set(word) & set("$;|&`<>\\{}"):
            sentence.take(start, end)
            heard.ask(
                "images", f"{safe.shown(word)} is no container image, as ghcr.io/org/vllm:tag. What should it be?"
            )
        return
    role = (
        (after["role"] if after else None)
        or (before["role"] if before else None)
        or ("init" if key and "init" in key[0] else None)
    )
    first = match.start() if key else (before.start() if before and before["role"] else start)
    if before and not key and before["role"] is None:
        first = start - len(_tail(before[0]))
    last = after.end() if after and after["role"] != "vllm" else end
    if fault := safe.image_fault(word):
        sentence.take(first, last)
        heard.ask("images", f"{fault}. What should it be?")
        return
    for part in ("init",) if role == "init" else ("main", "init") if role == "both" else ("main",):
        heard.say(f"images.{part}", word, first, last)
    if role != "init" and not _is_official(word, known):
        heard.say("custom_image", True, first, last)


def _tail(before: str) -> str:
    """Of the words before an image, those that belong to it."""
    found = re.search(
        r"(?:(?:custom|own|private|full|vllm|docker|container|engine) ){0,5}image(?: tag)?(?: (?:is|to|of|"
        r"be|should|from|at)){0,5}[ =:]*[\"']?$",
        before,
    )
    return found[0] if found else ""


def _is_image(word: str, called: bool, known: Known) -> bool:
    """Whether a word is an image and no model id, ratio or address: by its tag, digest or registry, or so called."""
    match = _REFERENCE.fullmatch(word)
    if match is None:
        return called and "/" in word and "://" not in word
    if not re.search(r"[a-z]", word):
        return False  # 0.85/0.95
    path = word[: match.start("tag")] if match["tag"] else word.partition("@")[0]
    first, slash, _ = path.partition("/")
    if match["digest"] or any(path == image.image for image in known.catalog.images.values()):
        return True
    if slash:
        return called or bool(match["tag"]) or "." in first or ":" in first or first == "localhost"
    if match["tag"]:
        return (called and not match["tag"][1:].isdigit()) or bool(re.search(r"vllm|sglang|llama|image", path))
    return called and path.lower() not in STOP and bool(re.search(r"[-.\d]", path)) and not re.fullmatch(_VERSION, path)


def _is_official(word: str, known: Known) -> bool:
    return any(
        word.startswith((f"{image.image}:", f"{image.image}@")) or word == image.image
        for image in known.catalog.images.values()
        if not image.provides
    )


def _read_tag(heard: Heard, tag: str, match: re.Match[str]) -> None:
    """A tag of the image that was named, or of the default one."""
    named = [one for one in heard.said("images.main") if one.value != DEFAULT]
    tag = f"v{tag}" if tag[0].isdigit() else tag
    if named and not _REFERENCE.fullmatch(named[-1].value)["tag"]:  # type: ignore[index]
        old = named[-1]
        heard.mentions.remove(old)
        heard.say("images.main", f"{old.value}:{tag}", old.start, old.end)
        heard.sentence.take(*match.span())
    else:
        heard.say("images.main", tag, *match.span())
