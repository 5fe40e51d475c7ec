"""The request in plain words: the same dialog as ``servelab ask``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui

from servelab.request.reply import Ask, Block, Box, Line, Reply, Section, Table, Text, YesNo
from servelab.request.said import Option, Question
from servelab.request.state import Step
from servelab.spec.errors import ServelabError
from servelab.web.dialogs import LONGEST, Dialogs, Outcome
from servelab.web.pages.frame import in_thread
from servelab.web.pages.parts import copy_button, element, notice, table, text

EXAMPLES = (
    "tune llama.cpp with smollm2-135m for a chatbot, 4 users at once, p95 TTFT below 2 s, on this machine",
    "run a chatbot benchmark with llama3-8b and TP=2 in namespace perf",
    "find the best vLLM settings for qwen3-8b on one H100, most throughput with TTFT p95 under 500 ms",
)
TONES = {"plain": "", "good": "good", "note": "muted", "warning": "warn"}


class AskBox:
    """A dialog on the page; ``accepted`` is called with what a yes led to."""

    def __init__(self, dialogs: Dialogs, accepted: Callable[[Outcome], Awaitable[None]]) -> None:
        self._dialogs = dialogs
        self._accepted = accepted
        self._dialog: str | None = None
        self._offered: list[ui.button] = []
        with element("section", "card stack"):
            text("p", "Say what you want to find out. Nothing starts without a yes.", "muted")
            self._examples = element("div", "stack tight")
            with self._examples:
                for example in EXAMPLES:
                    button = ui.button(f"\N{LEFT DOUBLE QUOTATION MARK}{example}\N{RIGHT DOUBLE QUOTATION MARK}")
                    button.on_click(lambda _, said=example: self.say(said)).props("flat no-caps align=left dense")
                    button.classes("example")
            self._said = element("div", "dialog").props('role="log" aria-label="Dialog"')
            with element("div", "row nowrap"):
                self._input = ui.input("Your request").props(f"outlined dense maxlength={LONGEST}").classes("grow")
                self._input.on("keydown.enter", self._send)
                self._button = ui.button("Send", icon="send", on_click=self._send).props("unelevated no-caps")
            with element("div"):
                self._again = ui.button("Begin again", on_click=self._restart).props("flat no-caps dense")
                self._again.visible = False

    def _restart(self) -> None:
        self._dialog = None
        self._said.clear()
        self._examples.visible, self._again.visible = True, False

    async def _send(self) -> None:
        await self.say(self._input.value or "")

    async def say(self, message: str) -> None:
        """Say something, and show what is answered."""
        if not self._button.enabled or (self._dialog is None and not message.strip()):
            return
        self._button.disable()
        self._again.disable()  # an answer is still to come
        self._examples.visible, self._again.visible = False, True
        with self._said:
            text("div", message.strip() or "(nothing)", "said")
        self._input.set_value("")
        try:
            if self._dialog is None:
                self._dialog = (await in_thread(self._dialogs.begin)).dialog
            turn = await in_thread(self._dialogs.say, self._dialog, message)
        except ServelabError as error:
            with self._said:
                notice(f"{error.message}. {error.remedy}", "bad")
            return
        finally:
            self._button.enable()
            self._again.enable()
        for button in self._offered:
            button.disable()  # what was asked before is not asked any more
        self._offered.clear()
        with self._said, element("div", "answered stack"):
            self._show(turn.reply)
            if turn.outcome is not None:
                _outcome(turn.outcome)
        if turn.step in (Step.ACCEPTED, Step.CANCELLED):
            self._dialog = None
        ui.run_javascript("document.querySelector('.dialog').lastElementChild?.scrollIntoView({block: 'nearest'})")
        if turn.outcome is not None:
            await self._accepted(turn.outcome)

    def _show(self, reply: Reply) -> None:
        for block in reply.blocks:
            self._block(block)

    def _block(self, block: Block) -> None:
        match block:
            case Text():
                text("p", block.text, TONES[block.tone])
            case Table():
                text("h3", block.title)
                table(block.columns, block.rows)
            case Box():
                _box(block)
            case Ask():
                for question in block.questions:
                    self._question(question)
            case YesNo():
                self._yes_no(block)

    def _question(self, question: Question) -> None:
        text("p", question.text, "asked")
        if question.options:
            with element("div", "stack tight"):
                for option in question.options:
                    self._option(option)

    def _option(self, option: Option) -> None:
        with element("div", "option"):
            button = ui.button(option.label, on_click=lambda: self.say(option.value)).props("outline no-caps")
            with element("div", "small muted"):
                if option.recommended:
                    text("div", "recommended", "good")
                if option.value not in (option.label, option.label.lower()):
                    text("div", option.value)
                for note in option.notes:
                    text("div", note)
        button.props["aria-label"] = f"{option.label}, {option.value}"
        self._offered.append(button)

    def _yes_no(self, block: YesNo) -> None:
        text("p", block.text, "asked")
        with element("div", "row"):
            for answer in ("Yes", "No"):
                button = ui.button(answer, on_click=lambda _, said=answer: self.say(said)).props("no-caps")
                button.props("unelevated" if block.default is None and answer == "Yes" else "outline")
                self._offered.append(button)
        if block.hints:
            with element("ul", "small muted"):
                for hint in block.hints:
                    text("li", hint)


def _box(block: Box) -> None:
    with element("div", "card box final" if block.final else "card box"):
        if block.title:
            text("h3", block.title)
        for section in block.sections:
            _section(section)


def _section(section: Section) -> None:
    if section.title:
        text("div", section.title, f"asked {TONES[section.tone]}")
    if any(line.label for line in section.lines):
        with element("dl", "facts"):
            for line in section.lines:
                text("dt", line.label)
                _value("dd", line)
        return
    with element("ul"):
        for line in section.lines:
            _value("li", line)


def _value(tag: str, line: Line) -> None:
    with element(tag, TONES[line.tone]):
        text("span", line.value)
        if line.note:
            text("span", f" ({line.note})", "muted small")


def _outcome(done: Outcome) -> None:
    """Where the files are, and how a cluster is given them."""
    text("p", f"Written to {done.directory}: {', '.join(done.files)}.")
    if done.command is not None:
        text(
            "p",
            "This is a data collection on a cluster: a Tekton pipeline runs it there, with your own rights. "
            "Submit it from a terminal of this machine:",
        )
        copy_button(text("pre", done.command, "text wrapped"), "the command")
        text("p", "Its study, to be run on this machine instead, is in the YAML now.", "muted")
    else:
        text("p", "Its study is in the form and in the YAML now: look at the plan, and start it.", "muted")
