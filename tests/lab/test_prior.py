"""Memory arithmetic as a prior."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version

import pytest

from servelab.lab.plan import make_plan
from servelab.lab.prior import prior_source, study_prior
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


def eight_billion(accelerator="h100-80gb", **changes):
    return small(
        model="{id: meta-llama/Llama-3.1-8B-Instruct}",
        engine=f"{{name: vllm, resources: {{accelerator: {accelerator}, accelerators: 2}}}}",
        workload="{prompt: 500, output: 100}",
        load="{concurrency: 64, requests: 128}",
        space=TUNED,
        **changes,
    )


def foretold(**changes):
    prior = study_prior(eight_billion(**changes))
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


def test_where_it_comes_from_is_told():
    assert prior_source(small()) is None
    told = prior_source(eight_billion("l4-24gb"))
    assert told.startswith("the makers' data sheets (aiconfigurator-core has no measurements of vllm on NVIDIA L4")
    study = eight_billion()
    assert make_plan(study).prior == prior_source(study)
    assert make_plan(small(space="", treatments="[{parallel: 2}]", budget="{verification: {top: 0}}")).prior is None


def test_measured_kernels_take_the_place_of_data_sheets():
    pytest.importorskip("aiconfigurator_core")
    study = eight_billion()
    assert prior_source(study).startswith(f"aiconfigurator-core {version('aiconfigurator-core')}, vllm ")
    measured = foretold()({"max_num_seqs": 64})
    with_sheets = replace(study_prior(study), silicon=None)({"max_num_seqs": 64})
    assert measured != with_sheets
    assert 0.5 < measured.metrics["output_throughput"] / with_sheets.metrics["output_throughput"] < 2


def test_a_cache_that_only_the_package_finds_no_room_for_is_left_to_a_trial():
    pytest.importorskip("aiconfigurator_core")
    prior = foretold()
    tight = {"tensor_parallel_size": 2, "gpu_memory_utilization": 0.1455}
    assert prior.silicon.kv_tokens(2, 0.1455, 8192, 2.0) < prior.study.workload.longest
    assert prior(tight).runs
    assert not prior({**tight, "gpu_memory_utilization": 0.14}).runs
