"""Result files of the inference autotuner: imported, exported, and scored as there."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from servelab.spec.assess import goal_metrics, objective_value
from servelab.spec.errors import DocumentError
from servelab.spec.goal import Objective, Penalty, Score
from servelab.store.store import Store
from servelab.tasks.document import read_task
from servelab.tasks.results import keep_results, results
from servelab.tasks.study import studies
from servelab.tasks.write import study_of
from tests.lab.studies import servelab
from tests.tasks.given import GIVEN, needs_given

RESULTS = GIVEN / "results/docker-simple-tune_results.json"

SUMMED = ("mean_e2e_latency", "p50_e2e_latency", "p90_e2e_latency", "p99_e2e_latency", "mean_ttft", "mean_tpot")
RATES = ("mean_output_throughput", "max_output_throughput", "mean_total_throughput", "max_total_throughput")
COUNTS = ("total_requests", "total_completed_requests", "total_error_requests", "success_rate", "num_result_files")


def given_task():
    file = GIVEN / "examples/docker_task.json"
    return study_of(studies(read_task(file.read_text(), file.name))[0])


@needs_given
@pytest.mark.parametrize("with_task", [True, False])
def test_a_given_result_survives_import_and_export(store: Store, with_task):
    raw = json.loads(RESULTS.read_text())
    record = keep_results(store, raw, RESULTS, given_task() if with_task else None)
    assert record.state == "complete"
    again = results(record, store.trials(record.id, with_reports=True))
    assert again["successful_experiments"] == raw["successful_experiments"] == 2
    assert again["best_result"]["experiment_id"] == raw["best_result"]["experiment_id"]
    for ours, theirs in zip(again["all_results"], raw["all_results"], strict=True):
        assert ours["parameters"] == theirs["parameters"]
        assert ours["objective_score"] == pytest.approx(theirs["objective_score"], rel=1e-12)
        for name in (*SUMMED, *RATES, *COUNTS):
            assert ours["metrics"][name] == pytest.approx(theirs["metrics"][name], rel=1e-9), name
    # What was exported is a result file again.
    second = keep_results(store, json.loads(json.dumps(again)), Path("again_results.json"), given_task())
    assert results(second, store.trials(second.id, with_reports=True))["all_results"] == again["all_results"]


@needs_given
def test_a_result_without_success_is_kept_with_its_reason(store: Store):
    file = GIVEN / "results/simple-tune_results.json"
    raw = json.loads(file.read_text())
    with pytest.raises(DocumentError, match="nothing in it was measured"):
        keep_results(store, raw, file)
    task = GIVEN / "examples/simple_task.json"
    record = keep_results(store, raw, file, study_of(studies(read_task(task.read_text(), task.name))[0]))
    assert record.state == "failed"
    (trial,) = store.trials(record.id)
    assert trial.failure is not None
    assert trial.failure.message == "InferenceService did not become ready in time"
    (exported,) = results(record, [trial])["all_results"]
    assert exported["error_message"] == trial.failure.message
    assert exported["status"] == "failed"


@needs_given
def test_the_commands(home, tmp_path):
    done = servelab("import", str(RESULTS), "--task", str(GIVEN / "examples/docker_task.json"), "--json")
    study = json.loads(done.stdout)["study"]
    assert "mem_fraction_static" in servelab("compare", f"{study}#0", f"{study}#1").stdout
    files = servelab("export", study, "-o", str(tmp_path / "out"), "--autotuner").stdout
    written = tmp_path / "out/docker-simple-tune_results.json"
    assert str(written) in files
    assert json.loads(written.read_text())["best_result"]["objective_score"] == pytest.approx(0.18876179561761397)


# The scenarios of docs/SLO_SCORING.md of the predecessor.
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"e2e_p90": 4.0}, 3.0),
        ({"e2e_p90": 5.0}, 3.0),
        ({"e2e_p90": 5.5}, 3.0 * (1 + 2 * math.e)),
    ],
)
def test_the_score_of_one_slo(values, expected):
    score = Score(base="e2e_mean", penalties=(Penalty(metric="e2e_p90", threshold=5.0, weight=2.0),))
    assert score.of({"e2e_mean": 3.0, **values}) == pytest.approx(expected)


def test_penalties_add_up():
    score = Score(
        base="e2e_mean",
        penalties=(
            Penalty(metric="e2e_p50", threshold=2.0, weight=1.0),
            Penalty(metric="e2e_p90", threshold=5.0, weight=2.0),
            Penalty(metric="e2e_p99", threshold=10.0, weight=3.0),
            Penalty(metric="ttft_mean", threshold=1.0, weight=2.0),
        ),
    )
    values = {"e2e_mean": 2.5, "e2e_p50": 2.3, "e2e_p90": 5.5, "e2e_p99": 11.0, "ttft_mean": 1.2}
    assert score.of(values) == pytest.approx(2.5 * (1 + 4.4817 + 5.4366 + 8.1548 + 14.7781), rel=1e-4)
    assert score.of({"e2e_mean": 2.5}) is None


def test_a_penalty_makes_throughput_worse_too():
    score = Score(base="total_throughput", penalties=(Penalty(metric="ttft_mean", threshold=1.0, weight=0.1),))
    good, bad = (
        score.of({"total_throughput": 1000, "ttft_mean": 0.9}),
        score.of({"total_throughput": 1000, "ttft_mean": 1.1}),
    )
    assert good == -1000
    assert bad is not None
    assert bad > good
    assert score.of({"total_throughput": 1000, "ttft_mean": 1e9}) == pytest.approx(math.exp(700) * 100)


def test_a_score_belongs_to_its_objective():
    with pytest.raises(ValueError, match="slo_score needs"):
        Objective.model_validate("minimize slo_score")
    with pytest.raises(ValueError, match="no other has one"):
        Objective.model_validate({"metric": "e2e_mean", "score": {"base": "e2e_mean"}})


@needs_given
def test_the_score_is_of_the_means_over_the_levels(store: Store):
    raw = json.loads(RESULTS.read_text())
    task = GIVEN / "examples/docker_task_with_slo.json"
    document = json.loads(task.read_text())
    document["slo"]["ttft"]["threshold"] = 0.02
    study = study_of(studies(read_task(json.dumps(document), task.name))[0])
    record = keep_results(store, raw, RESULTS, study)
    trial = store.trials(record.id, with_reports=True)[0]
    over = (raw["all_results"][0]["metrics"]["mean_ttft"] - 0.02) / 0.02
    expected = 0.18876179561761397 * (1 + 2 * math.exp(over / 0.1))
    assert objective_value(study.objectives[0], trial.reports) == pytest.approx(expected)
    assert goal_metrics(study, trial.reports)["slo_score"] == pytest.approx(expected)
