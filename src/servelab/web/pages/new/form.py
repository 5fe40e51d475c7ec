"""The form, part by part."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from servelab.spec.errors import Fault
from servelab.web.draft import Draft
from servelab.web.pages.new.budget import budget
from servelab.web.pages.new.fields import Fields
from servelab.web.pages.new.goals import goals
from servelab.web.pages.new.load import load
from servelab.web.pages.new.parameters import parameters
from servelab.web.pages.new.subject import subject
from servelab.web.pages.new.workload import workload
from servelab.web.pages.parts import element

PARTS = ("subject", "workload", "load", "parameters", "goals", "budget")


class Form:
    """All parts over one draft; a part that has to look another way is made anew, the rest stays as it is."""

    def __init__(self, draft: Draft, changed: Callable[[], object]) -> None:
        self._changed = changed
        self._fields = Fields(draft, self._touched)
        self._draw: Callable[[], None] | None = None
        self._places = {name: element("div") for name in PARTS}
        self._faults: Sequence[Fault] = ()
        self.build()

    def build(self, *names: str) -> None:
        """Make parts anew from the draft: these, or all."""
        for name in names or PARTS:
            self._places[name].clear()
            with self._places[name]:
                self._make(name)
        self._fields.show(self._faults)

    def _make(self, name: str) -> None:
        match name:
            case "subject":
                subject(self._fields, lambda: self.build("subject", "parameters", "budget"))
            case "workload":
                self._draw = workload(self._fields, lambda: self.build("workload"))
            case "load":
                load(self._fields, lambda: self.build("load", "goals"))
            case "parameters":
                parameters(self._fields, lambda: self.build("parameters", "goals"))
            case "goals":
                goals(self._fields, lambda: self.build("goals"))
            case "budget":
                budget(self._fields, lambda: self.build("budget"))

    def _touched(self) -> None:
        if self._draw is not None:
            self._draw()
        self._changed()

    def show(self, faults: Sequence[Fault]) -> None:
        """Show what is wrong, each at its control."""
        self._faults = faults
        self._fields.show(faults)
