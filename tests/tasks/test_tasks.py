"""Task files of the inference autotuner: the given ones, and variants of each field."""

from __future__ import annotations

import json
from typing import Any

import pytest

from servelab.catalog.engines import engine_arguments
from servelab.catalog.parallelism import parallel_size
from servelab.catalog.presets import parallelism, preset, quantization, quantized, spread
from servelab.spec.errors import DocumentError
from servelab.tasks.document import read_task
from servelab.tasks.study import studies
from servelab.tasks.workload import workload
from servelab.tasks.write import study_of, study_text
from tests.lab.studies import servelab
from tests.tasks.given import GIVEN, needs_given

TASK: dict[str, Any] = {
    "task_name": "My Task_1",
    "deployment_mode": "docker",
    "model": {"id_or_path": "meta-llama/Llama-3.2-1B-Instruct"},
    "base_runtime": "sglang",
    "parameters": {"mem-fraction-static": [0.8]},
    "benchmark": {"num_concurrency": [1, 4]},
}


def imported(**changes: Any):
    return studies(read_task(json.dumps(TASK | changes), "task.json"))


def study(**changes: Any):
    (one,) = imported(**changes)
    return study_of(one)


@needs_given
@pytest.mark.parametrize("file", sorted(GIVEN.glob("examples/*.json")), ids=lambda path: path.stem)
def test_every_given_task_becomes_a_study_that_is_valid(file):
    made = studies(read_task(file.read_text(), file.name))
    raw = json.loads(file.read_text())
    assert len(made) == len(raw["benchmark"]["traffic_scenarios"])
    for one in made:
        found = study_of(one)
        assert found.engine.name == "sglang"
        assert found.platform.name == raw.get("deployment_mode", "ome")
        assert [point.level for point in found.load.points] == raw["benchmark"]["num_concurrency"]
        assert len(found.treatments) == raw["optimization"]["max_iterations"] or len(found.treatments) == _grid(raw)
        known = engine_arguments("sglang")
        assert all(name in known for name in found.changed), found.changed
        assert found.workload.extra == {"temperature": 0.0}


def _grid(raw: dict[str, Any]) -> int:
    size = 1
    for values in raw["parameters"].values():
        size *= len(values if isinstance(values, list) else values["values"])
    return size


@needs_given
def test_the_slo_of_a_given_task_is_kept():
    file = GIVEN / "examples/docker_task_with_slo.json"
    (one,) = studies(read_task(file.read_text(), file.name))
    found = study_of(one)
    (objective,) = found.objectives
    assert objective.score is not None
    assert [(p.metric, p.threshold, p.weight) for p in objective.score.penalties] == [
        ("e2e_p50", 2.0, 1.0),
        ("e2e_p90", 5.0, 2.0),
        ("e2e_p99", 10.0, 3.0),
        ("ttft_mean", 1.0, 2.0),
        ("tpot_mean", 0.05, 2.0),
    ]
    # Only those that fail an experiment are constraints, and from where on they do.
    assert [str(c) for c in found.constraints] == ["e2e_p90 <= 6,000 ms", "e2e_p99 <= 15,000 ms"]
    assert found.load.seconds == 600, "genai-bench counts minutes"


def test_names_and_abbreviations_are_the_engines_arguments():
    found = study(parameters={"tp_size": {"type": "choice", "values": [1]}, "--mem-frac": [0.8, 0.9]})
    assert found.name == "my-task-1"
    assert found.treatments == (
        {"tp_size": 1, "mem_fraction_static": 0.8},
        {"tp_size": 1, "mem_fraction_static": 0.9},
    )
    with pytest.raises(DocumentError, match="schedule may be schedule_policy or schedule_conservativeness"):
        study(parameters={"schedule": ["lpm"]})
    (one,) = imported(parameters={"from-the-future": [1]})
    assert any("passed on as it is" in note for note in one.notes)


def test_a_single_value_and_an_empty_list():
    assert study(parameters={"tp-size": 2, "schedule-policy": []}).treatments == ({"tp_size": 2},)


