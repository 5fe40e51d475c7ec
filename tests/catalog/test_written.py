"""Studies written for people: what is read again is the same study."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelab.catalog.study import load_study
from servelab.catalog.written import document_text, full_document, study_text
from servelab.lab.quickstart import quickstart_study
from servelab.spec.goal import Constraint, Objective

EXAMPLES = sorted((Path(__file__).parent.parent.parent / "examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_the_same_study_after_it_was_written(path):
    study = load_study(path.read_text(), str(path))
    text = study_text(study)
    assert load_study(text, str(path)) == study
    assert load_study(document_text(full_document(study)), str(path)) == study
    assert study_text(load_study(text, str(path))) == text


def test_the_quickstart_is_written_as_a_person_wrote_it():
    lines = study_text(quickstart_study()).splitlines()
    for line in (
        "model: smollm2-135m",
        "  prompt: {mean: 64, stdev: 16, min: 16, max: 128}",
        "    parallel: [1, 2, 4, 8, 16]",
        '    flash_attn: ["on", "off"]',
        "objectives: [minimize ttft_p50]",
        "constraints: [itl_p50 <= 300ms]",
    ):
        assert line in lines
    assert not any(line.startswith("baseline") for line in lines)


@given(bound=st.floats(1e-12, 1e12), name=st.sampled_from(["ttft_p95", "goodput_ratio", "output_throughput"]))
def test_a_bound_is_written_exactly(bound, name):
    study = quickstart_study().model_copy(update={"constraints": (Constraint(metric=name, max=bound),)})
    assert load_study(study_text(study)).constraints == study.constraints


@given(at=st.floats(1e-6, 1e9))
def test_the_level_of_an_objective_is_written_exactly(at):
    study = quickstart_study()
    load = study.load.model_copy(update={"concurrency": (), "rate": (at, 2 * at)})
    goal = Objective(metric="ttft_p50", direction="minimize", at=at)
    study = study.model_copy(update={"load": load, "objectives": (goal,), "constraints": ()})
    assert load_study(study_text(study)).objectives == (goal,)
