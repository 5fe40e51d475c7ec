"""What stands behind the table of a verdict. The reports are generated."""

from __future__ import annotations

from servelab.report.digest import digest
from servelab.web.pages.evidence import _behind
from tests.report.conftest import Generated


def made(rounds: int) -> Generated:
    study = Generated(noise=0.01)
    study.baseline()
    study.add({"max_num_seqs": 64}, 1300)
    study.verify({0: (1000, 0.3), 1: (1300, 0.3)}, rounds=rounds)
    return study


def compared(study: Generated) -> list[int]:
    return [choice.trial for choice in _behind(digest(study.record(), study.trials))]


def test_the_link_leads_to_the_measurements_of_the_table() -> None:
    study = made(rounds=3)
    assert compared(study) == [2, 4, 6, 3, 5, 7]
    assert [study.trials[number].verifies for number in compared(study)] == [0, 0, 0, 1, 1, 1]


def test_of_many_rounds_as_many_as_can_be_compared() -> None:
    assert len(compared(made(rounds=5))) == 8


def test_without_a_re_test_it_leads_to_the_search() -> None:
    study = Generated(noise=0.01)
    study.baseline()
    study.add({"max_num_seqs": 64}, 1300)
    assert compared(study) == [0, 1]
