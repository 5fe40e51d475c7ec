"""What to do where a study names nothing better than the default."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from servelab.report.blocks import MIN_ROUNDS
from servelab.report.digest import Digest
from servelab.report.words import count
from servelab.spec.metrics import format_metric


def next_steps(found: Digest) -> tuple[str, ...]:
    """What a person can do next, the most useful first; empty where there is a winner."""
    steps = _STEPS.get(found.verdict.kind)
    return tuple(steps(found)) if steps else ()


def _no_goal(_: Digest) -> list[str]:
    return [
        "Add an objective to the study, for example 'maximize output_throughput'.",
        "Compare its trials side by side, or fit a latency model to them.",
    ]


def _no_gain(found: Digest) -> list[str]:
    study, verification = found.study, found.study.budget.verification
    steps = []
    if any(s.gain and s.gain.value > 0 and not s.gain.certain for s in found.verdict.standings):
        rounds = count(verification.rounds, "round")
        steps.append(f"Measure again in more than {rounds} to see a smaller gain (budget.verification.rounds).")
    searched = count(sum(trial.kind == "search" for trial in found.trials), "configuration")
    steps.append(f"Look further than these {searched}: more trials (budget.trials), wider ranges, other parameters.")
    if study.load.concurrency or study.load.rate:
        steps.append("Try the load that you expect: where the engine is not busy, no setting makes it faster.")
    return steps


def _no_feasible(found: Digest) -> list[str]:
    missed = [nearest for nearest in found.verdict.nearest if not nearest.met]
    steps = [
        f"Relax {n.constraint} to what was reached, {format_metric(n.constraint.metric, n.value)} in trial {n.trial}."
        for n in missed
    ]
    return [*steps, "Lower the load of one deployment: more replicas.", "Use a faster machine or a smaller model."]


def _unverified(found: Digest) -> list[str]:
    record, rounds = found.record, found.study.budget.verification.rounds
    if record.state in ("waiting", "running", "verifying"):
        return ["Wait: the study is not done, and measures its best again at the end."]
    if record.state == "paused":
        return [f"Go on: servelab resume {record.id}"]
    if record.state != "complete":
        return ["Run a study like this one to its end; it measures its best again before it says which to serve with."]
    steps = [f"Read the doubts above, and measure trial {found.verdict.trial} again without them."]
    if rounds < MIN_ROUNDS or not found.study.budget.verification.top:
        steps = [f"Verify the best in at least {MIN_ROUNDS} rounds (budget.verification: top 2, rounds {MIN_ROUNDS})."]
    return steps


def _nothing_measured(found: Digest) -> list[str]:
    remedies = list(dict.fromkeys(group.remedy for group in found.failures if group.remedy))
    if remedies or found.record.state in ("complete", "failed", "cancelled"):
        return [*remedies, f"See what happened: servelab status {found.record.id}"]
    return ["Wait for the first measurement." if found.record.state != "paused" else "Resume the study."]


_STEPS: Mapping[str, Callable[[Digest], list[str]]] = {
    "no_goal": _no_goal,
    "no_gain": _no_gain,
    "no_feasible": _no_feasible,
    "unverified": _unverified,
    "nothing_measured": _nothing_measured,
}
