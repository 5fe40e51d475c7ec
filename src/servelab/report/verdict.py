"""What a study concludes: whether a configuration is better than the default, by how much, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from servelab.report import sentences
from servelab.report.blocks import MIN_ROUNDS
from servelab.report.nearest import Nearest, least_violating, nearest_bounds, reports_by_configuration
from servelab.report.standing import Gain, Standing, doubts, standings
from servelab.spec.assess import assess_reports, objective_value
from servelab.spec.base import Spec
from servelab.spec.goal import Objective
from servelab.spec.study import Study
from servelab.spec.trial import StudyRecord, Trial

VerdictKind = Literal[
    "winner",
    "no_gain",
    "baseline_infeasible_winner",
    "no_feasible",
    "best",
    "unverified",
    "nothing_measured",
    "no_goal",
]
"""``best``: verified, but the study has no default to compare with."""

HEADLINES: dict[VerdictKind, tuple[str, str]] = {
    "winner": ("A better configuration was found", "good"),
    "baseline_infeasible_winner": ("A configuration that keeps the SLO was found", "good"),
    "best": ("The best configuration measured", "good"),
    "no_gain": ("Keep the default", "plain"),
    "no_feasible": ("No configuration keeps the SLO", "bad"),
    "unverified": ("Not settled", "caution"),
    "nothing_measured": ("Nothing could be measured", "bad"),
    "no_goal": ("Measurements, no verdict", "plain"),
}
"""What a verdict is called, and its tone: good, plain, caution or bad."""

CAUTION_RISK = 0.05
MAX_RISK = 0.2
"""A configuration that would break an SLO in more than one run of five does not keep it."""


class Verdict(Spec):
    """The answer of a study. ``trial`` is the one to serve with; None when there is none to name."""

    kind: VerdictKind
    trial: int | None = None
    default: int | None = None
    gain: Gain | None = None
    sentence: str
    cautions: tuple[str, ...] = ()
    standings: tuple[Standing, ...] = ()
    nearest: tuple[Nearest, ...] = ()

    @property
    def standing(self) -> Standing | None:
        """How the trial to serve with stood on re-test."""
        return next((standing for standing in self.standings if standing.trial == self.trial), None)


def conclude(record: StudyRecord, trials: Sequence[Trial]) -> Verdict:
    """Judge a study by its trials.

    A winner must beat the default with an interval that excludes zero, keep every SLO in every round of the
    re-test with a chance of at most MAX_RISK to break one in a further run, never fail, and rest on measurements
    that can be trusted. Where several do, those with a risk of at most CAUTION_RISK go first, then the best value.
    """
    study = record.study
    default = next((trial.number for trial in trials if trial.kind == "baseline"), None)
    if not study.objectives:
        return Verdict(kind="no_goal", default=default, sentence=sentences.no_goal(trials))
    if not reports_by_configuration(trials):
        return Verdict(kind="nothing_measured", default=default, sentence=sentences.nothing_measured(record, trials))
    field = standings(study, trials)
    candidates = [standing for standing in field if not standing.is_default and standing.rounds]
    verdict = _verified(study, trials, field) if candidates else _unverified(record, trials)
    cautions = (*verdict.cautions, *_cautions(study, trials, verdict, field))
    return verdict.model_copy(update={"default": default, "standings": field, "cautions": cautions})


def _verified(study: Study, trials: Sequence[Trial], field: Sequence[Standing]) -> Verdict:
    default = next((standing for standing in field if standing.is_default and standing.rounds), None)
    ranked = sorted((s for s in field if not s.is_default and s.rounds), key=_rank(study))
    kept = [standing for standing in ranked if standing.kept]
    if default is None and kept:
        return _name(study, "best", kept[0], None)
    if default is not None and not default.feasible_overall and kept:
        return _name(study, "baseline_infeasible_winner", kept[0], default)
    if default is None or not default.feasible_overall:
        return _infeasible(study, trials, retested=True)
    better = [standing for standing in kept if standing.gain and standing.gain.certain and standing.risk <= MAX_RISK]
    if better:
        return _name(study, "winner", better[0], default)
    if kept and all(standing.gain is None or standing.gain.low is None for standing in kept):
        leader = next((standing for standing in kept if _ahead(study, standing, default)), default)
        sentence = sentences.too_few_rounds(study, leader, kept[0], MIN_ROUNDS)
        return Verdict(kind="unverified", trial=leader.trial, gain=leader.gain, sentence=sentence)
    sentence = sentences.no_gain(study, default, ranked, MAX_RISK)
    if default.doubts:
        return Verdict(kind="unverified", trial=default.trial, sentence=sentences.in_doubt(sentence, [default]))
    return Verdict(kind="no_gain", trial=default.trial, sentence=sentence)


def _ahead(study: Study, standing: Standing, default: Standing) -> bool:
    """Whether it measured better than the default, however uncertain that is."""
    if standing.gain is not None:
        return standing.gain.value > 0
    return _merit(study.objectives[0], standing.value) < _merit(study.objectives[0], default.value)


def _merit(objective: Objective, value: float | None) -> float:
    """Smaller is better."""
    return (-1.0 if objective.direction == "maximize" else 1.0) * (value or 0.0)


def _rank(study: Study) -> Callable[[Standing], tuple[bool, float]]:
    return lambda standing: (standing.risk > CAUTION_RISK, _merit(study.objectives[0], standing.value))


def _name(study: Study, kind: VerdictKind, chosen: Standing, default: Standing | None) -> Verdict:
    """Name the chosen configuration, unless its measurements or the default's are in doubt."""
    troubled = [standing for standing in (chosen, default) if standing is not None and standing.doubts]
    sentence = {
        "winner": sentences.winner,
        "best": sentences.best,
        "baseline_infeasible_winner": sentences.default_breaks_slo,
    }[kind](study, chosen, default)
    if troubled:
        return Verdict(
            kind="unverified", trial=chosen.trial, gain=chosen.gain, sentence=sentences.in_doubt(sentence, troubled)
        )
    return Verdict(kind=kind, trial=chosen.trial, gain=chosen.gain, sentence=sentence)