def test_strategies():
    parameters = {
        "mem-fraction-static": {"type": "continuous", "low": 0.7, "high": 0.9},
        "chunked-prefill-size": {"type": "integer", "low": 512, "high": 8192, "log": True},
        "schedule-policy": ["lpm", "fcfs"],
    }
    found = study(parameters=parameters, optimization={"strategy": "bayesian", "max_iterations": 30})
    assert found.sampler.name == "tpe"
    assert found.budget.trials == 30
    assert found.space is not None
    assert {name: one.type for name, one in found.space.parameters.items()} == {
        "schedule_policy": "categorical",
        "mem_fraction_static": "float",
        "chunked_prefill_size": "int",
    }
    assert (
        study(parameters=parameters, optimization={"strategy": "random", "max_iterations": 3}).sampler.name == "random"
    )
    with pytest.raises(DocumentError, match="a grid has no ranges"):
        study(parameters=parameters, optimization={"strategy": "grid_search"})


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        ("minimize_latency", "minimize e2e_mean"),
        ("maximize_throughput", "maximize total_throughput"),
        ("minimize_ttft", "minimize ttft_mean"),
        ("minimize_tpot", "minimize tpot_mean"),
    ],
)
def test_objectives(objective, expected):
    assert str(study(optimization={"objective": objective}).objectives[0]) == expected


def test_max_iterations_cuts_the_grid_as_there():
    found = study(parameters={"tp-size": [1, 2], "mem-fraction-static": [0.8, 0.9]}, optimization={"max_iterations": 3})
    assert len(found.treatments) == 3
    assert found.treatments[-1] == {"tp_size": 2, "mem_fraction_static": 0.8}


def test_every_preset_maps_to_arguments_that_the_engines_have_and_accept():
    for engine, known in parallelism().items():
        arguments = engine_arguments(engine)
        assert set(known.arguments.values()) <= set(arguments)
        for name, degrees in known.presets.items():
            found = spread(engine, degrees)
            assert found.get("moe_dense_tp_size", 1) == 1, f"{name}: SGLang takes 1 only"
            assert not [value for key, value in found.items() if arguments[key].fault(value)]
    for engine, fields in quantization().engines.items():
        arguments = engine_arguments(engine)
        for formats in fields.values():
            for settings in formats.values():
                assert not [(k, v) for k, v in settings.items() if k not in arguments or arguments[k].fault(v)]


@pytest.mark.parametrize(
    ("engine", "name", "expected"),
    [
        ("vllm", "dynamic-fp8", {"quantization": "fp8", "kv_cache_dtype": "fp8_e5m2"}),
        ("vllm", "bf16-stable", {"dtype": "bfloat16", "kv_cache_dtype": "fp8_e5m2"}),
        ("sglang", "kv-cache-fp8", {"kv_cache_dtype": "fp8_e5m2"}),
        (
            "sglang",
            "aggressive-moe",
            {
                "dtype": "bfloat16",
                "kv_cache_dtype": "fp8_e5m2",
                "attention_backend": "flashinfer",
                "quantization": "w4afp8",
            },
        ),
        ("trtllm", "kv-cache-fp8", {"kv_cache_dtype": "fp8"}),
        ("vllm", "default", {}),
    ],
)
def test_quantization_presets(engine, name, expected):
    formats = preset(name, quantization().presets)
    assert quantized(engine, {key: str(value) for key, value in formats.items()})[0] == expected


def test_several_presets_are_a_grid_and_ones_own_parameter_wins():
    found = study(quant_config={"presets": ["default", "kv-cache-fp8"]}, parameters={"tp-size": [1, 2]})
    assert found.treatments == (
        {"tp_size": 1},
        {"tp_size": 2},
        {"kv_cache_dtype": "fp8_e5m2", "tp_size": 1},
        {"kv_cache_dtype": "fp8_e5m2", "tp_size": 2},
    )
    own = study(quant_config={"preset": "kv-cache-fp8"}, parameters={"kv-cache-dtype": ["auto"]})
    assert own.treatments == ({"kv_cache_dtype": "auto"},)
    lists = study(quant_config={"kvcache_dtype": ["auto", "fp8_e4m3"]}, parameters={"tp-size": [1]})
    assert lists.treatments == ({"tp_size": 1}, {"kv_cache_dtype": "fp8_e4m3", "tp_size": 1})


