"""What may change from trial to trial, and what stays fixed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui

from servelab.catalog.engines import Argument, engine_arguments
from servelab.web.pages.frame import heading
from servelab.web.pages.new.fields import Fields, read_value, row
from servelab.web.pages.new.subject import usual_space
from servelab.web.pages.parts import element, text

SPACE = ("space", "parameters")
FIXED = ("engine", "arguments")


def parameters(fields: Fields, rebuild: Callable[[], object]) -> None:
    """The arguments of the engine: a tick searches one, the rest are fixed or left to the engine."""
    draft = fields.draft
    with element("section", "card stack"):
        heading("What is tuned", "h2")
        fields.note("space")
        fields.note("factors")
        fields.note("treatments")
        if draft.get("platform", "name") == "endpoint" and draft.get("space") is None:
            text("p", "The server runs already with its own arguments, so only the load varies.", "muted")
        elif (design := _design(draft.document)) is not None:
            text("p", design)
            ui.button("Search instead", on_click=lambda: _search(fields, rebuild)).props("flat no-caps")
        else:
            _space(fields)
        _fixed(fields)


def _design(document: dict[str, Any]) -> str | None:
    """What is said of a study that tries what it lists, instead of searching."""
    if "space" in document:
        return None
    if "factors" in document:
        levels = "; ".join(f"{name}: {', '.join(map(str, values))}" for name, values in document["factors"].items())
        return f"This study tries every combination of its factors ({levels}). They are written in the YAML."
    if "treatments" in document:
        return f"This study tries the {len(document['treatments'])} treatments that its YAML lists."
    return "Nothing is tuned: the engine is measured as it is."


def _search(fields: Fields, rebuild: Callable[[], object]) -> None:
    draft = fields.draft
    draft.put_aside(("factors",), "design")
    draft.put_aside(("treatments",), "design")
    draft.set(("space",), usual_space(draft.get("engine", "name", default="")) or {"parameters": {}})
    if not draft.get("objectives"):
        draft.set(("objectives",), [{"metric": "output_throughput", "direction": "maximize"}])
    fields.touch()
    rebuild()


def _space(fields: Fields) -> None:
    draft = fields.draft
    known = engine_arguments(draft.get("engine", "name", default=""))
    names = [*draft.get(*SPACE, default={})]
    names += [name for name, a in known.items() if a.tune is not None and not a.until and name not in names]
    text(
        "p",
        "Ticked arguments are searched among the values beside them; the others stay at the engine's default, or as "
        "fixed below.",
        "muted small",
    )
    with element("div", "arguments") as listed:
        for name in names:
            _argument(fields, name, known.get(name))
    more = {name: f"{name}: {a.help}" for name, a in known.items() if name not in names and not a.until}
    if more:
        with row():
            control = ui.select(more, label="Search another argument", with_input=True, clearable=True)
            control.props("outlined dense options-dense hide-bottom-space")

        def add() -> None:
            if control.value is not None and control.value not in names:
                names.append(control.value)
                with listed:
                    _argument(fields, control.value, known.get(control.value), ticked=True)

        control.on_value_change(add)


def _argument(fields: Fields, name: str, known: Argument | None, ticked: bool = False) -> None:
    """One argument: whether it is searched, and in which range."""
    draft, path = fields.draft, (*SPACE, name)
    usual = _usual(known)
    if ticked:
        fields.set(path, usual)
    with element("div", "argument"):
        tick = ui.checkbox(name, value=draft.get(*path) is not None).props("dense")
        with element("div", "row tight") as ranged:
            pass
        _told(known)

    def show() -> None:
        ranged.clear()
        ranged.visible = bool(tick.value)
        if tick.value:
            with ranged:
                _range(fields, path)

    def turn() -> None:
        if tick.value:
            draft.bring_back(path, "unticked", usual)
            draft.bring_back(("baseline", name), "unticked")
        else:
            draft.put_aside(path, "unticked")
            draft.put_aside(("baseline", name), "unticked")
        fields.touch()
        show()

    tick.on_value_change(turn)
    show()


def _usual(known: Argument | None) -> dict[str, Any]:
    """The range that the catalog advises; else what the argument can be."""
    if known is None:
        return {"choices": []}
    if known.tune is not None:
        return {"type": known.tune.type, **known.tune.model_dump(mode="json", exclude_defaults=True)}
    if known.type == "bool":
        return {"choices": [True, False]}
    if known.values:
        return {"choices": list(known.values)}
    return {"choices": [known.default] if known.default is not None else []}


def _range(fields: Fields, path: tuple[str, ...]) -> None:
    if "low" in fields.draft.get(*path):
        kind = fields.draft.get(*path, "type")
        if kind is None:  # two whole bounds would be read as of whole numbers
            bounds = (fields.draft.get(*path, "low"), fields.draft.get(*path, "high"))
            fields.draft.set((*path, "type"), "int" if all(isinstance(bound, int) for bound in bounds) else "float")
        fields.number("from", *path, "low").props(f'aria-label="{path[-1]} from"')
        fields.number("to", *path, "high").props(f'aria-label="{path[-1]} to"')
        fields.switch("logarithmic", *path, "log")
        fields.note(*path)
    else:
        control = fields.values(f"Values of {path[-1]}", *path, "choices").classes("wide")
        fields.speaks_for(control, *path)


def _told(known: Argument | None) -> None:
    """What an argument does."""
    if known is None:
        text("div", "The catalog does not know it: it is passed on to the engine as it is.", "small muted")
        return
    default = "" if known.default is None else f" Default: {str(known.default).lower()}."
    moves = f" Moves {', '.join(known.moves)}." if known.moves else ""
    text("div", f"{known.help}{default}{moves}", "small muted")
    if known.note:
        text("div", known.note, "small muted")
    if known.security:
        text("div", known.security, "small warn")


def _fixed(fields: Fields) -> None:
    """Arguments with one value for all trials."""
    known = engine_arguments(fields.draft.get("engine", "name", default=""))
    with ui.expansion("Fixed arguments", value=bool(fields.draft.get(*FIXED))).classes("more"):
        with element("div", "stack") as listed:
            for name in fields.draft.get(*FIXED, default={}):
                _fixed_one(fields, name)
        control = ui.select(
            {name: f"{name}: {a.help}" for name, a in known.items() if not a.until},
            label="Fix an argument",
            with_input=True,
            clearable=True,
        ).props("outlined dense options-dense hide-bottom-space")

        def add() -> None:
            name = control.value
            if name and name not in fields.draft.get(*FIXED, default={}):
                default = known[name].default
                fields.set((*FIXED, name), default if default is not None else "")
                with listed:
                    _fixed_one(fields, name)

        control.on_value_change(add)


def _fixed_one(fields: Fields, name: str) -> None:
    path = (*FIXED, name)
    with element("div", "row") as line:
        value = fields.draft.get(*path)
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        control = fields.plain(name, *path, value=shown, read=lambda typed: read_value(typed.strip()))
        control.classes("wide")

        def remove() -> None:
            fields.set(path, None)
            line.delete()

        ui.button(icon="close", on_click=remove).props(f'flat round dense aria-label="Do not fix {name}"')
