"""How far a study is: only what has ended counts as done."""

from __future__ import annotations

from servelab.lab.extent import extent
from servelab.spec.trial import StudyRecord
from servelab.store.rows import Summary
from tests.lab.studies import small

BUDGET = "{trials: 3, verification: {top: 1, rounds: 2}}"


def record(state: str, budget: str = BUDGET) -> StudyRecord:
    return StudyRecord.model_validate({"id": "small-1", "study": small(budget=budget), "state": state, "created_at": 1})


def counted(searched: dict[str, int], verifications: dict[str, int]) -> Summary:
    return Summary(objective="", counts=searched, verifications=verifications, best=None, best_trial=None)


def test_what_runs_or_waits_is_not_done():
    found = extent(record("verifying"), counted({"complete": 3}, {"complete": 1, "running": 1, "waiting": 2}))
    assert found == (3, 3, 1, 4)
    assert found.share == 4 / 7


def test_the_verification_to_come_is_part_of_the_way():
    found = extent(record("running"), counted({"complete": 1, "failed": 1, "running": 1}, {}))
    assert found == (2, 3, 0, 4)
    assert extent(record("waiting"), counted({}, {})).share == 0


def test_nothing_is_planned_beyond_what_a_study_that_is_over_has():
    assert extent(record("complete"), counted({"complete": 2}, {})) == (2, 2, 0, 0)
    assert extent(record("complete"), counted({"complete": 2}, {"complete": 4})).share == 1
    assert extent(record("cancelled"), counted({"complete": 1}, {})) == (1, 3, 0, 0)
