"""The model: a full id, a name that the catalog knows, a slip of the keyboard, or a name that several have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from servelab.catalog.catalog import Catalog
from servelab.catalog.engines import Argument
from servelab.catalog.models import KnownModel
from servelab.request import safe
from servelab.request.reading.heard import Heard
from servelab.request.reading.known import STOP, Known, one_of, rx, word_list
from servelab.request.reading.quantity import IS
from servelab.request.reading.spoken import phrases_of
from servelab.request.said import Option

Parts = tuple[str, ...]

LONGEST = 6  # words of a model's name
OFFERED = 6  # models that a question offers
SURE = 80.0  # similarity in percent above which a misspelt family is taken

_NOISE = {"v", "instruct", "it", "hf", "meta", "preview", "instr"}
_PART = re.compile(r"\d+x\d+b|a?\d+(?:\.\d+)?[bm](?![a-z])|\d+(?:\.\d+){0,5}|[a-z]+")
_SIZE = re.compile(r"(?:\d+x)?\d+(?:\.\d+)?[bm]")
_WORD = rx(r"[a-z0-9][\w.-]*")
_ID = rx(
    r"(?<![\w./:@-])(?:(?:https?://)?(?:www\.)?(?:huggingface\.co|"
    r"hf\.co)/)?(?P<id>[a-z0-9][\w.-]*/[\w.-]*\w)(?![\w/:@])"
)
_NAMED = rx(
    r"(?:\bmodel(?:[-_ ](?:id|name))?(?: is|,)? ?[=:] ?|\bmodel(?: id| name)? (?:is |called |named )|"
    r"--model(?:[-_]path)?[= ])[\"']?(?P<name>[^\s,;\"'\0]+)"
)
_SHORT = re.compile(r"[\d.]+|(?:tp|pp|dp|ep|tensor|pipeline)\d*")
_RATIOS = word_list("ratios")
_REFUSED = re.compile(r"\b(?:not|instead of|rather than|anything but|other than) (?:the |a |an )?$")


@dataclass(frozen=True)
class Index:
    """The catalog's names of models, taken apart: ``llama-3.3-70b`` is llama, 3.3, 70b however it is written."""

    written: dict[str, str]
    exact: dict[Parts, str]
    ambiguous: dict[Parts, str]
    models: dict[str, frozenset[str]]
    families: frozenset[str]


@cache
def index_of(catalog: Catalog) -> Index:
    """The index of a catalog's models."""
    written = {model.id.rsplit("/", 1)[-1].lower(): name for name, model in catalog.models.items()}
    exact = {parts_of(said): name for said, name in written.items()}
    exact |= {parts_of(said): name for name, model in catalog.models.items() for said in (*model.aliases, name)}
    models = {
        name: frozenset(
            part for said in (name, model.id.rsplit("/", 1)[-1], *_versions(model)) for part in parts_of(said)
        )
        for name, model in catalog.models.items()
    }
    families = {part for name in catalog.models for part in parts_of(name)[:1] if part.isalpha()}
    return Index(written, exact, {parts_of(name): name for name in catalog.ambiguous}, models, frozenset(families))


def _versions(model: KnownModel) -> list[str]:
    """Aliases that name another version, as llama-3-70b for Llama 3.3; not those that split a word, as code-llama."""
    return [alias for alias in model.aliases if "/" not in alias and not alias.startswith("code-")]


def parts_of(name: str) -> Parts:
    """Letters, versions and sizes of a name, without words that say nothing."""
    return tuple(part for part in _PART.findall(name.lower()) if part not in _NOISE)


def read_ids(heard: Heard, known: Known) -> None:
    """Ids as on Hugging Face, ``org/name``, known or not; and what is said to be the model."""
    for match in heard.sentence.find(_ID):
        org, _, name = match["id"].partition("/")
        if (
            parts_of(org) in index_of(known.catalog).exact
            or org in _RATIOS
            or name in _RATIOS
            or _SHORT.fullmatch(org)
            or len(name) < 3
        ):
            continue
        if {org, name} <= _choices(known.catalog, known.engine):
            continue  # "kv cache dtype auto/fp8"
        written = heard.sentence.exact(match.start("id"), match.end("id"))
        if (of := _argument_before(heard, known, match.start())) is not None:
            heard.say(of.flag, written, *match.span())
            continue
        known_as = next(
            (
                model.id
                for model in known.catalog.models.values()
                if written.lower() in (model.id.lower(), *(alias.lower() for alias in model.aliases))
            ),
            written,
        )
        _say(heard, known_as, *match.span())
    for match in heard.sentence.find(_NAMED):
        if match["name"].rstrip(".!?") in STOP or list(_spellings(heard, known, match.start("name"))):
            continue
        word = heard.sentence.exact(match.start("name"), match.end("name")).rstrip(".!?")
        heard.sentence.take(match.start(), match.start("name") + len(word))
        _unknown(heard, known, word)


