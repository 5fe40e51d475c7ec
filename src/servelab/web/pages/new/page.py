"""A new study: a form, plain words and YAML are three ways to one document."""

from __future__ import annotations

import asyncio

from nicegui import background_tasks, ui

from servelab.catalog.study import load_study
from servelab.lab.quickstart import quickstart_study
from servelab.lab.validate import check_document
from servelab.spec.errors import ServelabError
from servelab.spec.study import Study
from servelab.store.claims import LIST_THEM, START_ONE
from servelab.web.api.studies import NewStudy, create
from servelab.web.context import Context
from servelab.web.dialogs import Outcome
from servelab.web.draft import Draft
from servelab.web.pages.frame import frame, heading, in_thread, told
from servelab.web.pages.new.ask import AskBox
from servelab.web.pages.new.document import Document
from servelab.web.pages.new.form import Form
from servelab.web.pages.new.memory import Memory
from servelab.web.pages.new.side import Side
from servelab.web.pages.parts import element, notice
from servelab.web.preview import Preview, preview

QUIET = 0.4  # seconds without a key before what was typed is checked
BEHIND = "The YAML has faults, so this is the study from before. A change here replaces what the YAML says."


async def page(context: Context, origin: str | None) -> None:
    """Write a study, from the newcomer's first one or from ``origin``, the id of another."""
    first, trouble = quickstart_study(), ""
    if origin is not None:
        try:
            first = (await in_thread(context.store.get_study, origin)).study
        except ServelabError as error:
            hint = error.remedy.removesuffix(LIST_THEM).removesuffix(START_ONE)  # a page has the list itself
            trouble = f"{error.message}. {hint} This is the usual first study instead."
    with frame("New study", "/new"):
        with element("div", "head"):
            heading("New study" if origin is None or trouble else f"New study, from {origin}").classes("grow")
        if trouble:
            notice(trouble, "warn")
        _Page(context, first, Memory(origin)).build()


class _Page:
    """The three ways, and the panel beside them."""

    def __init__(self, context: Context, first: Study, memory: Memory) -> None:
        self._context = context
        self._memory = memory
        self._draft = Draft(first)
        self._text = self._draft.text
        self._checking: asyncio.Task[None] | None = None
        self._changed = False

    def build(self) -> None:
        """Make the page; what this tab had before comes back."""
        with element("div", "row") as self._left:
            notice("As you left it.")
            ui.button("Begin anew", on_click=self._anew).props("flat no-caps")
        self._left.visible = False
        with element("div", "side"):
            with element("div", "stack"):
                with ui.tabs().props(
                    'inline-label align=left no-caps aria-label="Ways to write a study"'
                ) as self._tabs:
                    for name, icon in (("Form", "tune"), ("Plain words", "chat"), ("YAML", "code")):
                        ui.tab(name, icon=icon)
                with ui.tab_panels(self._tabs, value="Form", animated=False, keep_alive=True).classes("panels"):
                    with ui.tab_panel("Form"):
                        self._behind = notice(BEHIND, "warn")
                        self._behind.visible = False
                        self._form = Form(self._draft, self._form_changed)
                    with ui.tab_panel("Plain words"):
                        AskBox(self._context.dialogs, self._accepted)
                    with ui.tab_panel("YAML"):
                        self._document = Document(self._typed)
            self._side = Side(self._start)
        self._document.set(self._text)
        self._later(0)
        ui.timer(0, self._recall, once=True)

    async def _recall(self) -> None:
        before = await self._memory.recall()
        if before is None:
            return
        self._left.visible = True
        self._document.set(before)
        self._typed(before)
        if (await in_thread(check_document, before)).study is None:
            self._tabs.set_value("YAML")

    def _anew(self) -> None:
        self._memory.forget()
        ui.navigate.reload()

    def _form_changed(self) -> None:
        self._changed = True
        self._text = self._draft.text
        self._document.set(self._text)
        self._later()

    def _typed(self, content: str) -> None:
        self._changed = True
        self._text = content
        self._later(follow=True)

    def _later(self, wait: float = QUIET, follow: bool = False) -> None:
        """Check what is written once nothing was typed for a moment; ``follow`` says that the form is to follow it."""
        if self._checking is not None:
            self._checking.cancel()
        self._side.start.set_enabled(False)
        self._checking = background_tasks.create(self._check(wait, follow), context=ui.context.client)

    async def _check(self, wait: float, follow: bool) -> None:
        await asyncio.sleep(wait)
        content = self._text
        if self._changed:
            self._memory.keep(content)
        found = await in_thread(preview, self._context.store, content)
        if content == self._text:
            self._show(found, follow)

    def _show(self, found: Preview, follow: bool) -> None:
        if follow and found.checked.study is not None:
            self._draft.load(found.checked.study)
            self._form.build()
        elif not follow:  # nobody typed it, so it may be written shorter
            self._text = found.text
            self._document.set(self._text)
        self._behind.visible = follow and found.checked.study is None
        self._side.show(found)
        self._form.show(() if self._behind.visible else found.faults)
        self._document.show(found.faults)

    async def _accepted(self, done: Outcome) -> None:
        """Take over the study of a dialog."""
        with told():
            self._draft.load(await in_thread(load_study, done.study))
            self._form.build()
            self._form_changed()
            self._document.set(done.study)
            self._text = done.study

    async def _start(self) -> None:
        self._side.start.disable()
        with told():
            made = await in_thread(create, NewStudy(document=self._text), self._context.store)
            self._memory.forget()
            ui.navigate.to(f"/studies/{made.id}")
            return
        self._side.start.enable()
