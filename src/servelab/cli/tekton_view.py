"""How a Tekton run looks in a terminal."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from servelab.tekton.board import Board
from servelab.tekton.diagnosis import Diagnosis
from servelab.tekton.pods import EnginePod
from servelab.tekton.status import RunStatus, TaskState, TaskStatus

COLOURS = {
    "PENDING": "cyan",
    "RUNNING": "blue",
    "SUCCESS": "green",
    "FAILURE": "red",
    "CANCELLED": "yellow",
    "Pending": "dim",
    "Running": "blue",
    "Succeeded": "green",
    "Failed": "red",
    "Cancelled": "yellow",
    "Skipped": "dim",
    "Ignored": "yellow",
}
URGENCY: tuple[TaskState, ...] = ("Failed", "Running", "Cancelled", "Ignored", "Pending", "Succeeded", "Skipped")
"""Which tasks are shown when there is no room for all."""

KEYS = (
    "[b]s[/] status  [b]l[/] logs  [b]p[/] pods  [b]c[/] cancel  [b]x[/] cancel and clean up  "
    "[b]q[/] leave (the run goes on)"
)


def view(board: Board, rows: int, hint: str = "") -> RenderableType:
    """A run with as many of its tasks as fit into ``rows`` lines."""
    status, now = board.status, time.time()
    if status is None:
        return Text("waiting for the cluster")
    pods = pod_table(board.pods) if board.pods else Text("")
    parts: list[RenderableType] = [*_head(status, board.lost, now)]
    room = max(3, rows - len(parts) - len(board.pods) - 8)
    parts += [task_table(chosen(status.tasks, room), now), pods]
    hidden = len(status.tasks) - room
    if hidden > 0:
        parts.append(Text(f"{hidden} more tasks", style="dim"))
    parts += [Text.from_markup(f"[yellow]{escape(line)}[/]") for line in slow_tasks(status, now)[:3]]
    if hint:
        parts.append(Text.from_markup(hint))
    return Group(*parts)


def _head(status: RunStatus, lost: str, now: float) -> list[Text]:
    counts = Counter(task.state for task in status.tasks)
    shown = ", ".join(f"{counts[state]} {state}" for state in URGENCY if counts[state])
    lines = [
        Text.from_markup(f"Pipeline: [b]{status.name}[/] in {status.namespace}"),
        Text.from_markup(
            f"Status: [{COLOURS[status.state]}]{status.state}[/] (elapsed {lasted(status.seconds(now))}) "
            f"{escape(status.reason)}"
        ),
        Text.from_markup(f"Tasks: {shown or 'none'}; last updated {time.strftime('%H:%M:%S', time.localtime(now))}"),
    ]
    lines += [Text(f"  {name} = {value}") for name, value in status.results.items()]
    if lost:
        lines.append(Text(f"the cluster cannot be reached, trying again: {lost}", style="yellow"))
    return lines


def chosen(tasks: Sequence[TaskStatus], room: int) -> list[TaskStatus]:
    """The most urgent tasks, in the pipeline's order; of ended ones the last."""
    if len(tasks) <= room:
        return list(tasks)
    recent = sorted(
        range(len(tasks)), key=lambda index: (URGENCY.index(tasks[index].state), -(tasks[index].finished or 0.0), index)
    )
    return [tasks[index] for index in sorted(recent[:room])]


def task_table(tasks: Sequence[TaskStatus], now: float) -> Table:
    """Tasks with their durations and what is usual."""
    table = Table(pad_edge=False)
    for column in ("Task", "Status", "Duration", "Expected"):
        table.add_column(column)
    for task in tasks:
        seconds = task.seconds(now)
        duration = Text(lasted(seconds), style="yellow" if task.slow(now) else "")
        again = f" (try {task.retries + 1})" if task.retries else ""
        state = Text(task.state + again, style=COLOURS[task.state])
        table.add_row(escape(task.task), state, duration, str(task.expected or "-"))
    return table


def pod_table(pods: Sequence[EnginePod]) -> Table:
    """The engines' pods."""
    table = Table(pad_edge=False, title="Engines", title_justify="left")
    for column in ("Pod", "Status", "Ready", "Restarts", "Accelerators", "Node"):
        table.add_column(column)
    for pod in pods:
        style = "green" if pod.ready else "red" if pod.status not in ("Pending", "Running") else "yellow"
        status = Text(pod.status, style=style)
        cells = ("yes" if pod.ready else "no", str(pod.restarts), str(pod.accelerators or "-"), pod.node or "-")
        table.add_row(escape(pod.name), status, *cells)
    return table


def slow_tasks(status: RunStatus, now: float) -> list[str]:
    """A warning for each task that takes longer than twice what is usual."""
    return [
        f"{task.task} runs for {lasted(task.seconds(now))}; usual are {task.expected}"
        for task in status.tasks
        if task.slow(now)
    ]


def diagnosis_panel(diagnosis: Diagnosis) -> Panel:
    """Why a run failed, and the numbered options."""
    lines = [f"[b]{escape(diagnosis.message)}[/]"]
    if diagnosis.task:
        treatment = f", treatment {diagnosis.trial}" if diagnosis.trial and diagnosis.trial != "all" else ""
        lines.append(f"task {escape(diagnosis.task)}{escape(treatment)}")
    if diagnosis.evidence:
        lines += ["", f"[dim]{escape(diagnosis.evidence)}[/]"]
    lines += ["", escape(diagnosis.remedy)]
    if diagnosis.options:
        lines += ["", "Suggested fixes:"]
        lines += [f"  {number}. {escape(one.text)}" for number, one in enumerate(diagnosis.options, start=1)]
    return Panel("\n".join(lines), title="FAILURE", border_style="red", expand=False)


def lasted(seconds: float | None) -> str:
    """A duration as ``5m 32s``; - for None."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes}m" if hours else f"{minutes}m {rest}s" if minutes else f"{rest}s"