@cache
def _choices(catalog: Catalog, engine: str) -> frozenset[str]:
    """Values of the engine's enumerations, in small letters."""
    return frozenset(str(value).lower() for one in catalog.arguments(engine).values() for value in one.values)


def _argument_before(heard: Heard, known: Known, start: int) -> Argument | None:
    """The argument whose value an id is: "draft model org/name", "tokenizer org/name"."""
    named = {
        said: one
        for said, one in phrases_of(known.catalog, known.engine).named.items()
        if one.type == "string" and said != "model"
    }
    found = rx(rf"(?<![\w/.-])(?P<name>{one_of(named)}){IS}$").search(heard.sentence.free[max(0, start - 60) : start])
    return named[found["name"].replace("-", " ").replace("_", " ")] if found else None


def read_models(heard: Heard, known: Known) -> None:
    """Names of the catalog, and names that are nearly one."""
    index = index_of(known.catalog)
    for match in heard.sentence.find(_WORD):
        if heard.sentence.free[match.start()] == "\0":
            continue
        word = match[0].rstrip(".-_")
        if word in index.written:
            _say(heard, known.catalog.models[index.written[word]].id, match.start(), match.start() + len(word))
            continue
        for start, end, parts in _spellings(heard, known, match.start()):
            _resolve(heard, known, index, parts, start, end)
    for match in heard.sentence.find(_WORD):
        _misspelt(heard, known, index, match)


def _spellings(heard: Heard, known: Known, start: int) -> Iterator[tuple[int, int, Parts]]:
    """The longest run of words from ``start`` on that names models."""
    index = index_of(known.catalog)
    runs = list(_runs(heard, start))
    for end, parts in reversed(runs):
        turned = (*parts[1:], parts[0]) if parts and _SIZE.fullmatch(parts[0]) else parts
        sized = (*parts[:-1], f"{parts[-1]}b") if len(parts) > 1 and parts[-1].isdigit() else parts
        for one in dict.fromkeys((parts, turned, sized, _joined(parts))):
            if one in index.exact or one in index.ambiguous:
                yield start, end, one
                return
        if len(parts) > 1 and _SIZE.fullmatch(parts[-1]) and parts[0] in index.families and _fitting(index, parts):
            yield start, end, parts  # "llama 405b", before the "llama" in it
            return
    for end, parts in reversed(runs):
        family = parts[1:2] if parts and _SIZE.fullmatch(parts[0]) else parts[:1]
        if set(family) & index.families and _fitting(index, parts):
            yield start, end, parts
            return


def _joined(parts: Parts) -> Parts:
    """The parts with a version and a name that were split put together: llama 3 1 8b, tiny llama."""
    joined: list[str] = []
    for part in parts:
        if joined and part.isdigit() and joined[-1].isdigit():
            joined[-1] += f".{part}"
        elif joined and part.isalpha() and joined[-1].isalpha():
            joined[-1] += part
        else:
            joined.append(part)
    return tuple(joined)


def _runs(heard: Heard, start: int) -> Iterator[tuple[int, Parts]]:
    """One word, two, up to LONGEST, from ``start`` on, with their parts."""
    position: int = start
    parts: Parts = ()
    for _ in range(LONGEST):
        word = _WORD.match(heard.sentence.free, position)
        if word is None:
            return
        text = word[0].rstrip(".-_")
        parts = (*parts, *parts_of(text))
        yield position + len(text), parts
        position += len(word[0]) + 1
        if text != word[0] or heard.sentence.free[position - 1 : position] != " ":
            return


def _fitting(index: Index, parts: Iterable[str]) -> list[str]:
    """Models whose names have all these parts."""
    return [name for name, has in index.models.items() if set(parts) <= has]