def test_parallelism_of_each_engine():
    assert spread("vllm", {"tp": 4, "pp": 2, "dp": 2, "dcp": 1, "enable_expert_parallel": True}) == {
        "tensor_parallel_size": 4,
        "pipeline_parallel_size": 2,
        "data_parallel_size": 2,
        "enable_expert_parallel": True,
    }
    assert spread("sglang", {"tp": 4, "dp": 2, "moe_dense_tp": 1}) == {
        "tp_size": 4,
        "dp_size": 2,
        "moe_dense_tp_size": 1,
    }
    assert spread("trtllm", {"tp": 8, "cp": 2}) == {"tp_size": 8, "context_parallel_size": 2}


def test_what_an_engine_cannot_do_is_refused_early():
    with pytest.raises(DocumentError, match="tp must be a multiple of dp on sglang, and 4 is none of 3"):
        study(parallel_config={"tp": 4, "dp": 3})
    with pytest.raises(DocumentError, match="TensorRT-LLM has no data parallelism"):
        study(base_runtime="tensorrt_llm", parallel_config={"tp": 4, "dp": 2}, parameters={})
    with pytest.raises(DocumentError, match="SGLang has no context parallelism"):
        study(parallel_config={"dcp": 2})
    with pytest.raises(DocumentError, match="trtllm cannot do gemm_dtype: fp8"):
        study(base_runtime="trtllm", quant_config={"gemm_dtype": "fp8"}, parameters={})
    with pytest.raises(DocumentError, match="multiple of dp"):
        study(parameters={"tp-size": [1], "dp-size": [2]})
    with pytest.raises(DocumentError, match="kv-cache-fp8"):
        study(quant_config={"preset": "kv-cache-fp9"})


@pytest.mark.parametrize(
    ("name", "expected", "accelerators"),
    [
        ("high-throughput", {"dp_size": 8}, 8),
        ("moe-optimized", {"tp_size": 2, "dp_size": 8}, 16),
        ("balanced", {"tp_size": 2, "dp_size": 4}, 8),
    ],
)
def test_presets_of_sglang_are_copies_of_the_model(name, expected, accelerators):
    """Those of the predecessor, which asks tp % dp of degrees that a task sets itself alone."""
    found = study(parallel_config={"preset": name})
    (treatment,) = found.treatments
    assert treatment == {**expected, "mem_fraction_static": 0.8}
    assert parallel_size(found, treatment) == accelerators
    with pytest.raises(DocumentError, match="multiple of dp"):
        study(parallel_config={"preset": name, "dp": 3})
    with pytest.raises(DocumentError, match="multiple of dp"):
        study(parallel_config={"tp": treatment.get("tp_size", 1), "dp": treatment["dp_size"]})


def test_several_presets_of_parallelism():
    found = study(parallel_config={"presets": ["single-gpu", "balanced"]}, parameters={})
    assert found.treatments == ({}, {"tp_size": 2, "dp_size": 4})
    with pytest.raises(DocumentError, match="do not combine freely"):
        study(parallel_config={"presets": ["single-gpu", "balanced"]}, optimization={"strategy": "random"})
    with pytest.raises(DocumentError, match="'fast' is no preset"):
        study(parallel_config={"preset": "fast"})


def test_what_fits_of_a_grid_is_kept_and_the_rest_told():
    (one,) = imported(parallel_config={"tp": [1, 2], "dp": [1, 2]}, parameters={"mem-fraction-static": [0.85]})
    assert len(study_of(one).treatments) == 3
    assert "left out: tp must be a multiple of dp on sglang, and 1 is none of 2" in one.notes
    with pytest.raises(DocumentError, match="do not combine freely"):
        study(parallel_config={"tp": [1, 2], "dp": [1, 2]}, optimization={"strategy": "bayesian"})


