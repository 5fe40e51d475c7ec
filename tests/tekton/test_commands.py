"""The commands of ``servelab tekton``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from servelab.tekton import shipped

TEMPLATE = """
apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: p}
spec:
  tasks:
  - loopName: l
    foreach: {domain: {x: {{ stack.xs }}}}
    tasks:
    - name: a-{{ x }}
      taskRef: {name: t}
  - name: last
    runAfter: [a-1]
    taskRef: {name: t}
"""


def servelab(*arguments, text=None, cwd):
    command = [sys.executable, "-m", "servelab", "tekton", *map(str, arguments)]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, cwd=cwd)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "t.j2").write_text(TEMPLATE)
    (tmp_path / "v.yaml").write_text("stack: {xs: [1, 2]}\n")
    return tmp_path


def test_compile_writes_the_pipeline_and_explains_it_apart(files):
    done = servelab("compile", "-t", "t.j2", "-f", "v.yaml", "--explain", cwd=files)
    assert done.returncode == 0, done.stderr
    assert [task["name"] for task in yaml.safe_load(done.stdout)["spec"]["tasks"]] == ["a-1", "a-2", "last"]
    assert "TASK NAME" in done.stderr
    written = servelab("compile", "-t", "t.j2", "-f", "v.yaml", "-o", "out.yaml", "--explain", "--dot", cwd=files)
    assert "TASK NAME" in written.stdout
    assert '"a-1" -> "last";' in written.stdout
    assert (files / "out.yaml").read_text() == done.stdout


def test_compile_takes_values_from_a_run_and_templates_from_standard_input(files):
    (files / "r.yaml").write_text("spec: {params: [{name: stack, value: {xs: [1]}}]}\n")
    done = servelab("compile", "-t", "-", "-f", "v.yaml", "-r", "r.yaml", text=TEMPLATE, cwd=files)
    assert [task["name"] for task in yaml.safe_load(done.stdout)["spec"]["tasks"]] == ["a-1", "last"]


def test_compile_refuses_what_tekton_would_and_can_be_told_not_to(files):
    (files / "v.yaml").write_text("stack: {xs: [2]}\n")
    done = servelab("compile", "-t", "t.j2", "-f", "v.yaml", "--explain", cwd=files)
    assert done.returncode == 2
    assert done.stdout == ""
    assert (
        "servelab: t.j2:12: Pipeline p: spec.tasks[1].runAfter[0]: there is no task `a-1` to run after" in done.stderr
    )
    assert "TASK NAME" in done.stderr
    assert servelab("compile", "-t", "t.j2", "-f", "v.yaml", "--no-validate", cwd=files).returncode == 0


def test_compile_resolves_tasks_where_they_are_known(files):
    (files / "tasks").mkdir()
    (files / "tasks/u.yaml").write_text(
        "{apiVersion: tekton.dev/v1, kind: Task, metadata: {name: u}, spec: {steps: []}}"
    )
    done = servelab("compile", "-t", "t.j2", "-f", "v.yaml", "--tasks", "tasks", cwd=files)
    assert done.returncode == 2
    assert "there is no Task `t`" in done.stderr
    assert "in loop `l` (x=2)" in done.stderr


def test_faults_are_sentences(files):
    (files / "t.j2").write_text("{% if %}")
    for arguments in (
        ("-t", "t.j2", "-f", "v.yaml"),
        ("-t", "t.j2", "-f", "none.yaml"),
        ("-t", "v.yaml", "-f", "v.yaml"),
    ):
        done = servelab("compile", *arguments, cwd=files)
        assert done.returncode == 2
        assert done.stderr.startswith("servelab: ")
        assert "Traceback" not in done.stderr


def test_override_prints_the_merged_values(files):
    done = servelab("override", "v.yaml", "stack.xs=[3]", 'new.list[name="a"].image=x:1', cwd=files)
    expected = {"stack": {"xs": [3]}, "new": {"list": [{"name": "a", "image": "x:1"}]}}
    assert yaml.safe_load(done.stdout) == expected
    assert servelab("override", "v.yaml", "stack", cwd=files).returncode == 2


def test_estimate_renders_its_files(tmp_path):
    done = servelab("estimate", "--render", "-n", "bench", "--set", "batch-size=32", "-o", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == list(shipped.names("estimation"))
    printed = servelab("estimate", "--render", cwd=tmp_path)
    kinds = [item["kind"] for item in yaml.safe_load_all(printed.stdout)]
    assert kinds.count("Pipeline") == kinds.count("PipelineRun") == kinds.count("Task") == 1
    wrong = servelab("estimate", "--render", "--set", "batch-size=32", "--set", "max-concurrency=64", cwd=tmp_path)
    assert wrong.returncode == 2


def test_manifests_are_printed(tmp_path):
    every = list(yaml.safe_load_all(servelab("manifests", "tasks", cwd=tmp_path).stdout))
    assert {item["kind"] for item in every} == {"Task"}
    assert len(every) == len(shipped.objects("tasks"))
    roles = [item["kind"] for item in yaml.safe_load_all(servelab("manifests", "roles", cwd=tmp_path).stdout)]
    assert roles == ["ServiceAccount", "Role", "RoleBinding"]
    assert servelab("manifests", "none", cwd=tmp_path).returncode == 3


def test_render_prints_pipeline_and_run(tmp_path):
    (tmp_path / "s.yaml").write_text(
        "name: s\nmodel: {id: Qwen/Qwen3-0.6B}\nengine: vllm\nworkload: chatbot\n"
        "load: {sweep: 4, requests: 9}\ntreatments: [{max_num_seqs: 8}]\n"
    )
    done = servelab("render", "s.yaml", "-n", "bench", cwd=tmp_path)
    assert [item["kind"] for item in yaml.safe_load_all(done.stdout)] == ["Pipeline", "PipelineRun"], done.stderr
    every = servelab("render", "s.yaml", "--definitions", cwd=tmp_path)
    assert len(list(yaml.safe_load_all(every.stdout))) == 2 + len(shipped.definitions())
