"""Convert a guide: what was sent on one side, what it became on the other, and which line is from where."""

from __future__ import annotations

import base64

from nicegui import events, ui
from pydantic import ValidationError

from servelab.catalog.guides import scenarios
from servelab.guides.guide import VariantError
from servelab.guides.parse import MOST_BYTES
from servelab.guides.workload import DEFAULT_HARNESS
from servelab.spec.errors import ServelabError
from servelab.web.api.convert import GuideRequest, SentFile
from servelab.web.context import Context
from servelab.web.guard import LARGEST
from servelab.web.pages.chooser import chooser
from servelab.web.pages.convert_result import result
from servelab.web.pages.frame import frame, heading, in_thread
from servelab.web.pages.parts import element, empty, notice, text

FORMATS = {"both": "both forms", "declarative": "declarative (today's)", "legacy": "shell scenario (legacy)"}
ANY = ""


async def page(context: Context) -> None:
    """The page."""
    del context
    ui.add_head_html('<script src="/static/guide.js" defer></script>')
    with frame("Convert a guide", "/convert"):
        heading("Convert a guide")
        Form()


class Form:
    """The guide, what is wanted of it, and below what it became."""

    def __init__(self) -> None:
        self._sent: list[SentFile] = []
        self._archive = ""
        with element("section", "card stack").props('aria-label="What to convert"'):
            with ui.tabs().props("align=left dense no-caps") as tabs:
                ui.tab("paste", "Paste")
                ui.tab("files", "Files")
                ui.tab("address", "Address")
            with ui.tab_panels(tabs, value="paste").classes("panels") as self._way:
                with ui.tab_panel("paste"):
                    self._text = ui.textarea("Values of the modelservice chart, or Kubernetes manifests")
                    self._text.props(f"outlined rows=10 maxlength={MOST_BYTES} input-class=mono")
                with ui.tab_panel("files"):
                    self._upload()
                with ui.tab_panel("address"):
                    self._address = ui.input(
                        "https://github.com/OWNER/REPOSITORY/tree/REF/guides/NAME, or https://….yaml"
                    )
                    self._address.props("outlined dense maxlength=2000 type=url")
            self._wishes()
        self._result = element("div", "stack guide-result")
        with self._result:
            empty(
                "What it will become",
                "A scenario of llm-d-benchmark in both its forms and, where something varies, an experiment. "
                "Pointing at a line shows the lines of the guide that it is from.",
            )

    def _upload(self) -> None:
        text("p", "The files of a guide, or its directory as a zip (which keeps the paths): 4 MB at most.", "muted")
        with element("div", "row"):
            chooser("Choose files", self._received, LARGEST, ".yaml,.yml,.gotmpl,.zip,.sh", multiple=True)
            ui.button("Forget them", on_click=self._forget).props("flat no-caps")
            self._received_text = text("span", "Nothing yet.", "muted")
        self._guide = ui.input("Which path of it is the guide, where there are several").props("outlined dense")

    async def _received(self, event: events.UploadEventArguments) -> None:
        data = await event.file.read()
        zipped = event.file.name.endswith(".zip")
        if not zipped and len(data) > MOST_BYTES:
            ui.notify(f"{event.file.name} is larger than {MOST_BYTES >> 20} MB.", type="negative")
            return
        # A zip is a whole guide, and so are single files: the one takes the place of the other.
        if zipped:
            self._archive, self._sent = base64.b64encode(data).decode(), []
        else:
            others = [one for one in self._sent if one.path != event.file.name]
            sent = SentFile(path=event.file.name[:400], text=data.decode("utf-8", "replace"))
            self._archive, self._sent = "", [*others, sent]
        self._received_text.set_text(event.file.name if zipped else ", ".join(one.path for one in self._sent))

    def _forget(self) -> None:
        self._sent, self._archive = [], ""
        self._received_text.set_text("Nothing yet.")

    def _wishes(self) -> None:
        profiles = scenarios().profiles
        with element("div", "wishes"):
            self._harness = ui.select(
                {ANY: f"default ({DEFAULT_HARNESS})", **{name: name for name in profiles}}, value=ANY, label="Harness"
            ).props("outlined dense options-dense")
            self._profile = ui.input("Profile", autocomplete=[]).props("outlined dense maxlength=100")
            self._variant = ui.input("Variant", autocomplete=[])
            self._variant.props("outlined dense maxlength=200")
            self._name = ui.input("Name of the files").props("outlined dense maxlength=100")
            self._format = ui.select(FORMATS, value="both", label="Form").props("outlined dense options-dense")
        self._varying = ui.textarea("What varies, one a line: decode_replicas from 1 to 4; max_model_len in 8192,32768")
        self._varying.props("outlined dense rows=2 maxlength=4000 autogrow")
        self._harness.on_value_change(lambda event: self._profile.set_autocomplete(list(profiles.get(event.value, ()))))
        with element("div", "row"):
            self._explicit = ui.checkbox("Write what is the default too")
            self._experiment = ui.checkbox("An experiment even where nothing varies")
            self._button = ui.button("Convert", on_click=self._convert).props("unelevated no-caps")
        self._fault = notice("", "bad")
        self._fault.props('role="alert"')
        self._fault.visible = False

    def _request(self) -> GuideRequest:
        way = self._way.value
        files = [SentFile(path="values.yaml", text=self._text.value or "")] if way == "paste" else self._sent
        zipped = way == "files" and bool(self._archive)
        return GuideRequest(
            address=(self._address.value or "").strip() if way == "address" else "",
            files=[] if way == "address" or zipped else files,
            archive=self._archive if zipped else "",
            guide=(self._guide.value or "").strip() if way == "files" else "",
            harness=self._harness.value,
            profile=(self._profile.value or "").strip() if self._harness.value else "",
            varying=[line.strip() for line in (self._varying.value or "").splitlines() if line.strip()],
            variant=(self._variant.value or "").strip(),
            name=(self._name.value or "").strip(),
            format=self._format.value,
            explicit=self._explicit.value,
            experiment=self._experiment.value,
        )

    async def _convert(self) -> None:
        self._button.disable()
        self._fault.visible = False
        try:
            made = await in_thread(self._request().converted)
            self._variant.set_autocomplete(list(made.variants))
            self._result.clear()
            with self._result:
                result(made)
            ui.run_javascript(f"getHtmlElement({self._result.id})?.scrollIntoView({{block: 'start'}})")
        except VariantError as error:
            self._variant.set_autocomplete(list(error.variants))
            self._tell(f"{error.message}. Choose a variant: {', '.join(error.variants)}.")
        except ServelabError as error:
            self._tell(f"{error.message}. {error.remedy}")
        except ValidationError as error:
            self._tell("; ".join(one["msg"].removeprefix("Value error, ") for one in error.errors()))
        finally:
            self._button.enable()

    def _tell(self, fault: str) -> None:
        self._fault.set_text(fault)
        self._fault.visible = True