def test_models_runtimes_and_images():
    local = study(model={"name": "llama-3-2-1b-instruct"}, benchmark={"model_tokenizer": "meta-llama/Llama-3.2-1B"})
    assert local.model.path == "/mnt/data/models/llama-3-2-1b-instruct"
    assert local.model.id == "meta-llama/Llama-3.2-1B"
    assert study(model={"id_or_path": "/srv/m"}).model.path == "/srv/m"
    tagged = study(runtime_image_tag="v0.5.2-cu126")
    assert tagged.engine.image == "lmsysorg/sglang:v0.5.2-cu126"
    assert study(base_runtime="vllm-llama-small", parameters={}).engine.name == "vllm"
    ome = study(deployment_mode="ome", model={"id_or_path": "llama"}, base_runtime="llama-rt")
    assert ome.platform.options["runtime"] == {"name": "llama-rt"}


@pytest.mark.parametrize(
    ("scenario", "prompt", "output"),
    [
        ("D(100,50)", (100, 0), (50, 0)),
        ("N(480,240)/(300,150)", (480, 240), (300, 150)),
        ("U(50,100)", (25.5, 0), (50.5, 0)),
    ],
)
def test_scenarios(scenario, prompt, output):
    found = study(benchmark={"traffic_scenarios": [scenario]}).workload
    assert (found.prompt.mean, found.prompt.stdev) == prompt
    assert (found.output.mean, found.output.stdev) == output


def test_several_scenarios_are_several_studies():
    made = imported(benchmark={"traffic_scenarios": ["D(100,100)", "U(10,20)/(30,40)"]})
    assert [study_of(one).name for one in made] == ["my-task-1-1", "my-task-1-2"]
    with pytest.raises(DocumentError, match="is no scenario"):
        workload("I(512,512)")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "has no task_name"),
        ('{"task_name": "x"}', "model: Field required"),
        (json.dumps(TASK | {"deployment_mode": "swarm"}), "deployment_mode"),
        (json.dumps(TASK | {"benchmark": {"task": "text-to-embeddings"}}), "benchmark.task"),
        (json.dumps(TASK | {"slo": {"latency": {"p90": {"threshold": 0}}}}), "slo.latency.p90.threshold"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text, said):
    with pytest.raises(DocumentError) as caught:
        read_task(text, "task.json")
    assert said in caught.value.message


def test_unknown_fields_are_told_not_refused():
    (one,) = imported(gpu_watts=3, benchmark={"colour": "red"})
    assert "not known here, and left out: gpu_watts, benchmark.colour" in one.notes
    assert study_text(one).startswith("# note: not known here")


def test_an_engine_that_is_not_installed_is_told_at_once(home, tmp_path):
    task = tmp_path / "task.json"
    task.write_text(json.dumps(TASK | {"base_runtime": "tensorrt-llm", "parameters": {"tp-size": [1, 2]}}))
    done = servelab("import", str(task))
    assert "servelab has no engine trtllm" in done.stderr
    assert "docs/plugins.md" in done.stderr
    assert "servelab plan" not in done.stdout, "it would be refused"
    refused = servelab("plan", "my-task-1.yaml", check=False)
    assert "there is no engine called 'trtllm'" in refused.stderr


def test_the_command_writes_a_study_that_can_be_planned(home, tmp_path):
    task = tmp_path / "task.json"
    task.write_text(json.dumps(TASK | {"optimization": {"max_iterations": 1}, "surprise": 1}))
    done = servelab("import", str(task))
    assert "wrote my-task-1.yaml" in done.stdout
    assert "left out: surprise" in done.stderr
    planned = servelab("plan", "my-task-1.yaml").stdout
    assert "python3 -m sglang.launch_server --model-path meta-llama/Llama-3.2-1B-Instruct" in planned
    assert "--mem-fraction-static 0.8" in planned
    again = servelab("import", str(task), check=False)
    assert again.returncode == 1
    assert "is there already" in again.stderr
    servelab("import", str(task), "--force")
