"""The sampler of a study, with its memory rebuilt from the store."""

from __future__ import annotations

from collections.abc import Sequence

from servelab.lab.prior import study_prior
from servelab.search.base import Problem, Sampler, sampler
from servelab.search.pick import recommend
from servelab.spec.assess import Observation
from servelab.spec.base import Parameters
from servelab.spec.study import Study
from servelab.spec.trial import Trial


def problem(study: Study, observations: Sequence[Observation] = ()) -> Problem:
    """What a study asks its sampler to search; what was measured corrects the prior."""
    return Problem(
        space=study.space,
        treatments=study.design,
        objectives=study.objectives,
        constraints=study.constraints,
        baseline=study.baseline,
        seed=study.sampler.seed,
        trials=study.budget.trials,
        prior=study_prior(study, observations),
    )


def observation(trial: Trial) -> Observation:
    """What a sampler learns from a finished trial."""
    failed = trial.state == "failed"
    return Observation(
        number=trial.number,
        parameters=trial.parameters,
        metrics=trial.outcome,
        cause=trial.failure.cause if failed and trial.failure else None,
        transient=bool(failed and trial.failure and trial.failure.transient),
        partial=trial.state == "stopped",
    )


class Suggestions:
    """Asks the study's sampler, after telling it whatever it has not heard of yet."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._told: dict[int, Observation] = {}
        self._sampler = self._made()

    def next(self, trials: Sequence[Trial]) -> Parameters | None:
        """The next configuration, or None when the sampler has no more."""
        searched = [trial for trial in trials if trial.kind != "verification"]
        new = {t.number: observation(t) for t in searched if t.final and t.number not in self._told}
        self._told |= new
        if new and self._corrected:
            self._sampler = self._made()
        else:
            for one in new.values():
                self._sampler.tell(one)
        return self._sampler.ask(len(searched), [trial.parameters for trial in searched if not trial.final])

    def _made(self) -> Sampler:
        """A sampler that knows all that was measured, and whose prior was corrected by it."""
        study = self._study
        asked = problem(study, list(self._told.values()))
        self._corrected = asked.prior is not None
        made = sampler("treatments" if study.space is None else study.sampler.name, asked)
        for one in self._told.values():
            made.tell(one)
        return made


def candidates(study: Study, trials: Sequence[Trial]) -> list[Trial]:
    """The trials to verify, best first: what the search recommends, without the default itself."""
    complete = [t for t in trials if t.kind == "search" and t.state == "complete"]
    # In doubt (its client was not fit, say) is worth another look only where nothing else is.
    eligible = {t.number: t for t in complete if t.feasible is not None} or {t.number: t for t in complete}
    baseline = [t.parameters for t in trials if t.kind == "baseline"]
    told = [observation(t) for t in eligible.values()]
    ranked = recommend(problem(study, told), told, len(eligible))
    chosen = [eligible[number] for number in ranked if eligible[number].parameters not in baseline]
    return chosen[: study.budget.verification.top]
