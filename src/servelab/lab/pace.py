"""How long a study will take, by what its like took before."""

from __future__ import annotations

import contextlib
from statistics import fmean

from servelab.lab.plan import Plan
from servelab.spec.base import Spec
from servelab.spec.errors import NotFoundError
from servelab.spec.study import Study
from servelab.store.store import Store

LOOKED_AT = 20  # of the latest studies
COUNTED = 50  # trials of one
FEWEST = 2


class Pace(Spec):
    """What trials of a like study took from start to stop, on average, in seconds; and what that makes of this one."""

    study: str
    trial_seconds: float
    seconds: float


def known_pace(store: Store, study: Study, plan: Plan) -> Pace | None:
    """The pace of the latest study with the same model, engine, platform, workload, load and repeats, or None."""
    for row in store.list_studies()[:LOOKED_AT]:
        with contextlib.suppress(NotFoundError):  # deleted just now
            if not _alike(store.get_study(row.id).study, study):
                continue
            trials = store.trials(row.id, numbers=range(COUNTED))
            took = [trial.timings.total for trial in trials if trial.state == "complete"]
            if len(took) >= FEWEST:
                return _pace(row.id, fmean(took), study, plan)
    return None


def _alike(one: Study, other: Study) -> bool:
    return _what_lasts(one) == _what_lasts(other)


def _what_lasts(study: Study) -> tuple[object, ...]:
    return study.model, study.engine.name, study.platform, study.workload, study.load, study.budget.repeats


def _pace(name: str, each: float, study: Study, plan: Plan) -> Pace:
    search = plan.trials * each / study.budget.parallel
    if study.budget.wall_time is not None:
        search = min(search, study.budget.wall_time + each)
    retests = plan.verification_trials * each / study.budget.parallel
    return Pace(study=name, trial_seconds=each, seconds=search + retests)
