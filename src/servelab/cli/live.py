"""Live progress in the terminal: a line for each finished trial, and a bar for what happens now."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from servelab.cli.lines import trial_line
from servelab.cli.output import notes
from servelab.spec.trial import StudyRecord
from servelab.store.store import Store


class Live:
    """Shows what an observer is told; on standard error, so that results can be piped."""

    def __init__(self, store: Store, record: StudyRecord, quiet: bool) -> None:
        self._store = store
        self._record = record
        self._doing = "preparing"
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            console=notes,
            transient=True,
            disable=quiet or not notes.is_terminal,
        )
        self._quiet = quiet
        self._task = self._progress.add_task("preparing", total=1.0)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def observe(self, kind: str, data: dict[str, Any]) -> None:
        """Show that something of this kind happened."""
        if kind == "progress":
            self._progress.update(self._task, completed=min(1.0, data["share"]))
            return
        if kind == "finished" and not self._quiet:
            trial = self._store.trial(self._record.id, data["trial"])
            notes.print(trial_line(self._record.study, trial))
        text = _WORDS[kind].format(**{key: escape(str(value)) for key, value in data.items()}) if kind in _WORDS else ""
        if text and not self._quiet and not notes.is_terminal and kind in ("fetch", "leftover", "retry", "waiting"):
            notes.print(text)
        if text:
            self._progress.update(self._task, description=text, completed=0.0)


_WORDS = {
    "fetch": "{text}",
    "leftover": "removing what an earlier run left behind: {what}",
    "starting": "trial {trial}: starting the engine",
    "waiting": "trial {trial}: {text}",
    "ready": "trial {trial}: ready after {seconds} s",
    "measuring": "trial {trial}: measuring at {load} ({phase})",
    "retry": "trial {trial}: again, since {failure}",
}
