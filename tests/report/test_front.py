"""What a search shows as it goes, and which trials a verdict rests on."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from servelab.report.decisive import MOST, decisive
from servelab.report.front import best_so_far, ending, other_axis, pareto_front
from servelab.report.verdict import conclude
from servelab.spec.assess import goal_metrics
from servelab.spec.goal import Constraint, Objective
from servelab.spec.study import Study
from tests.report.conftest import Generated, study_document

UP = Objective(metric="output_throughput", direction="maximize")
LATENCY = Constraint(metric="ttft_p95", max=0.5)
Pairs = st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), max_size=40)


@given(Pairs)
def test_nothing_beats_a_point_of_the_front_and_all_else_is_beaten(points):
    front = pareto_front(LATENCY, UP, points)

    def beats(a, b):
        return a[0] <= b[0] and a[1] >= b[1] and a != b

    assert not any(beats(point, other) for other in front for point in points)
    assert all(point in front or any(beats(other, point) or other == point for other in front) for point in points)


@given(st.lists(st.floats(0, 100), max_size=40))
def test_the_best_so_far_only_grows(values):
    best = best_so_far(UP, list(enumerate(values)))
    assert [value for _, value in best] == sorted({value for _, value in best})
    assert not values or best[-1][1] == max(values)


def test_the_constraint_that_most_break_is_the_other_axis():
    study = Study.model_validate(study_document(constraints=["ttft_p95 <= 500ms", "itl_p95 <= 50ms"]))
    assert str(other_axis(study, [{"ttft_p95": 0.1, "itl_p95": 0.1}])) == "itl_p95 <= 50 ms"
    assert str(other_axis(study, [{"ttft_p95": 0.9, "itl_p95": 0.01}])) == "ttft_p95 <= 500 ms"


def test_endings():
    assert [ending("complete", kept) for kept in (True, False, None)] == ["keeps", "breaks", "doubt"]
    assert [ending(state, None) for state in ("failed", "stopped", "running")] == ["failed", "stopped", None]


def _large(rounds: int) -> Generated:
    made, chance = Generated(seed=4), random.Random(5)
    made.add({}, 1000, 0.3, kind="baseline")
    for _ in range(3 * MOST):
        made.add({"max_num_seqs": chance.randint(8, 256)}, chance.uniform(500, 1500), chance.uniform(0.1, 0.9))
    best = max(
        made.trials, key=lambda t: (t.reports[0].metrics["ttft_p95"] <= 0.45, t.reports[0].metrics["output_throughput"])
    )
    for turn in range(rounds):
        made.add({}, 1000, 0.3, kind="verification", verifies=0, round=turn)
        made.add(best.parameters, 1600, 0.2, kind="verification", verifies=best.number, round=turn)
    return made


def test_a_large_study_is_judged_alike_by_the_trials_that_matter():
    for rounds in (0, 5):
        made = _large(rounds)
        trials = [
            trial.model_copy(update={"outcome": dict(goal_metrics(made.study, trial.reports))}) for trial in made.trials
        ]
        numbers = set(decisive(made.study, trials))
        assert len(numbers) < len(trials) / 2
        chosen = [trial for trial in trials if trial.number in numbers]
        whole, part = conclude(made.record(), trials), conclude(made.record(), chosen)
        assert (part.kind, part.trial, part.gain, part.sentence) == (
            whole.kind,
            whole.trial,
            whole.gain,
            whole.sentence,
        )
