"""The sentences of a verdict, as one engineer would say them to another."""

from __future__ import annotations

from collections.abc import Sequence

from servelab.report.nearest import Nearest, nearest_sentence
from servelab.report.standing import Gain, SLOCheck, Standing
from servelab.report.words import count, listed, metric_text, parameters_text, percent, signed
from servelab.spec.assess import goal_metrics
from servelab.spec.goal import Constraint, Objective
from servelab.spec.metrics import format_metric
from servelab.spec.report import Report
from servelab.spec.study import Study
from servelab.spec.trial import StudyRecord, Trial


def gain_text(objective: Objective, gain: Gain) -> str:
    """A gain with its interval: ``18 % higher (95 % interval +12 % to +24 %, 3 rounds)``."""
    up = (gain.value >= 0) == (objective.direction == "maximize")
    size = percent(abs(gain.value)) if gain.relative else format_metric(objective.metric, abs(gain.value))
    return f"{size} {'higher' if up else 'lower'} ({interval_text(objective, gain)})"


def interval_text(objective: Objective, gain: Gain) -> str:
    """The interval of a gain, gains positive: ``95 % interval +12 % to +24 %, 3 rounds``."""
    rounds = count(gain.rounds, "round")
    if gain.low is None or gain.high is None:
        return f"{rounds}: too few for an interval"
    low, high = (
        signed(bound) if gain.relative else format_metric(objective.metric, bound) for bound in (gain.low, gain.high)
    )
    return f"{percent(gain.level)} interval {low} to {high}, {rounds}"


def _serve(standing: Standing) -> str:
    return f"trial {standing.trial} ({parameters_text(standing.parameters)})"


def _slos(constraints: Sequence[Constraint]) -> str:
    return listed([str(constraint) for constraint in constraints])


def _kept(standing: Standing) -> str:
    if not standing.slo:
        return ""
    rounds = "the one round" if len(standing.rounds) == 1 else f"all {len(standing.rounds)} rounds"
    kept = [f"{c.constraint} (worst: {format_metric(c.constraint.metric, c.worst)})" for c in standing.slo]
    return f" It kept {listed(kept)} in {rounds}."


def _broken(checks: Sequence[SLOCheck]) -> str:
    sign = {True: ">", False: "<"}
    return listed(
        [
            f"{metric_text(c.constraint.metric, c.overall)} {sign[c.constraint.max is not None]} "
            f"{format_metric(c.constraint.metric, c.constraint.bound)}"
            for c in checks
        ]
    )


def winner(study: Study, chosen: Standing, default: Standing | None) -> str:
    """The chosen configuration beats the default."""
    objective = study.objectives[0]
    assert chosen.gain is not None  # that is what makes a winner
    assert default is not None
    return (
        f"Serve with {_serve(chosen)}: {metric_text(objective.metric, chosen.value)}, "
        f"{gain_text(objective, chosen.gain)} than the default's "
        f"{format_metric(objective.metric, default.value)}.{_kept(chosen)}"
    )


def best(study: Study, chosen: Standing, default: Standing | None) -> str:
    """The best of those verified, where there is no default."""
    objective = study.objectives[0]
    return (
        f"The best of those measured again is {_serve(chosen)}: {metric_text(objective.metric, chosen.value)}. "
        f"The study names no default, so there is no gain to speak of.{_kept(chosen)}"
    )


def default_breaks_slo(study: Study, chosen: Standing, default: Standing | None) -> str:
    """The default breaks an SLO that the chosen configuration keeps."""
    assert default is not None  # the default's re-test is what this is about
    objective = study.objectives[0]
    broken = [c for c in default.slo if c.overall is None or c.constraint.violation(c.overall) > 0]
    return (
        f"The default breaks the SLO ({_broken(broken)}), so a gain over it would mean nothing. What matters: "
        f"{_serve(chosen)} keeps it, with {metric_text(objective.metric, chosen.value)} "
        f"(the default: {format_metric(objective.metric, default.value)}, while breaking the SLO).{_kept(chosen)}"
    )


