"""The document behind the form: what it does not show stays, and what is put aside comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelab.catalog.study import load_study
from servelab.lab.quickstart import quickstart_study
from servelab.lab.validate import check_document
from servelab.web.draft import Draft

EXAMPLES = sorted((Path(__file__).parent.parent.parent / "examples").glob("*.yaml"))
LENGTHS = ("512", "1", "1.5", "{distribution: uniform, min: 3, max: 9}", "{distribution: lognormal, mean: 9, stdev: 4}")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_draft_is_the_study_it_was_made_of(path: Path) -> None:
    study = load_study(path.read_text(), str(path))
    assert load_study(Draft(study).text) == study


@pytest.mark.parametrize("length", LENGTHS)
def test_lengths_of_every_kind_stay(length: str) -> None:
    text = "{name: x, model: m, engine: vllm, workload: {prompt: LENGTH, output: LENGTH}, load: {rate: 1, seconds: 9}}"
    study = load_study(text.replace("LENGTH", length))
    assert load_study(Draft(study).text) == study


def test_what_is_put_aside_comes_back() -> None:
    draft = Draft(quickstart_study())
    before = draft.text
    path = ("space", "parameters", "parallel")
    draft.put_aside(path, "unticked")
    assert draft.get(*path) is None
    draft.bring_back(path, "unticked")
    assert load_study(draft.text) == load_study(before)
    draft.set(("workload", "prefix", "tokens"), 7)
    draft.set(("objectives", 0), None)
    assert draft.get("workload", "prefix", "tokens") == 7
    assert draft.get("objectives", 0, "metric") is None
    assert check_document(draft.text).faults


def test_a_length_that_no_number_holds_is_a_fault() -> None:
    draft = Draft(quickstart_study())
    draft.set(("workload", "output", "mean"), 1e308)
    assert check_document(draft.text).faults[0].path == ("workload", "output", "mean")


def test_what_is_used_where_nothing_was_put_aside_is_nobody_elses() -> None:
    usual = {"low": 1, "high": 16}
    draft = Draft(quickstart_study())
    draft.bring_back(("load", "saturation"), "other", usual)
    draft.set(("load", "saturation", "low"), 7)
    assert draft.get("load", "saturation") == {"low": 7, "high": 16}
    assert usual == {"low": 1, "high": 16}
