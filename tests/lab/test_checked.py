"""What is told of a document before anything starts: faults at their places, the plan, and what this machine lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelab.catalog.study import load_study
from servelab.catalog.written import study_text
from servelab.lab.doctor import examine_for, examine_place
from servelab.lab.pace import known_pace
from servelab.lab.plan import make_plan
from servelab.lab.quickstart import quickstart_study
from servelab.lab.validate import check_document
from servelab.store.store import Store

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
GOOD = study_text(quickstart_study())


@pytest.mark.parametrize(
    ("old", "new", "path", "said"),
    [
        ("prompt: {mean: 64,", "prompt: {mean: many,", ("workload", "prompt", "mean"), "valid number"),
        ("itl_p50 <= 300ms", "itl_p50 <= soon", ("constraints", 0), "is not a constraint"),
        ("minimize ttft_p50", "minimize ttft_p51", ("objectives", 0, "metric"), "unknown metric"),
        ("  requests: 20", "  requests: 0", ("load", "requests"), "greater than 0"),
        ("name: quickstart", "name: Quick Start", ("name",), "is not a valid name"),
        ("batch_size: [64, 512", "batch_sizes: [64, 512", ("space", "parameters", "batch_sizes"), "did you mean"),
        ("name: llamacpp", "name: llamacp", ("engine",), "Did you mean llamacpp"),
        ("budget:", "platform: {name: process, options: {cpu: 1}}\nbudget:", ("platform", "options", "cpu"), "cpus"),
        ("budget:", "sampler: tpee\nbudget:", ("sampler",), "Did you mean tpe"),
        ("budget:", "budgets:", ("budgets",), "did you mean `budget`"),
    ],
)
def test_a_fault_is_told_at_its_place(old, new, path, said):
    assert old in GOOD
    found = check_document(GOOD.replace(old, new, 1))
    assert found.study is None
    fault = next(fault for fault in found.faults if said in fault.message)
    # The metric of a short objective has no place of its own in the document.
    assert fault.path == path[: len(fault.path)]
    assert fault.path[:2] == path[:2]


def test_text_that_is_no_yaml_has_line_and_column():
    (fault,) = check_document("name: x\nload: [1, 2\nmodel: y\n").faults
    assert (fault.line, fault.path) == (3, ())
    assert str(fault).startswith("study.yaml:3:")


def test_a_good_document_has_no_faults_and_its_warnings():
    found = check_document(GOOD.replace("itl_p50", "itl_p99"))
    assert found.study is not None
    assert found.faults == ()
    assert any("p99" in warning for warning in found.warnings)


def test_the_plan_shows_what_a_cluster_would_get():
    study = load_study((EXAMPLES / "tune-sglang-ome.yaml").read_text())
    first = make_plan(study).first[0]
    assert first.manifest is not None
    assert first.manifest["kind"] == "InferenceService"
    runner = first.manifest["spec"]["engine"]["runner"]
    assert (*runner["command"], *runner["args"]) == first.command
    assert make_plan(quickstart_study()).first[0].manifest is None


def test_what_a_study_needs_of_this_machine(home):
    good = {finding.check: finding for finding in examine_for(quickstart_study())}
    assert good["engine llamacpp"].verdict == "ok"
    assert good["model"].verdict == "ok"
    assert [finding.verdict for finding in examine_place(quickstart_study())] == ["ok"]
    far = load_study((EXAMPLES / "tune-sglang-ome.yaml").read_text())
    assert [finding.check for finding in examine_for(far)] == ["disk"]


def test_what_this_machine_lacks_is_a_problem(home, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    text = "{name: x, model: m, engine: {name: vllm, executable: nosuchprogram, resources: {accelerators: 2}},"
    study = load_study(text + "workload: {prompt: 8, output: 8}, load: {concurrency: 1, requests: 4}}")
    found = {finding.check: finding for finding in examine_for(study)}
    assert {found["accelerators"].verdict, found["engine vllm"].verdict} == {"problem"}
    assert "2" in found["accelerators"].text
    assert "nosuchprogram" in found["engine vllm"].text


def test_the_version_that_a_study_states_is_not_taken_for_an_installed_engine(home):
    text = "{name: x, model: m, engine: {name: sglang, version: 9.9.9}, "
    study = load_study(text + "workload: {prompt: 8, output: 8}, load: {concurrency: 1, requests: 4}}")
    found = {finding.check: finding for finding in examine_for(study)}
    assert "9.9.9" not in found["engine sglang"].text


def test_a_study_that_is_deleted_meanwhile_tells_no_time(home):
    class Late(Store):
        def list_studies(self):
            return listed

    store = Late(str(home.parent / "store.db"))
    gone = store.create_study(quickstart_study())
    listed = Store.list_studies(store)
    store.delete_study(gone.id)
    assert listed
    assert known_pace(store, quickstart_study(), make_plan(quickstart_study())) is None
