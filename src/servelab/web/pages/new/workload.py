"""What clients ask for: a preset or numbers of one's own, drawn as they are typed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from servelab.catalog.workloads import presets
from servelab.lab.quickstart import quickstart_study
from servelab.spec.workload import Tokens, Workload
from servelab.web.charts import Option, Palette, axis, base, chart, palette, redraw
from servelab.web.draft import Draft
from servelab.web.pages.frame import heading, is_dark
from servelab.web.pages.new.fields import Fields, row
from servelab.web.pages.parts import element, text

OWN = "custom"
KINDS = {"normal": "normal", "lognormal": "lognormal", "uniform": "uniform", "fixed": "fixed"}
NUMBERS = {
    "normal": ("mean", "stdev", "min", "max"),
    "lognormal": ("mean", "stdev", "min", "max"),
    "uniform": ("min", "max"),
    "fixed": ("mean",),
}
TITLES = {"prompt": "Prompt", "output": "Answer"}
DRAWN = 2000  # lengths, at even shares
BARS = 48


def known_workloads() -> dict[str, tuple[str, Workload]]:
    """Every preset by name, with what it is; the newcomer's first."""
    first = quickstart_study().workload
    found = {first.name: ("A short chat, for a first look on any machine.", first)}
    return found | {name: (preset.description, preset.workload(name)) for name, preset in presets().items()}


def workload(fields: Fields, rebuild: Callable[[], object]) -> Callable[[], None]:
    """The part of the form; returns what draws the lengths anew."""
    draft = fields.draft
    with element("section", "card stack"):
        heading("What clients ask for", "h2")
        fields.note("workload")
        source = draft.get("workload", "trace", "path") or draft.get("workload", "dataset")
        if source is not None:
            text("p", f"The requests are those of {source}, as the YAML says.")
            return lambda: None
        _preset(fields, rebuild)
        for kind, title in TITLES.items():
            _lengths(fields, kind, title, rebuild)
        with row():
            fields.number("Shared prefix", "workload", "prefix", "tokens", suffix="tokens", usual=0)
            if draft.get("workload", "prefix", "tokens"):
                fields.number("Different prefixes", "workload", "prefix", "groups", usual=1)
        return _drawing(draft)


def _preset(fields: Fields, rebuild: Callable[[], object]) -> None:
    known = known_workloads()
    chosen = fields.draft.get("workload", "name", default=OWN)
    options = {name: f"{name}: {about}" for name, (about, _) in known.items()}
    if chosen not in options:
        options |= {chosen: f"{chosen}: numbers of your own"}

    def choose(name: str) -> None:
        if name in known:
            fields.draft.set(("workload",), as_given(known[name][1]))
            fields.touch()
            rebuild()

    fields.choice("Workload", "workload", "name", options=options, value=chosen, then=choose)


def as_given(chosen: Workload) -> dict[str, Any]:
    """A workload as a form holds it."""
    return dict(chosen.model_dump(mode="json", exclude_defaults=True))


def _lengths(fields: Fields, kind: str, title: str, rebuild: Callable[[], object]) -> None:
    path = ("workload", kind)
    shape = fields.draft.get(*path, "distribution", default="normal")

    def reshape(name: str) -> None:
        given = fields.draft.get(*path, default={})
        kept = {part: given[part] for part in NUMBERS[name] if part in given}
        if name == "uniform":
            kept = {"min": 1, "max": round(2 * given.get("mean", 64)), **kept}
        else:
            kept.setdefault("mean", (given.get("min", 1) + given.get("max", 128)) / 2)
        fields.set(path, {"distribution": name, **kept})
        rebuild()

    with row():
        fields.choice(f"{title}: lengths", *path, "distribution", options=KINDS, value=shape, then=reshape)
        for part in NUMBERS.get(shape, ()):
            longest = "3 sigma above" if shape == "lognormal" else "2 x mean"
            usual = {"stdev": 0, "min": 1, "max": longest}.get(part, "")
            fields.number(f"{title}: {part}", *path, part, usual=usual)
        text("span", "tokens", "muted small")
    fields.note(*path)


def _drawing(draft: Draft) -> Callable[[], None]:
    colours = palette(is_dark())
    drawn = chart(_option(draft, colours), "")
    drawn.classes("low")
    spoken = text("p", "", "small muted")

    def draw() -> None:
        lengths = {title: _tokens(draft.get("workload", kind)) for kind, title in TITLES.items()}
        if None in lengths.values():
            return  # a number is being typed
        said = " ".join(_spoken(title, tokens) for title, tokens in lengths.items() if tokens is not None)
        if said != spoken.text:
            redraw(drawn, _option(draft, colours))
            spoken.set_text(said)
            drawn.props["aria-label"] = f"How often each length occurs. {said}"

    draw()
    return draw


def _option(draft: Draft, colours: Palette) -> Option:
    """How often each length occurs, of prompts and of answers."""
    series = [
        {
            "name": title,
            "type": "line",
            "step": "middle",
            "showSymbol": False,
            "silent": True,
            "areaStyle": {"opacity": 0.25},
            "lineStyle": {"width": 1.5},
            "data": histogram(tokens),
        }
        for kind, title in TITLES.items()
        if (tokens := _tokens(draft.get("workload", kind))) is not None
    ]
    x = axis(colours, "tokens", x=True, min=0)
    return base(colours, x, axis(colours, "% of requests", min=0, splitNumber=3), series)


def _tokens(raw: Mapping[str, Any] | None) -> Tokens | None:
    try:
        return Tokens.model_validate(raw)
    except ValidationError:
        return None


def _spoken(title: str, tokens: Tokens) -> str:
    low, middle, high = (tokens.quantile(share) for share in (0.05, 0.5, 0.95))
    if low == high:
        return f"{title}: {middle} tokens."
    return f"{title}: half below {middle:,} tokens, 90 % within {low:,} and {high:,}."


def histogram(tokens: Tokens) -> list[list[float]]:
    """Lengths and the share of requests (%) that have about that length, drawn as the workload draws them."""
    drawn = [tokens.quantile((index + 0.5) / DRAWN) for index in range(DRAWN)]
    low, high = drawn[0], drawn[-1]
    width = max(1, -(-(high - low + 1) // BARS))
    counts = Counter((length - low) // width for length in drawn)
    bars = [
        [low + (index + 0.5) * width - 0.5, 100 * counts[index] / DRAWN] for index in range((high - low) // width + 1)
    ]
    return [[bars[0][0] - width, 0.0], *bars, [bars[-1][0] + width, 0.0]]
