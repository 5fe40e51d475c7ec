"""Latency models: fitted coefficients, and what they predict while one drags the sliders."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from nicegui import events, ui

from servelab.lab.estimation import fit_study, fittable
from servelab.perf.forms import FORMS, Form, Target, form_text
from servelab.perf.parameters import Parameters, file_data, parse_parameters
from servelab.perf.sample import Sample
from servelab.spec.errors import DocumentError, ServelabError
from servelab.store.store import Store
from servelab.web.context import Context
from servelab.web.pages.chooser import chooser
from servelab.web.pages.frame import frame, heading, in_thread, told
from servelab.web.pages.parts import element, empty, notice, text
from servelab.web.pages.predict_fit import fits
from servelab.web.pages.predict_load import Load

LARGEST = 1 << 20  # bytes of a parameters.json
FORM_NAMES: dict[Form, str] = {
    "perf-parms": "VariantAutoscaling (autoscaler up to 2026-01)",
    "config-map": "ConfigMap of targets (today's autoscaler)",
    "hpa": "HorizontalPodAutoscaler annotations",
    "scaled-object": "KEDA ScaledObject annotations",
}


@dataclass
class Source:
    """Coefficients, what they come from, and the measurements where they are at hand."""

    parameters: Parameters
    samples: Sequence[Sample] = field(default_factory=tuple)
    name: str = "parameters"


async def page(context: Context, study: str = "") -> None:
    """The page; ``study`` is the id of one whose measurements are fitted."""
    studies = await in_thread(_fittable, context.store)
    fault: ServelabError | None = None
    source: Source | None = None
    if study:
        try:
            source = await in_thread(_of_study, context.store, study)
        except ServelabError as error:
            fault = error
    with frame("Predict", "/predict"):
        head = element("div", "head")

        loads: list[Load] = []

        @ui.refreshable
        def content(shown: Source | None) -> None:
            while loads:
                loads.pop().stop()
            if shown is None:
                _nothing(studies)
            else:
                loads.append(_content(shown))

        if fault is not None:
            notice(f"{fault.message}. {fault.remedy}", "bad")
        content(source)
        dialog = _file_dialog(content.refresh)
        with head:
            heading("Predict").classes("grow")
            _choice(studies, study)
            ui.button("Coefficients from a file", on_click=dialog.open).props("outline no-caps")


def _choice(studies: Sequence[str], study: str) -> None:
    """Which study's measurements are fitted."""
    if studies or study:
        ui.select(
            list(dict.fromkeys([*studies, *([study] if study else [])])),
            value=study or None,
            label="Study",
            on_change=lambda event: ui.navigate.to(f"/predict?study={quote(event.value)}"),
        ).props("outlined dense options-dense").classes("study-choice")


def _fittable(store: Store) -> list[str]:
    """Ids of the studies that measured several levels of concurrency, the newest first."""
    records = (store.get_study(row.id) for row in store.list_studies() if row.state != "waiting")
    return [record.id for record in records if fittable(record.study)]


def _of_study(store: Store, study: str) -> Source:
    record = store.get_study(study)
    return Source(*fit_study(store, record), name=record.id)


def _nothing(studies: Sequence[str]) -> None:
    choose = "Choose a study above" if studies else "No study has measured several levels of concurrency yet"
    empty(
        "Latency without measuring",
        f"{choose}, or give a parameters.json. A latency model is fitted to one configuration at several levels of "
        "concurrency, as load: {concurrency: [1, 4, 16, 64], seconds: 60}, or servelab estimate measures; "
        "it then tells latency, capacity and cost at any load.",
    )


def _content(shown: Source) -> Load:
    parameters = shown.parameters
    if parameters.provenance.simulated:
        notice("A simulated engine was measured: these numbers describe no real machine.", "warn")
    load = Load(parameters)
    fits(parameters, shown.samples)
    with element("section", "card stack"):
        heading("Take it with you", "h2")
        with element("div", "row"):
            ui.button("parameters.json", icon="download", on_click=lambda: _download(shown)).props("outline no-caps")
            for form in FORMS:
                ui.button(FORM_NAMES[form], icon="download", on_click=lambda form=form: _form(shown, form)).props(
                    "outline no-caps"
                )
        text("p", "servelab coefficients and servelab predict read parameters.json.", "muted small")
        if parameters.provenance.study:
            text("p", f"For BLIS: servelab export {parameters.provenance.study} --traces", "muted small")
    return load


def _download(shown: Source) -> None:
    data = json.dumps(file_data(shown.parameters), indent=2)
    ui.download.content(f"{data}\n", f"{shown.name}.json", "application/json")


async def _form(shown: Source, form: Form) -> None:
    """A form of the autoscaler, for a model that is asked for where it is not known."""
    with ui.dialog() as dialog, ui.card().classes("stack sheet"):
        heading(FORM_NAMES[form], "h2")
        served = ui.input("Model, as requests name it", value=shown.parameters.workload.model or "")
        namespace = ui.input("Namespace", value="default")
        accelerator = ui.input("Accelerator, as the autoscaler lists it", value="unknown")
        for one in (served, namespace, accelerator):
            one.props("outlined dense maxlength=200")
        with element("div", "row"):
            ui.button("Download", on_click=lambda: dialog.submit(True)).props("unelevated no-caps")
            ui.button("Cancel", on_click=lambda: dialog.submit(False)).props("flat no-caps")
    if await dialog:
        with told():
            target = Target(served.value or "", namespace=namespace.value or "", accelerator=accelerator.value or "")
            made = form_text(form, shown.parameters, target)
            ui.download.content(made, f"{shown.name}.{form}.yaml", "application/yaml")
    dialog.delete()


def _file_dialog(use: Callable[[Source], object]) -> ui.dialog:
    """Where a parameters.json is pasted or chosen."""
    with ui.dialog() as dialog, ui.card().classes("stack sheet"):
        heading("Coefficients from a file", "h2")
        text("p", "The JSON that servelab estimate writes, or the parameters.json of the estimation pipeline.", "muted")
        area = ui.textarea("parameters.json").props(f"outlined rows=10 maxlength={LARGEST} input-class=mono")

        async def chosen(event: events.UploadEventArguments) -> None:
            area.value = (await event.file.read()).decode(errors="replace")

        chooser("Choose a file", chosen, LARGEST, ".json,application/json")

        def show() -> None:
            with told():
                use(Source(_parsed(area.value or "")))
                dialog.close()

        with element("div", "row"):
            ui.button("Show it", on_click=show).props("unelevated no-caps")
            ui.button("Cancel", on_click=dialog.close).props("flat no-caps")
    return dialog


def _parsed(content: str) -> Parameters:
    if len(content) > LARGEST:
        raise DocumentError((f"it is larger than {LARGEST >> 20} MB",))
    return parse_parameters(content, "parameters.json")
