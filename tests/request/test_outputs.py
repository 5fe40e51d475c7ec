"""What a yes writes: a study that servelab itself accepts, and the files of the pipeline."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path

import pytest
from hypothesis import given as any_of
from hypothesis import settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from servelab.catalog.study import load_study
from servelab.catalog.written import document_text, study_text
from servelab.lab.plan import make_plan
from servelab.lab.validate import require_valid
from servelab.request.contract import contract
from servelab.request.dialog import heard
from servelab.request.feasible import doubts
from servelab.request.final import short_box
from servelab.request.kubeconfig import current_namespace
from servelab.request.lines import goal_lines
from servelab.request.numbers import Numbers
from servelab.request.said import Request, Understanding
from servelab.request.settle import Settled, settle
from servelab.request.state import State
from servelab.request.study import StudyError, make_study
from servelab.request.understand import understand
from servelab.request.workdir import (
    Pipeline,
    WorkDirectoryError,
    fresh_root,
    pipeline_beside,
    write_experiment,
    write_study,
)
from servelab.tekton.experiment import compile_experiment, read_directory, read_experiment
from tests.request.given import BLIS, DAY, LLAMA_7B, LLAMA_70B, blis_values, facts, needs_blis, settled

CORPUS = Path(__file__).with_name("corpus.yaml")


def study_of(**fields):
    """The study of a request, through its document, as ``servelab validate`` reads it."""
    text = study_text(make_study(settled(**fields), facts()))
    read = load_study(text)
    assert require_valid(read) is not None
    return read


def test_a_collection_has_the_tensor_parallelisms_as_treatments():
    study = study_of()
    assert study.name == "feb04-llama7b-chatsweep"
    assert study.treatments == ({"tensor_parallel_size": 2}, {"tensor_parallel_size": 4})
    assert study.engine.arguments == {"max_model_len": 4096, "max_num_batched_tokens": 2048, "max_num_seqs": 256}
    assert (study.load.sweep, study.load.requests) == (12, 50)
    assert (study.workload.longest, study.workload.prefix.tokens) == (996, 284)
    assert (study.engine.resources.accelerator, study.engine.resources.accelerators) == ("h100-80gb", 2)
    assert make_plan(study).trials == 2


def test_an_experiment_is_every_combination():
    study = study_of(
        intent="experiment",
        sweep={"--max-num-seqs": (64, 128, 256)},
        tensor_parallelism=(1, 2),
        profile={"concurrency": (1, 8)},
    )
    assert study.factors == {"max_num_seqs": (64, 128, 256), "tensor_parallel_size": (1, 2)}
    assert make_plan(study).trials == 6
    assert study.load.concurrency == (1, 8)
    assert "max_num_seqs" not in study.engine.arguments


def test_an_estimation_is_one_deployment_under_rising_concurrency():
    study = study_of(intent="estimate", tensor_parallelism=(2,))
    assert study.load.concurrency == (1, 2, 4, 8, 16, 32)
    assert (study.design, study.space) == ((), None)
    assert study.engine.arguments["tensor_parallel_size"] == 2
    assert make_plan(study).trials == 1
    said = study_of(intent="estimate", profile={"concurrency": (4, 16)})
    assert said.load.concurrency == (1, 4, 16)


def test_an_estimation_of_several_tensor_parallelisms_deploys_each():
    study = study_of(intent="estimate", tensor_parallelism=(1, 2))
    assert study.treatments == ({"tensor_parallel_size": 1}, {"tensor_parallel_size": 2})
    assert make_plan(study).trials == 2


def test_the_values_of_the_pipeline_do_not_bind_other_places():
    found = settled(platform="process", engine="llamacpp", model="HuggingFaceTB/SmolLM2-135M-Instruct", namespace=None)
    assert (found.tensor_parallelism, found.pipeline, found.complete) == ((1,), False, True)
    assert not doubts(found, facts())
    study = study_of(platform="process", engine="llamacpp", model="HuggingFaceTB/SmolLM2-135M-Instruct")
    assert (study.engine.arguments, study.design) == ({}, ())


def test_goals_and_levels_say_what_it_is_for():
    assert settled(objective="minimize ttft_p99").intent == "tune"
    assert settled(sweep={"--max-num-seqs": (1, 2)}).intent == "experiment"
    assert settled().intent == "collect"


def test_a_tuning_searches_what_the_catalog_calls_tunable():
    study = study_of(
        intent="tune",
        tensor_parallelism=(2,),
        max_num_seqs=128,
        objective="maximize output_throughput",
        constraints=["ttft_p95 <= 500ms"],
        budget={"trials": 30},
    )
    assert {"max_num_batched_tokens", "gpu_memory_utilization"} <= set(study.space.parameters)
    assert not {"max_num_seqs", "tensor_parallel_size"} & set(study.space.parameters)  # these were said
    assert study.engine.arguments == {"max_model_len": 4096, "tensor_parallel_size": 2, "max_num_seqs": 128}
    assert [str(goal) for goal in study.goals] == ["maximize output_throughput", "ttft_p95 <= 500 ms"]
    assert (study.budget.trials, study.load.concurrency, study.load.requests) == (30, (16,), 160)
    assert study.baseline["gpu_memory_utilization"]


def test_a_tuning_of_named_levels_searches_these():
    study = study_of(
        intent="tune", sweep={"--max-num-seqs": (64, 128)}, profile={"rates": (4,), "rate_type": "poisson"}
    )
    assert list(study.space.parameters) == ["max_num_seqs"]
    assert study.space.parameters["max_num_seqs"].values == (64, 128)
    assert (study.load.rate, study.load.arrival) == ((4,), "poisson")
    assert str(study.objectives[0]) == "maximize output_throughput"


@pytest.mark.parametrize("engine", ["vllm", "sglang", "llamacpp", "simulated"])
@pytest.mark.parametrize("intent", ["collect", "experiment", "estimate", "tune"])
def test_every_intent_makes_a_valid_study_of_every_engine(engine, intent):
    fields = {"engine": engine, "intent": intent, "platform": "process"}
    study = study_of(**fields, profile={"concurrency": (2,)})
    assert study.engine.name == engine
    assert study.platform.name == "process"


@pytest.mark.parametrize(
    ("said", "load"),
    [
        ({"rate_type": "synchronous"}, {"synchronous": True}),
        ({"rate_type": "throughput"}, {"throughput": True}),
        ({"rates": (5,), "rate_type": "constant"}, {"rate": (5,), "arrival": "constant"}),
        ({"rates": (1, 2)}, {"rate": (1, 2), "arrival": "constant"}),
        ({"rates": (2,), "rate_type": "sweep"}, {"sweep": 3}),
        ({"concurrency": (8,), "seconds": 30}, {"concurrency": (8,), "seconds": 30, "requests": None}),
        ({"max_requests": 9}, {"sweep": 12, "requests": 9}),
    ],
)
def test_loads(said, load):
    found = study_of(profile=said).load
    assert {name: getattr(found, name) for name in load} == load


def test_what_is_not_complete_makes_no_study():
    with pytest.raises(StudyError):
        make_study(settled(model=None), facts())


def test_the_work_directory_has_the_plan_s_files(tmp_path):
    found = settled(max_model_len=2048)
    directory = write_experiment(found, facts(), tmp_path / "root")
    assert directory == tmp_path / "root" / "feb04-llama7b-chatsweep"
    assert sorted(path.name for path in directory.iterdir()) == [
        "pipeline.yaml.j2",
        "pipelinerun.yaml",
        "state.json",
        "study.yaml",
        "values.yaml",
    ]
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert YAML(typ="safe").load(directory / "values.yaml")["stack"]["MAX_MODEL_LEN"] == 2048
    state = json.loads((directory / "state.json").read_text())
    assert (state["experiment"], state["state"]) == ("feb04-llama7b-chatsweep", "written")
    assert [change["parameter"] for change in state["changes"]] == ["max_model_len"]
    assert load_study((directory / "study.yaml").read_text()).name == "feb04-llama7b-chatsweep"
    assert [path.name for path in directory.parent.iterdir()] == [directory.name]  # no leftovers of the writing


@needs_blis
def test_a_match_copies_the_values_as_they_are_and_keeps_the_person_s_own_run(tmp_path):
    values = blis_values()
    base = (BLIS / "pipelinerun.yaml").read_text()
    directory = write_experiment(settled(values), facts(values), tmp_path, Pipeline(run=base))
    assert (directory / "values.yaml").read_text() == values.text
    run = YAML(typ="safe").load(directory / "pipelinerun.yaml")
    assert run["spec"]["timeouts"] == {"pipeline": "6h", "tasks": "5h30m"}
    assert run["metadata"]["name"] == "feb04-llama7b-chatsweep"


SENTENCES = (
    "chatbot with llama2-7b in namespace mert",
    "only tp=4, codesweep with llama2-13b, ns mert, max-model-len 8192, max-num-seqs 64",
    "llama2-70b doc, tp 4 and 8, ns mert, image ghcr.io/ibm/vllm-journey:v0.8.0 --journey-tracing-sample-rate 1.0",
    "custom workload prompt=500 output=100 stdev prompt=100, llama2-7b, ns mert, --trust-remote-code, 5 rps",
)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_the_work_directory_compiles_to_a_pipeline(sentence, tmp_path):
    found = settle(understand(sentence), facts())
    assert_compiles(write_experiment(found, facts(), tmp_path), found)


@needs_blis
@pytest.mark.parametrize("sentence", SENTENCES)
def test_with_a_pipeline_of_one_s_own_it_is_that_one(sentence, tmp_path):
    values = blis_values()
    found = settle(understand(sentence), facts(values))
    directory = write_experiment(found, facts(values), tmp_path, pipeline_beside(BLIS / "values.yaml"))
    assert (directory / "pipeline.yaml.j2").read_bytes() == (BLIS / "data_pipeline.yaml.j2").read_bytes()
    assert_compiles(directory, found)


def assert_compiles(directory: Path, found: Settled) -> None:
    """As ``servelab tekton submit`` does, without a cluster: a task that deploys for every tensor parallelism."""
    compiled = compile_experiment(read_experiment(read_directory(directory), str(directory)))
    assert compiled.run["metadata"]["name"] == found.experiment_id
    params = {one["name"]: one["value"] for one in compiled.run["spec"]["params"]}
    assert (params["model"], params["namespace"]) == (found.model, found.namespace)
    tasks = {task["name"] for task in compiled.pipeline["spec"]["tasks"]}
    sizes = next(change.new for change in found.changes if change.parameter == "tensor_parallelism")
    deploys = {name for name in tasks if re.fullmatch(r"deploy(-model)?-\d+", name)}
    assert {int(name.rpartition("-")[2]) for name in deploys} == set(sizes)
    text = json.dumps(compiled.pipeline)
    for value in (found.images.main, str(found.limits["max_model_len"]), *(flag for flag in found.engine_args)):
        assert value in text


def test_an_intent_that_the_pipeline_does_not_know_has_a_study_only(tmp_path):
    directory = write_experiment(settled(intent="tune"), facts(), tmp_path)
    assert sorted(path.name for path in directory.iterdir()) == ["state.json", "study.yaml"]


def test_nothing_is_written_over(tmp_path):
    first = write_experiment(settled(), facts(), tmp_path)
    before = {path.name: path.read_bytes() for path in first.iterdir()}
    with pytest.raises(WorkDirectoryError, match="-v2"):
        write_experiment(settled(), facts(), tmp_path)
    assert {path.name: path.read_bytes() for path in first.iterdir()} == before
    (tmp_path / "feb05").symlink_to(tmp_path)
    with pytest.raises(WorkDirectoryError):
        write_experiment(settled(experiment_id="feb05"), facts(), tmp_path)
    out = tmp_path / "study.yaml"
    write_study(settled(), facts(), out)
    with pytest.raises(WorkDirectoryError):
        write_study(settled(), facts(), out)


def test_an_empty_directory_is_taken(tmp_path):
    (tmp_path / "mine").mkdir()
    assert (write_experiment(settled(experiment_id="mine"), facts(), tmp_path) / "study.yaml").is_file()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_root_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(WorkDirectoryError, match="--root"):
        write_experiment(settled(), facts(), tmp_path / "root")


def test_a_root_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(WorkDirectoryError, match="--root"):
        write_experiment(settled(), facts(), tmp_path / "file")


def test_the_usual_root_is_fresh_and_private(tmp_path, monkeypatch):
    monkeypatch.setenv("SERVELAB_HOME", str(tmp_path))
    first, second = fresh_root(DAY), fresh_root(DAY)
    assert first != second
    for root in (first, second):
        assert root.is_relative_to(tmp_path)
        assert stat.S_IMODE(root.stat().st_mode) == 0o700


def test_the_namespace_of_the_current_context(tmp_path, monkeypatch):
    config = tmp_path / "config"
    monkeypatch.setenv("KUBECONFIG", str(config))
    assert current_namespace() is None
    contexts = "contexts: [{name: a, context: {namespace: mert}}, {name: b, context: {cluster: x}}]\n"
    config.write_text(f"current-context: a\n{contexts}")
    assert current_namespace() == "mert"
    config.write_text(f"current-context: b\n{contexts}")
    assert current_namespace() is None
    config.write_text("{broken")
    assert current_namespace() is None
    config.write_text("current-context: a\ncontexts: 3\n")
    assert current_namespace() is None


def test_the_namespace_of_the_context_is_a_default():
    asked = Understanding(request=Request(model=LLAMA_7B))
    assert [question.parameter for question in settle(asked, facts()).questions] == ["namespace"]
    known = settle(asked, facts(namespace="mert"))
    assert (known.namespace, known.complete) == ("mert", True)


lengths = st.fixed_dictionaries(
    {}, optional={"mean": st.floats(1, 1e5), "stdev": st.floats(0, 1e4), "min": st.integers(1, 50)}
)


@settings(max_examples=60)
@any_of(lengths, lengths, st.sampled_from(["custom", "chatsweep", "doc"]), st.sampled_from(["collect", "tune"]))
def test_whatever_is_said_of_a_workload_makes_a_study_or_a_question(prompt, output, workload, intent):
    found = settled(model=LLAMA_70B, workload=workload, intent=intent, profile={"prompt": prompt, "output": output})
    if found.complete:
        assert isinstance(found.numbers, Numbers)
        make_study(found, facts())
    else:
        assert {question.parameter for question in found.questions} <= set(Numbers.model_fields)


def answer(**fields):
    """The contract of a request, through JSON."""
    asked = Understanding(request=Request.model_validate(fields), leftover=("a word",))
    return json.loads(json.dumps(contract(settle(asked, facts()), facts(), asked), allow_nan=False))


def test_the_contract_of_a_complete_request():
    found = answer(
        model=LLAMA_7B,
        namespace="mert",
        intent="tune",
        objective="maximize output_throughput",
        constraints=["ttft_p95 <= 500ms", "goodput >= 2"],
        budget={"trials": 30},
        engine_args={"--enforce-eager": True},
        profile={"concurrency": (1, 8)},
    )
    assert found["constraints"] == [
        {"metric": "ttft_p95", "op": "<=", "value": 0.5, "unit": "s"},
        {"metric": "goodput", "op": ">=", "value": 2, "unit": "req/s"},
    ]
    assert found["objective"] == {"metric": "output_throughput", "direction": "maximize"}
    assert found["budget"] == {"trials": 30}
    assert found["engine_args"] == {"--enforce-eager": True}
    assert (found["workload_profile"]["rate"], found["workload_profile"]["rate_type"]) == ([1, 8], "concurrent")
    assert (found["missing"], found["ambiguous"]) == ([], [])
    assert load_study(document_text(found["study"])).name == "feb04-llama7b-chatsweep"
    assert "nothing was made of 'a word'" in found["warnings"]


def test_the_contract_of_nearly_nothing():
    found = answer(workload="custom", profile={"prompt": {"mean": 5}})
    assert found["missing"] == ["model", "output_tokens", "namespace"]
    assert found["study"] is None
    assert found["experiment_id"] is None
    assert (found["workload_profile"]["prompt_tokens"], found["workload_profile"]["output_tokens"]) == (5, None)


def test_doubts_are_warnings_of_the_contract():
    found = answer(model=LLAMA_70B, namespace="mert", tensor_parallelism=(4,), workload="doc")
    assert any("14000 tokens" in warning for warning in found["warnings"])
    assert found["study"] is not None


@pytest.mark.skipif(not CORPUS.is_file(), reason=f"no {CORPUS.name}")
def test_every_complete_request_of_the_corpus_makes_a_valid_study_or_a_doubt_says_why_not():
    known = facts(namespace="mert")
    for one in YAML(typ="safe").load(CORPUS):
        found = heard(State(facts=known), one["ask"], understand).settled
        if not found.complete or doubts(found, known):
            continue
        text = study_text(make_study(found, known))
        require_valid(load_study(text))


@pytest.mark.parametrize(
    ("budget", "shown"),
    [
        ({"wall_time": 3600.0}, "at most 6 trials, at most 60 minutes"),
        ({"trials": 4, "repeats": 3}, "at most 4 trials, each level measured 3 times"),
    ],
)
def test_the_last_box_has_the_trials_that_will_run(budget, shown):
    said = Request.model_validate({"model": LLAMA_7B, "intent": "experiment", "budget": budget}).model_copy(
        update={"sweep": {"--max-num-seqs": (64, 128, 256), "--block-size": (16, 32)}}
    )
    kept = Request.model_validate_json(said.model_dump_json())  # as between a page and its server
    decided = settle(Understanding(request=kept), facts())
    study = make_study(decided, facts())
    (line,) = [line for line in goal_lines(decided, study) if line.label == "Budget"]
    assert line.value == shown
    assert f"at most {make_plan(study).trials} trials" in shown


def test_a_values_file_that_stays_as_it_is_runs_all_of_its_sizes():
    decided = settled(tensor_parallelism=(4,))
    assert not decided.changed
    study = make_study(decided, facts())
    assert study.treatments == ({"tensor_parallel_size": 2}, {"tensor_parallel_size": 4})
    (line,) = [line for section in short_box(decided).sections for line in section.lines if line.label == "TP"]
    assert (line.value, line.note) == ("[2, 4]", "4 asked for")
    only = make_study(settled(tensor_parallelism=(4,), only=True), facts())
    assert only.treatments == ({"tensor_parallel_size": 4},)
