"""What is served, and by what: name, model, engine, platform."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from nicegui import ui

from servelab.catalog.engines import engine_arguments, find_engine
from servelab.catalog.models import KnownModel, find_model, known_models
from servelab.lab.quickstart import quickstart_study
from servelab.spec.plugins import plugin_names
from servelab.web.draft import Draft, runs_here
from servelab.web.pages.frame import heading
from servelab.web.pages.new.fields import Fields, row
from servelab.web.pages.parts import element, text

PLATFORMS = {
    "process": "this machine, as a process",
    "docker": "this machine, in a container",
    "ome": "a Kubernetes cluster with OME",
    "endpoint": "a server that runs already",
}
OPTIONS = {
    "endpoint": (("url", "URL, without /v1", "http://127.0.0.1:8000"),),
    "ome": (("namespace", "Namespace", "the context's"), ("context", "Context of the kubeconfig", "the current one")),
}
"""What is asked of each platform here; further options are written in the YAML."""

ENGINES = {
    "llamacpp": "llama.cpp: comes with servelab, runs on CPUs",
    "vllm": "vLLM",
    "sglang": "SGLang",
    "simulated": "simulated: plays vLLM, measures nothing real",
}

OF_ENGINE = (*(("engine", part) for part in ("arguments", "image", "version", "executable", "profile")), ("baseline",))
"""What is said of one engine, and would be wrong of another."""

OF_QUICKSTART = (("description",), ("budget", "wall_time"))
"""What the newcomer's first study says of its own engine; what a person puts there stays."""

DESIGNS = (("space",), ("factors",), ("treatments",))
"""What varies from trial to trial: one of these, of arguments of the engine."""


def subject(fields: Fields, rebuild: Callable[[], object]) -> None:
    """The first part of the form; ``rebuild`` is called when the other parts have to be made anew."""
    draft = fields.draft
    with element("section", "card stack"):
        heading("What is served", "h2")
        with row():
            fields.text("Name of the study", "name", hint="a-z, 0-9 and -")
            _model(fields)
        fields.note("model")
        with row():
            engine = draft.get("engine", "name", default="")
            engines = _titled(plugin_names("servelab.engines"), ENGINES, engine)
            then = partial(_change_engine, fields, rebuild)
            fields.choice("Engine", "engine", options=engines, value=engine, then=then)
            platform = draft.get("platform", "name", default="process")
            platforms = _titled(plugin_names("servelab.platforms"), PLATFORMS, platform)
            then = partial(_change_platform, fields, rebuild)
            fields.choice("Where it runs", "platform", options=platforms, value=platform, then=then)
        with row():
            for name, label, placeholder in OPTIONS.get(platform, ()):
                fields.text(label, "platform", "options", name, placeholder=placeholder)
            if platform in ("docker", "ome"):
                fields.text("Image", "engine", "image", placeholder="the usual one")
            if engine != "llamacpp" and platform != "endpoint":
                fields.number("Accelerators of a deployment", "engine", "resources", "accelerators", usual=0)
                fields.text("Accelerator", "engine", "resources", "accelerator", placeholder="as h100-80gb")


def _model(fields: Fields) -> None:
    control = fields.text("Model", "model", "id", hint="Hugging Face id, or a name of the list")
    with control.add_slot("append"):
        open_ = ui.button(icon="expand_more").props('flat round dense aria-label="Known models"')
    with open_, ui.menu().props("max-height=420px") as menu:
        pass

    def fill() -> None:  # when it is wanted: making it takes as long as the rest of the form
        if menu.default_slot.children:
            return
        with menu:
            for name, model in sorted(known_models().items(), key=lambda item: not runs_here(item[0])):
                with ui.menu_item(on_click=lambda _, name=name: control.set_value(name)), element("div"):
                    text("div", name)
                    text("div", _about(name, model), "small muted")

    open_.on_click(fill)
    note = text("div", "", "small muted span")

    def describe() -> None:
        known = find_model(str(control.value or ""))
        told = "" if known is None else _about(next(n for n, m in known_models().items() if m is known), known)
        note.set_text(told or "The catalog does not know it: it is passed on to the engine as it is.")

    control.on_value_change(describe)
    describe()
    if fields.draft.get("model", "path") or fields.draft.get("engine", "name") == "llamacpp":
        fields.text("File with the weights", "model", "path", placeholder="the model's own")


def _about(name: str, model: KnownModel) -> str:
    size = f"{model.parameters:g} B parameters, context {model.context:,}"
    here = "runs here without a GPU; " if runs_here(name) else ""
    return f"{here}{model.id}: {size}"


def _titled(names: tuple[str, ...], titles: dict[str, str], chosen: str) -> dict[str, str]:
    """The installed plug-ins with their titles, those of ours first; and what is chosen, whatever it is."""
    ordered = sorted(
        {*names, *([chosen] if chosen else [])},
        key=lambda n: (n not in titles, list(titles).index(n) if n in titles else 0),
    )
    return {name: titles.get(name, name) for name in ordered}


def _change_engine(fields: Fields, rebuild: Callable[[], object], name: str) -> None:
    """Another engine has other arguments; those of the one before come back with it."""
    draft = fields.draft
    before, searched = draft.get("engine", "name", default=""), draft.get("space") is not None
    for path in (*OF_ENGINE, *DESIGNS):
        draft.put_aside(path, before)
        draft.bring_back(path, name)
    _change_quickstart(draft, before, name)
    draft.set(("engine", "name"), name)
    if draft.get("platform", "name") == "endpoint":
        _put_designs_aside(draft)
    elif searched and not _is_designed(draft):
        draft.set(("space",), usual_space(name))
    fields.touch()
    rebuild()


def _change_quickstart(draft: Draft, before: str, name: str) -> None:
    first = Draft(quickstart_study())
    for path in OF_QUICKSTART:
        if draft.get(*path) == first.get(*path):
            draft.put_aside(path, before)
        if draft.get(*path) is None:
            draft.bring_back(path, name)


def _put_designs_aside(draft: Draft) -> None:
    for path in DESIGNS:
        draft.put_aside(path, draft.get("engine", "name", default=""))


def _is_designed(draft: Draft) -> bool:
    return any(draft.get(*path) is not None for path in DESIGNS)


def usual_space(engine: str) -> dict[str, Any] | None:
    """All that the catalog calls tunable of an engine; None where it knows nothing."""
    known = engine_arguments(engine) if find_engine(engine) else {}
    tunable = {
        name: {"type": a.tune.type, **a.tune.model_dump(mode="json", exclude_defaults=True)}
        for name, a in known.items()
        if a.tune is not None and not a.until
    }
    return {"parameters": tunable} if tunable else None


def _change_platform(fields: Fields, rebuild: Callable[[], object], name: str) -> None:
    """A server that runs already keeps its arguments, so there only loads vary."""
    draft = fields.draft
    before = draft.get("platform", "name", default="process")
    draft.put_aside(("platform",), before)
    draft.bring_back(("platform",), name, {"name": name})
    engine = draft.get("engine", "name", default="")
    if name == "endpoint":
        _put_designs_aside(draft)
    elif before == "endpoint":
        for path in DESIGNS:
            draft.bring_back(path, engine)
        if not _is_designed(draft):
            draft.set(("space",), usual_space(engine))
    fields.touch()
    rebuild()
