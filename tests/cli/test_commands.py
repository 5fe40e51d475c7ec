"""Every command as a person runs it."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from servelab.cli.main import COMMANDS
from servelab.store.store import open_store
from tests.lab.studies import servelab, small, start, text

pytestmark = pytest.mark.timeout(900)

EXAMPLES = sorted(Path(__file__).parents[2].glob("examples/*.yaml"))
SIMULATED = "{name: simulated, arguments: {max_model_len: 1024, time_scale: 0.05, startup_seconds: 0}}"


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(
        text(
            engine=SIMULATED,
            space="{parameters: {max_num_seqs: [1, 2, 4, 8]}}",
            baseline="{max_num_seqs: 2}",
            load="{concurrency: 4, requests: 24, warmup: 4}",
            budget="{trials: 3, screening: 0, verification: {top: 1, rounds: 3}}",
        )
    )
    return path


def test_a_study_is_not_removed_where_nobody_answers(home):
    study = open_store(str(home / "servelab.db")).create_study(small())
    assert "Nothing was removed" in servelab("delete", study.id, check=False).stdout
    assert study.id in servelab("status").stdout
    assert f"{study.id} is removed" in servelab("delete", study.id, "--yes").stdout
    assert study.id not in servelab("status").stdout


def fails(*arguments: str, code: int) -> str:
    done = servelab(*arguments, check=False)
    assert done.returncode == code, done.stderr
    return done.stderr


def test_a_study_from_its_document_to_its_recommendation(home, study_file):
    done = servelab("run", str(study_file), "-o", "out", "--json")
    found = json.loads(done.stdout)
    assert found["state"] == "complete"
    for name in ("report.html", "report.json", "trials.csv"):
        assert (Path("out") / name).stat().st_size > 100
    rows = list(csv.DictReader(Path("out/trials.csv").read_text().splitlines()))
    assert len(rows) == 3 + 6
    assert "small" in servelab("status").stdout
    overview = json.loads(servelab("status", "small", "--json").stdout)
    assert overview["counts"] == {"complete": 3}
    assert overview["verifications"] == {"complete": 6}
    assert "3 of 3 trials have ended, 6 of 6 to verify the best (100%)" in servelab("status", "small").stdout
    assert "finished" in servelab("status", "small", "-f").stdout
    assert "SIMULATED" in servelab("logs", "small").stdout
    assert "max-num-seqs" in servelab("recommend", "small").stdout
    told = servelab("recommend", "small", "--accelerator-hour-cost", "2.5")
    assert "2.50 an hour" in told.stderr
    assert "an hour" not in told.stdout
    assert "simulated" in servelab("report", "small").stdout.lower()
    assert "output_throughput" in servelab("compare", "small#0", "small#1").stdout
    exported = servelab("export", "small", "-o", "files").stdout.split()
    assert any("benchmark" in path or path.endswith(".json") for path in exported)
    assert "ended" in fails("pause", "small", code=1)


def test_every_command_has_help():
    for commands in COMMANDS.values():
        for name in commands:
            assert name in servelab(name, "--help").stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_valid_and_can_be_planned(home, path):
    servelab("validate", str(path))
    plan = json.loads(servelab("plan", str(path), "--json").stdout)
    assert plan["trials"] >= 1
    assert plan["first"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_schema_describes_full_studies(home, path):
    schema = json.loads(servelab("schema").stdout)
    full = json.loads(servelab("validate", str(path), "--json").stdout)["study"]
    jsonschema.validate(full, schema)


def test_knowledge_is_printed(home):
    assert "smollm2-135m" in servelab("models").stdout
    assert "chatsweep" in servelab("workloads").stdout
    assert "max_num_seqs" in servelab("engines", "vllm").stdout
    assert json.loads(servelab("engines", "--json").stdout)["llamacpp"]["title"]


def test_doctor_and_cleanup(home):
    found = json.loads(servelab("doctor", "--json", check=False).stdout)
    assert {"cores", "disk", "engine llamacpp", "store"} <= {row["check"] for row in found}
    assert "nothing was left running" in servelab("cleanup").stdout


def test_tuning_without_a_document(home):
    arguments = ["--model", "m", "--engine", "simulated", "--workload", "chatbot", "--concurrency", "2"]
    arguments += ["--requests", "12", "--trials", "2", "--parameter", "max_num_seqs", "--slo", "ttft_p95 <= 5s"]
    arguments += ["--processes", "2"]
    found = json.loads(servelab("tune", *arguments, "--json").stdout)
    assert found["state"] == "complete"
    assert "is not an argument" in fails("tune", "--model", "m", "--parameter", "max_num_sequences", code=2)


def test_bad_input_is_told_with_its_place(home, study_file, tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text(study_file.read_text().replace("budget:", "budgt:"))
    told = fails("run", str(broken), code=2)
    assert "broken.yaml:" in told
    assert "did you mean `budget`?" in told
    assert "cannot read" in fails("run", "no-such-file.yaml", code=2)
    assert "there are no studies" in fails("status", "x", code=3)
    assert "there is no engine called" in fails("validate", str(_replaced(study_file, "simulated", "vlm")), code=3)
    assert "not supported" in fails("status", "--store", "mysql://x/y", code=4)


def _replaced(path: Path, old: str, new: str) -> Path:
    target = path.with_name(f"{new}.yaml")
    target.write_text(path.read_text().replace(old, new))
    return target


def test_the_store_may_be_anywhere(home, study_file, tmp_path):
    other = tmp_path / "elsewhere" / "lab.db"
    servelab("run", str(study_file), "--store", str(other), "-o", "out")
    assert other.is_file()
    assert "small" in servelab("status", "--store", str(other)).stdout
    assert "no studies yet" in servelab("status").stdout


def test_a_pipe_that_closes_early_is_no_fault(home):
    command = f"{sys.executable} -m servelab engines vllm"
    reader = subprocess.Popen(["head", "-n", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    writer = subprocess.Popen(command.split(), stdout=reader.stdin, stderr=subprocess.PIPE)
    assert reader.stdin is not None
    reader.stdin.close()
    _, complaints = writer.communicate(timeout=240)
    reader.wait()
    assert b"Traceback" not in complaints


def test_pause_and_cancel_from_another_terminal(home, store, study_file, tmp_path):
    study_file.write_text(study_file.read_text().replace("requests: 24", "requests: 100000"))
    process = start("run", str(study_file), log=tmp_path / "log")
    while not any(e.kind == "claimed" for e in store.events(0)):
        assert process.poll() is None
        time.sleep(0.1)
    assert "pauses" in servelab("pause").stdout
    assert "cancelled" in servelab("cancel").stdout
    assert process.wait(240) == 8


def test_manifests_parse(home, study_file):
    servelab("run", str(_replaced(study_file, "nothing", "x")), "-o", "out", check=False)
    done = servelab("recommend", "--form", "kubernetes", check=False)
    if done.returncode == 0:
        list(YAML(typ="safe").load_all(done.stdout))
    else:
        assert "simulated" in done.stderr
