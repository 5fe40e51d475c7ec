"""Memory arithmetic as a prior."""

from __future__ import annotations

from servelab.lab.prior import study_prior
from tests.lab.studies import small

ENGINE = "{name: vllm, resources: {accelerator: l4-24gb, accelerators: 1}}"
SPACE = "{parameters: {gpu_memory_utilization: {low: 0.5, high: 0.95}, tensor_parallel_size: [1, 2]}}"


def test_what_cannot_hold_one_request_cannot_run():
    study = small(model="{id: meta-llama/Llama-3.1-8B-Instruct}", engine=ENGINE, space=SPACE)
    prior = study_prior(study)
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
    assert study_prior(small()) is None
    assert study_prior(small(model="{id: unknown/model}", engine=ENGINE, space=SPACE)) is None


TUNED = "{parameters: {max_num_seqs: {low: 4, high: 256}, tensor_parallel_size: [1, 2], kv_cache_dtype: [auto, fp8]}}"


def foretold(**changes):
    study = small(
        model="{id: meta-llama/Llama-3.1-8B-Instruct}",
        engine="{name: vllm, resources: {accelerator: h100-80gb, accelerators: 2}}",
        workload="{prompt: 500, output: 100}",
        load="{concurrency: 64, requests: 128}",
        space=TUNED,
        **changes,
    )
    prior = study_prior(study)
    assert prior is not None
    return prior


def test_data_sheets_foretell_what_a_configuration_comes_to():
    prior = foretold()
    few, many = prior({"max_num_seqs": 4}), prior({"max_num_seqs": 64})
    assert many.metrics["output_throughput"] > 3 * few.metrics["output_throughput"]
    assert many.metrics["itl_p95"] > few.metrics["itl_p95"]
    assert many.metrics["ttft_p95"] < few.metrics["ttft_p95"]
    both = prior({"max_num_seqs": 64, "tensor_parallel_size": 2})
    assert both.metrics["itl_p50"] < many.metrics["itl_p50"]
    assert both.metrics["output_throughput_per_accelerator"] == both.metrics["output_throughput"] / 2
    assert prior({"max_num_seqs": 64}) == many


def test_a_full_cache_is_foretold():
    prior = foretold()
    tight = {"max_num_seqs": 64, "gpu_memory_utilization": 0.29}
    assert prior(tight).metrics["output_throughput"] < prior({"max_num_seqs": 64}).metrics["output_throughput"]
    wide = prior({**tight, "kv_cache_dtype": "fp8"})
    assert wide.metrics["output_throughput"] > prior(tight).metrics["output_throughput"]