def _resolve(heard: Heard, known: Known, index: Index, parts: Parts, start: int, end: int) -> None:
    said = heard.sentence.original(start, end)
    if _REFUSED.search(heard.sentence.plain, max(0, start - 16), start):
        heard.sentence.take(start, end)
    elif parts in index.ambiguous:
        ambiguous = known.catalog.ambiguous[index.ambiguous[parts]]
        chosen = [(choice.model, choice.recommended) for choice in ambiguous.options]
        _choose(heard, known, f'"{said}" could refer to multiple models. {ambiguous.prompt}', chosen, start, end)
    elif parts in index.exact:
        _say(heard, known.catalog.models[index.exact[parts]].id, start, end)
    else:
        names = _fitting(index, parts)
        if len(names) == 1:
            model = known.catalog.models[names[0]]
            heard.warn(f"{said} is read as {model.id}")
            _say(heard, model.id, start, end)
        else:
            _choose(
                heard,
                known,
                f'"{said}" could refer to multiple models. Which one do you mean?',
                [
                    (name, False)
                    for name in sorted(names, key=lambda name: known.catalog.models[name].recommended is None)[:OFFERED]
                ],
                start,
                end,
            )


def _misspelt(heard: Heard, known: Known, index: Index, match: re.Match[str]) -> None:
    """A family with a wrong letter, beside a size or version; or a name that looks like a model's and is not known."""
    from rapidfuzz import fuzz
    from rapidfuzz.distance import OSA

    for end, parts in reversed(list(_runs(heard, match.start()))):
        letters = [part for part in parts if part.isalpha()]
        if (
            len(letters) != 1
            or len(letters[0]) < 3
            or len(parts) < 2
            or letters[0] in STOP
            or letters[0] in index.families
        ):
            continue
        meant = min(index.families, key=lambda family: (OSA.distance(letters[0], family), family))
        slips = OSA.distance(letters[0], meant)
        fixed = tuple(meant if part == letters[0] else part for part in parts)
        if (
            slips > 2
            or slips * 3 > len(meant)
            or not (fixed in index.exact or fixed in index.ambiguous or _fitting(index, fixed))
        ):
            continue
        said = heard.sentence.original(match.start(), end)
        names = [index.exact[fixed]] if fixed in index.exact else _fitting(index, fixed)
        if fuzz.ratio(letters[0], meant) >= SURE or (slips == 1 and letters[0][0] == meant[0] and len(meant) > 3):
            heard.warn(f"{said} is read as {'-'.join(fixed)}")
            _resolve(heard, known, index, fixed, match.start(), end)
        else:
            _choose(
                heard,
                known,
                f"Which model do you mean by {safe.shown(said)}?",
                [(name, False) for name in names[:OFFERED]],
                match.start(),
                end,
            )
        return
    word = match[0].rstrip(".-_")
    if re.fullmatch(r"[a-z][a-z.\d]*[-_][\w.-]*\d(?:\.\d+)?b(?:[-_][\w.-]+)?|[a-z]{2,}-?\d+(?:\.\d+)?b", word):
        written = heard.sentence.exact(match.start(), match.start() + len(word))
        heard.sentence.take(match.start(), match.start() + len(word))
        _unknown(heard, known, written)


def _unknown(heard: Heard, known: Known, said: str) -> None:
    from rapidfuzz import fuzz, process

    near = process.extract(said.lower(), list(known.catalog.models), scorer=fuzz.ratio, limit=3, score_cutoff=55)
    text = f"the catalog knows no model {safe.shown(said)}. Which one is it? Name it as on Hugging Face, org/name."
    heard.ask("model", text, [option_of(known.catalog.models[str(name)]) for name, _, _ in near])


def _choose(heard: Heard, known: Known, prompt: str, names: list[tuple[str, bool]], start: int, end: int) -> None:
    heard.sentence.take(start, end)
    models = known.catalog.models
    heard.ask("model", prompt, [option_of(models[name], recommended) for name, recommended in names if name in models])


def option_of(model: KnownModel, recommended: bool = False) -> Option:
    """A model as an answer: its label, what it is, its size, and the tensor parallelism it is served with."""
    low, high = model.download
    first = model.notes[:1] or (f"{model.parameters:g} B parameters, {model.context:,} tokens of context",)
    size = f"Size: {model.size:.0f}GB, Download: {low}-{high} min" if model.size >= 1 else f"Size: {model.size:.1f}GB"
    notes = [*first, size, *model.notes[1:]]
    if model.recommended:
        sizes = model.recommended.tp
        notes.append(f"Recommended TP: {sizes[0]}-{sizes[-1]}" if len(sizes) > 1 else f"Recommended TP: {sizes[0]}")
    return Option(value=model.id, label=model.title, notes=tuple(notes), recommended=recommended)


def _say(heard: Heard, model: str, start: int, end: int) -> None:
    if fault := safe.model_fault(model):
        heard.sentence.take(start, end)
        heard.ask("model", f"{fault}. Which one is it?")
    else:
        heard.say("model", model, start, end)
