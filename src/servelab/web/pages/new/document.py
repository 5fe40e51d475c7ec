"""The study as YAML, pasted, typed or uploaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nicegui import events, ui

from servelab.spec.errors import Fault
from servelab.web.pages.parts import element, text
from servelab.web.preview import LONGEST

AREA = "study-yaml"
_REFUSED = f"A study is a .yaml, .yml or .json file of at most {LONGEST // 1000} kB."


class Document:
    """A text area with the study; ``changed`` is called with what is typed."""

    def __init__(self, changed: Callable[[str], object]) -> None:
        self._changed = changed
        self._quiet = False
        with element("section", "card stack"):
            text("p", "Paste a study, or upload its file. The form follows as soon as it has no faults.", "muted")
            self._area = ui.textarea("The study as YAML or JSON", on_change=self._typed)
            self._area.props(f'outlined input-class="mono document" for={AREA} spellcheck=false maxlength={LONGEST}')
            self._upload = ui.upload(on_upload=self._uploaded, auto_upload=True, max_file_size=LONGEST, max_files=1)
            self._upload.on_rejected(lambda: ui.notify(_REFUSED, type="negative"))
            self._upload.classes("unseen").props("accept=.yaml,.yml,.json tabindex=-1 aria-hidden=true")
            with element("div", "row"):
                pick = ui.button("Upload a file", icon="upload", on_click=lambda: self._upload.run_method("pickFiles"))
                pick.props("outline no-caps")
            self._faults = element("ul", "faults")

    def set(self, content: str) -> None:
        """Show another text, which is nobody's change."""
        self._quiet = True
        self._area.set_value(content)
        self._quiet = False

    def _typed(self) -> None:
        if not self._quiet:
            self._changed(self._area.value or "")

    async def _uploaded(self, event: events.UploadEventArguments) -> None:
        self._upload.reset()
        try:
            content = (await event.file.read()).decode()
        except UnicodeDecodeError:
            ui.notify("The file is no text in UTF-8.", type="negative")
            return
        self._area.set_value(content)

    def show(self, faults: Sequence[Fault]) -> None:
        """List the faults; a click selects the line."""
        self._faults.clear()
        with self._faults:
            for fault in faults:
                with element("li"):
                    if fault.line is not None:
                        _line(fault)
                    text("span", f" {fault.message}", "bad")


def _line(fault: Fault) -> None:
    link = ui.button(f"line {fault.line}, column {fault.column}").props("flat no-caps dense size=sm")
    select = f"""() => {{
        const area = document.getElementById("{AREA}"), lines = area.value.split("\\n");
        const start = lines.slice(0, {fault.line} - 1).reduce((sum, line) => sum + line.length + 1, 0);
        area.focus(); area.setSelectionRange(start, start + (lines[{fault.line} - 1] || "").length);
        area.scrollTop = Math.max(0, {fault.line} - 6) * parseFloat(getComputedStyle(area).lineHeight);
    }}"""
    link.on("click", js_handler=select)
