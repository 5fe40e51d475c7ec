"""Estimations are studies: measured over HTTP on the simulated engine, resumed after kill -9, fitted from the store."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import pytest

from servelab.catalog.study import load_study
from servelab.engines.simulated.profile import profiles
from servelab.perf.parameters import read_parameters
from servelab.store.store import Store
from tests.lab.studies import servelab, start

SCALE = 20  # slow enough for a busy machine to keep up with
STUDY = f"""
name: known
model: {{id: m}}
engine: {{name: simulated, profile: h100-llama-3.1-8b, arguments: {{time_scale: {SCALE}, startup_seconds: 0}}}}
workload: {{prompt: 32, output: 12}}
load: {{estimate: {{high: 16, total: 120, most: 8}}, seconds: 2, warmup: 1}}
"""


def test_a_known_engine_is_estimated_over_http_and_after_kills(store: Store, tmp_path):
    record = store.create_study(load_study(STUDY))
    kills = 0
    while kills < 2:
        process = start("resume", record.id, log=tmp_path / "resume.log")
        before = len(measured(store, record.id))
        deadline = time.monotonic() + 120
        while len(measured(store, record.id)) <= before and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.2)
        if process.poll() is not None:
            break
        process.kill()
        process.wait()
        kills += 1
    assert kills == 2
    done = servelab("resume", record.id)
    assert "linear-batch" in done.stdout
    assert "simulated: no engine was measured" in done.stdout

    places = measured(store, record.id)
    assert set(Counter(places).values()) == {1}  # nothing was measured twice
    (trial,) = store.trials(record.id, with_reports=True)
    levels = [m.report.load.level for m in trial.measurements]
    assert levels[:2] == [1, 16]
    assert 5 <= len(levels) <= 8

    found = read_parameters(Path("servelab-results") / record.id / "parameters.json")
    assert found.provenance.simulated
    assert found.provenance.study == record.id
    assert found.fit("linear-batch").values["alpha"].value == pytest.approx(
        profiles()["h100-llama-3.1-8b"].base_s * SCALE, rel=0.03
    )
    trusted = [m.report.load.level for m in trial.measurements if not m.report.client_bound]
    assert found.fit("linear-batch").valid["batch"].low == pytest.approx(min(trusted), abs=0.05)
    assert (Path("servelab-results") / record.id / "estimate.svg").read_text().startswith("<?xml")

    again = json.loads(servelab("estimate", "--from-study", record.id, "--json").stdout)
    assert again["fits"] == json.loads(json.dumps(found.model_dump(mode="json")))["fits"]

    out = tmp_path / "traces"
    servelab("export", record.id, "-o", str(out), "--traces")
    assert len(list(out.glob("trace-0-*.csv"))) == len(list(out.glob("trace-0-*.yaml"))) == len(levels)


def measured(store: Store, study: str) -> list[tuple[str, int, int]]:
    return [
        (e.data["phase"], e.data["point"], e.data["repeat"]) for e in store.events(0, study) if e.kind == "measured"
    ]


def test_what_cannot_be_estimated_is_said(store: Store):
    record = store.create_study(load_study(STUDY))
    done = servelab("estimate", "--from-study", record.id, check=False)
    assert done.returncode == 3
    assert "no trial that was measured" in done.stderr
