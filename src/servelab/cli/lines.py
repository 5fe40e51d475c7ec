"""Studies and trials in a line each."""

from __future__ import annotations

from rich.markup import escape

from servelab.spec.assess import goal_key
from servelab.spec.base import Parameters
from servelab.spec.metrics import format_metric
from servelab.spec.study import Study
from servelab.spec.trial import Trial


def trial_line(study: Study, trial: Trial) -> str:
    """One trial for the terminal: number, state, metrics, parameters."""
    return f"[bold]{_title(trial):>12}[/]  {_state(study, trial)}  [dim]{escape(parameters_text(trial.parameters))}[/]"


def parameters_text(parameters: Parameters) -> str:
    """Parameters as people write them; the engine's own defaults when there are none."""
    words = [f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in parameters.items()]
    return " ".join(words) or "engine defaults"


def _title(trial: Trial) -> str:
    if trial.kind == "baseline":
        return f"#{trial.number} default"
    return f"#{trial.number} = #{trial.verifies}" if trial.kind == "verification" else f"#{trial.number}"


def _state(study: Study, trial: Trial) -> str:
    if trial.state == "failed" and trial.failure:
        return f"[red]failed[/]: {escape(trial.failure.message)}"
    if not trial.final:
        return f"[cyan]{trial.state}[/]"
    mark = {True: "[green]ok[/]", False: "[yellow]breaks SLO[/]", None: "[yellow]in doubt[/]"}[trial.feasible]
    if trial.state == "stopped":
        mark = f"[yellow]stopped early[/] ({escape(trial.note)})"
    elif trial.note:
        mark = f"{mark} ({escape(trial.note)})"
    return f"{metrics_text(study, trial)}  {mark}"


def metrics_text(study: Study, trial: Trial) -> str:
    """The values of the goal's metrics."""
    goals = {goal_key(o): o.metric for o in study.objectives} | {goal_key(c): c.metric for c in study.constraints}
    known = [(key, metric, trial.outcome[key]) for key, metric in goals.items() if key in trial.outcome]
    return "  ".join(f"{key} {format_metric(metric, value)}" for key, metric, value in known)
