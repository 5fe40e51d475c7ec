"""Report files: complete, atomic, guarded; and errors said plainly. All data are generated."""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
import subprocess
import sys

import pytest
from ruamel.yaml import YAML

from servelab.report.digest import digest
from servelab.report.exports import export_study, trials_csv
from servelab.report.write import write_report
from servelab.spec.errors import ServelabError

SMALL_DISK = """
import pickle, sys
from pathlib import Path
from servelab.report.write import write_report
from servelab.spec.errors import ServelabError
record, trials = pickle.loads(Path(sys.argv[1]).read_bytes())
try:
    write_report(record, trials, Path(sys.argv[2]))
except ServelabError as error:
    print(error)
    sys.exit(error.exit_code)
"""


def test_all_files(tuned, tmp_path):
    paths = write_report(tuned.record(), tuned.trials, tmp_path / "new" / "place")
    names = [str(path.relative_to(tmp_path / "new" / "place")) for path in paths]
    assert names == [
        "report.html",
        "report.json",
        "trials.csv",
        "recommendation/command.sh",
        "recommendation/docker-run.sh",
        "recommendation/compose.yaml",
        "recommendation/kubernetes.yaml",
        "recommendation/inference-service.yaml",
        "recommendation/modelservice-values.yaml",
        "recommendation/serve.env",
    ]
    assert os.access(paths[3], os.X_OK)
    assert not os.access(paths[0], os.X_OK)
    again = {path: path.read_bytes() for path in write_report(tuned.record(), tuned.trials, tmp_path / "new" / "place")}
    assert again == {path: path.read_bytes() for path in paths}
    left = {path for path in (tmp_path / "new").rglob("*") if path.is_file()}
    assert left == set(paths), "temporary files were left"


def test_json_holds_everything(tuned, tmp_path):
    data = json.loads(write_report(tuned.record(), tuned.trials, tmp_path)[1].read_text())
    assert data["verdict"]["kind"] == "winner"
    assert data["verdict"]["gain"]["low"] > 0
    assert len(data["trials_data"]) == len(tuned.trials)
    assert data["record"]["study"]["name"] == "chat-on-vllm"
    assert data["recommendation"]["trial"] == data["verdict"]["trial"]
    assert data["trials_data"][0]["measurements"][0]["report"]["metrics"]["ttft_p95"] == pytest.approx(0.36, rel=0.2)


def test_csv_has_a_row_per_trial(tuned):
    rows = list(csv.DictReader(io.StringIO(trials_csv(digest(tuned.record(), tuned.trials)))))
    assert [int(row["trial"]) for row in rows] == list(range(len(tuned.trials)))
    expected = tuned.trials[1].reports[0].metrics["output_throughput"]
    assert float(rows[1]["output_throughput"]) == pytest.approx(expected)
    assert rows[0]["param_max_num_seqs"] == ""
    assert rows[1]["param_enable_prefix_caching"] in ("true", "false")
    assert {row["state"] for row in rows} <= {"complete", "failed", "stopped"}


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1|cmd", "@SUM(A1)", "\t=1", "\r=1"])
def test_csv_holds_no_formula(generated, document, formula):
    made = generated(document=document(space={"parameters": {"mode": [formula, "b"]}}))
    made.add({"mode": formula}, 1000, state="stopped", note=formula)
    (row,) = csv.DictReader(io.StringIO(trials_csv(digest(made.record(), made.trials)), newline=""))
    assert row["param_mode"] == row["note"] == f"'{formula.strip()}"


def test_csv_keeps_negative_numbers(generated, document):
    made = generated(document=document(space={"parameters": {"offset": {"low": -5, "high": 5}}}))
    made.add({"offset": -3}, 1000)
    (row,) = csv.DictReader(io.StringIO(trials_csv(digest(made.record(), made.trials))))
    assert row["param_offset"] == "-3"


def test_export_has_a_standard_report_per_measurement(tuned, tmp_path):
    paths = export_study(tuned.record(), tuned.trials, tmp_path)
    reports = [path for path in paths if path.parent.name == "benchmark-reports"]
    assert len(reports) == sum(len(trial.measurements) for trial in tuned.trials)
    assert YAML(typ="safe").load(reports[0])["version"] == "0.2.1"


def test_directory_that_is_a_file(tuned, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(ServelabError, match=r"cannot write .*out") as raised:
        write_report(tuned.record(), tuned.trials, tmp_path / "out")
    assert "--output" in raised.value.remedy


@pytest.mark.parametrize(("options", "reason"), [("size=24k", "No space left"), ("size=24k,ro", "Read-only")])
def test_full_disk_and_read_only_disk(tuned, tmp_path, options, reason):
    """On a real file system of 24 KB, mounted in a namespace of its own."""
    disk, data = tmp_path / "disk", tmp_path / "study.pickle"
    disk.mkdir()
    data.write_bytes(pickle.dumps((tuned.record(), tuned.trials)))
    inside = 'mount -t tmpfs -o "$1" none "$2" && "$3" -c "$4" "$5" "$2"; code=$?; ls -A "$2"; exit $code'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", inside, "sh", options, str(disk)]
    command += [sys.executable, SMALL_DISK, str(data)]
    if subprocess.run([*command[:4], "true"], capture_output=True, check=False).returncode:
        pytest.skip("this kernel gives no user namespaces")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    message, remedy, *left = done.stdout.splitlines()
    assert message.startswith("cannot write")
    assert reason in message
    assert "another directory" in remedy
    assert left == [], "half a file was left"
