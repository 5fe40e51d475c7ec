"""Memory arithmetic as a prior."""

from __future__ import annotations

from servelab.lab.prior import memory_prior
from tests.lab.studies import small

ENGINE = "{name: vllm, resources: {accelerator: l4-24gb, accelerators: 1}}"
SPACE = "{parameters: {gpu_memory_utilization: {low: 0.5, high: 0.95}, tensor_parallel_size: [1, 2]}}"


def test_what_cannot_hold_one_request_cannot_run():
    study = small(model="{id: meta-llama/Llama-3.1-8B-Instruct}", engine=ENGINE, space=SPACE)
    prior = memory_prior(study)
    assert prior is not None
    tight, roomy, shared = (
        prior({"gpu_memory_utilization": 0.6}),
        prior({"gpu_memory_utilization": 0.95}),
        prior({"gpu_memory_utilization": 0.6, "tensor_parallel_size": 2}),
    )
    assert tight is not None
    assert not tight.runs
    assert roomy is not None
    assert roomy.runs
    assert shared is not None
    assert shared.runs


def test_nothing_is_said_of_what_is_not_known():
    assert memory_prior(small()) is None
    assert memory_prior(small(model="{id: unknown/model}", engine=ENGINE, space=SPACE)) is None
