"""What it costs, what to do next, and which forms there are. All data are generated."""

from __future__ import annotations

import pytest

from servelab.report.cost import serving_costs
from servelab.report.digest import digest
from servelab.report.next_steps import next_steps
from servelab.report.offers import FORMS, offers
from servelab.report.recommend import recommendation
from servelab.spec.errors import DocumentError
from tests.report.conftest import Generated, study_document


def test_the_cost_is_that_of_the_measured_throughput(tuned):
    found = digest(tuned.record(), tuned.trials)
    chosen, default = serving_costs(found, 2.5)
    assert (chosen.trial, default.trial) == (found.verdict.trial, found.verdict.default)
    assert chosen.accelerators == 1
    level = chosen.loads[0]
    hours_for_a_million = 1e6 / level.output_throughput / 3600
    assert level.per_million_output == pytest.approx(2.5 * hours_for_a_million)
    assert level.per_million_output < default.loads[0].per_million_output
    with pytest.raises(DocumentError, match="below zero"):
        serving_costs(found, -1)


def test_every_accelerator_of_a_deployment_is_paid_for():
    document = study_document(engine={"name": "vllm", "arguments": {"tensor_parallel_size": 4}})
    made = Generated(document=document)
    made.add({}, kind="baseline")
    cost = serving_costs(digest(made.record(), made.trials), 2.0)[0]
    assert (cost.accelerators, cost.per_hour) == (4, 8.0)


def test_a_winner_needs_no_next_step(tuned):
    assert next_steps(digest(tuned.record(), tuned.trials)) == ()


def test_where_nothing_keeps_the_slo_the_nearest_bound_is_named():
    made = Generated()
    made.add({}, kind="baseline", ttft=0.9)
    made.add({"max_num_seqs": 16}, ttft=0.7)
    steps = next_steps(digest(made.record(), made.trials))
    assert steps[0].startswith("Relax ttft_p95 <= 500 ms to what was reached")
    assert steps[0].endswith("in trial 1.")


@pytest.mark.parametrize("state", ["running", "paused", "cancelled", "complete"])
def test_an_unsettled_study_says_what_it_waits_for(state):
    made = Generated(document=study_document(budget={"trials": 4, "verification": {"top": 1, "rounds": 2}}))
    made.add({}, kind="baseline")
    made.add({"max_num_seqs": 64}, throughput=1500)
    said = {
        "running": "Wait",
        "paused": "servelab resume",
        "cancelled": "Run a study like this one to its end",
        "complete": "at least 3 rounds",
    }
    assert said[state] in next_steps(digest(made.record(state), made.trials))[0]


def test_a_form_that_does_not_exist_says_why(tuned):
    made = Generated(document=study_document(engine={"name": "simulated", "profile": "h100-llama-3.1-8b"}))
    made.simulated = True
    made.add({}, kind="baseline")
    real = offers(recommendation(tuned.record(), tuned.trials))
    assert [offer.form for offer in real] == list(FORMS)
    without = offers(recommendation(made.record(), made.trials))
    assert all((offer.text is None) == bool(offer.missing and offer.remedy) for offer in without)
    assert {offer.form for offer in without if offer.text is None} >= {"docker", "compose", "kubernetes", "ome"}