def no_gain(study: Study, default: Standing, ranked: Sequence[Standing], max_risk: float) -> str:
    """Nothing beats the default; says why the best candidate does not."""
    said = "No configuration beats the default beyond noise: keep the default."
    if not ranked:
        return said
    objective, nearest = study.objectives[0], ranked[0]
    for standing in ranked:
        if standing.gain is not None and standing.gain.certain:
            nearest = standing
            break
    if nearest.failures:
        return f"{said} Trial {nearest.trial} failed when measured again ({nearest.failures[0]})."
    broken = [check for check in nearest.slo if check.broken_rounds]
    found = f"{gain_text(objective, nearest.gain)}" if nearest.gain else "not comparable"
    if broken:
        rounds = f"{max(c.broken_rounds for c in broken)} of {count(len(nearest.rounds), 'round')}"
        slos = _slos([check.constraint for check in broken])
        return f"{said} Trial {nearest.trial} measured {found}, but broke {slos} in {rounds} of the re-test."
    if nearest.gain is not None and nearest.gain.certain and nearest.risk > max_risk:
        return (
            f"{said} Trial {nearest.trial} measured {found}, but stands too close to the SLO: it would break it in "
            f"about {percent(nearest.risk)} of runs."
        )
    return f"{said} The best other one, trial {nearest.trial}, measured {found}."


def too_few_rounds(study: Study, leader: Standing, nearest: Standing, needed: int) -> str:
    """Measured again, but not often enough for an interval; ``nearest`` is the best but the default."""
    objective = study.objectives[0]
    name = f"the default (trial {leader.trial})" if leader.is_default else _serve(leader)
    gain = f", {gain_text(objective, leader.gain)} than the default" if leader.gain else ""
    other = f" Trial {nearest.trial} measured {gain_text(objective, nearest.gain)}." if nearest.gain else ""
    return (
        f"Not settled: {name} is the best so far with {metric_text(objective.metric, leader.value)}{gain}."
        f"{other if leader.is_default else ''} "
        f"Verify in at least {needed} rounds (budget.verification.rounds)."
    )


def in_doubt(sentence: str, troubled: Sequence[Standing]) -> str:
    """What would be the verdict if the measurements could be trusted."""
    reasons = list(dict.fromkeys(doubt for standing in troubled for doubt in standing.doubts))
    return f"Not settled, since {listed(reasons)}. What was seen: {sentence}"


def no_feasible(study: Study, nearest: Sequence[Nearest], retested: bool) -> str:
    """No configuration keeps the SLOs."""
    advice = "Relax the bound, lower the load, or use a faster machine or a smaller model."
    slos = _slos(study.constraints)
    said = (
        f"No configuration kept {slos} when measured again." if retested else f"Nothing that was measured keeps {slos}."
    )
    return " ".join(part for part in (said, nearest_sentence(nearest), advice) if part)


def only_default(study: Study) -> str:
    """Only the default ran to its end and kept the SLOs."""
    condition = f" and kept {_slos(study.constraints)}" if study.constraints else ""
    return f"Keep the default: no other configuration ran to its end{condition}."


def unverified(record: StudyRecord, chosen: int, is_default: bool, reports: Sequence[Report]) -> str:
    """The best of what the search saw."""
    study = record.study
    values = goal_metrics(study, reports)
    measured = listed([metric_text(key.partition("@")[0], value) for key, value in values.items()])
    name = f"the default (trial {chosen})" if is_default else f"trial {chosen}"
    over = "was not verified" if record.state == "complete" else f"is not verified (the study is {record.state})"
    return f"The best so far is {name} with {measured}; it {over}, so the difference may be noise."


def nothing_measured(record: StudyRecord, trials: Sequence[Trial]) -> str:
    """No trial came to a measurement."""
    if record.message and record.state == "failed":
        return f"Nothing could be measured: {record.message}."
    failed = next((trial.failure for trial in trials if trial.failure), None)
    return f"Nothing could be measured: {failed.message}." if failed else "Nothing has been measured yet."


def no_goal(trials: Sequence[Trial]) -> str:
    """The study collects data and asks for no answer."""
    done = sum(trial.state == "complete" for trial in trials)
    return f"{count(done, 'trial')} measured. The study names no objective, so there is nothing to recommend."


def risky(standing: Standing) -> str:
    """The chosen configuration is close to an SLO."""
    check = max((check for check in standing.slo if check.risk is not None), key=lambda check: check.risk or 0.0)
    return (
        f"Trial {standing.trial} stands close to {check.constraint}: going by {count(len(standing.rounds), 'round')}, "
        f"about {percent(check.risk or 0.0)} of runs like these would break it."
    )