def _infeasible(study: Study, trials: Sequence[Trial], retested: bool) -> Verdict:
    nearest = nearest_bounds(study, trials)
    return Verdict(
        kind="no_feasible",
        trial=least_violating(study, trials),
        nearest=nearest,
        sentence=sentences.no_feasible(study, nearest, retested),
    )


def _unverified(record: StudyRecord, trials: Sequence[Trial]) -> Verdict:
    """The verdict where nothing was measured again: the best of what the search saw, said to be no more."""
    study = record.study
    found = reports_by_configuration(trials)
    feasible = {number: reports for number, reports in found.items() if assess_reports(study, reports).feasible}
    if not feasible:
        return _infeasible(study, trials, retested=False)
    trusted = {number: reports for number, reports in feasible.items() if not doubts(reports)}
    default = next((trial.number for trial in trials if trial.kind == "baseline"), None)
    # A default in doubt stays in: nothing that measured worse than it may be put forward.
    pool = {number: reports for number, reports in feasible.items() if number in trusted or number == default}
    objective, pool = study.objectives[0], pool if trusted else feasible
    chosen = min(pool, key=lambda number: (_merit(objective, objective_value(objective, pool[number])), number))
    over = record.state == "complete" and study.budget.verification.top > 0
    if chosen == default and len(feasible) == 1 and over and trusted:
        return Verdict(kind="no_gain", trial=default, sentence=sentences.only_default(study))
    sentence = sentences.unverified(record, chosen, chosen == default, pool[chosen])
    return Verdict(kind="unverified", trial=chosen, sentence=sentence)


def _cautions(study: Study, trials: Sequence[Trial], verdict: Verdict, field: Sequence[Standing]) -> tuple[str, ...]:
    """What else to know before acting on the verdict."""
    found: list[str] = []
    standing = next((s for s in field if s.trial == verdict.trial), None)
    if standing is not None and standing.risk > CAUTION_RISK:
        found.append(sentences.risky(standing))
    if len(study.objectives) > 1:
        found.append(f"Judged by the first objective ({study.objectives[0]}) alone; weigh the others in the plots.")
    reports = reports_by_configuration(trials).get(verdict.trial, ()) if verdict.trial is not None else ()
    found += [f"Trial {verdict.trial}: {doubt}." for doubt in doubts(reports)]
    return tuple(found)
