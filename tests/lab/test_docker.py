"""A whole study in containers. The Docker Engine is played (see tests/platforms/docker/engine.py), or real.

What runs in the containers is llama.cpp, really, so that the measurements are real.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from servelab.platforms.docker.platform import DockerPlatform
from servelab.spec.study import Study
from servelab.store.store import Store
from tests.lab.studies import let_run, servelab, small, start
from tests.platforms.docker.engine import LLAMA
from tests.platforms.docker.engines import Engine, played, real

KILLS = 12


@pytest.fixture(scope="module", params=["played", "real"])
def docker(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A Docker Engine; the played one has to pull the image first."""
    if request.param == "played":
        with played(images=()) as engine:
            yield engine
        return
    engine = real()
    if engine is None:
        pytest.skip("no Docker Engine runs here: set DOCKER_HOST=unix://...")
    yield engine


def study(docker: Engine, tmp_path, trials: int = 2) -> Study:
    options = json.dumps({"host": docker.host, "cache": str(tmp_path / "cache")})
    return small(
        platform=f"{{name: docker, options: {options}}}",
        budget=f"{{trials: {trials}, screening: 0, verification: {{top: 0}}}}",
    )


def test_the_same_study_runs_in_containers_by_one_word(store: Store, docker: Engine, tmp_path):
    record = store.create_study(study(docker, tmp_path))
    done = servelab("resume", record.id)
    trials = store.trials(record.id, with_reports=True)
    assert [t.state for t in trials] == ["complete", "complete"], [t.failure for t in trials]
    assert all(t.reports[0].metrics["output_throughput"] > 0 for t in trials)
    here = store.create_study(small(budget="{trials: 2, screening: 0, verification: {top: 0}}"))
    servelab("resume", here.id)
    beside = store.trials(here.id, with_reports=True)
    assert [t.parameters for t in trials] == [t.parameters for t in beside]
    assert [set(t.reports[0].metrics) for t in trials] == [set(t.reports[0].metrics) for t in beside]
    assert trials[0].command[0] == "/app/llama-server"
    assert trials[0].reports[0].provenance.engine == "llamacpp"
    assert servelab("logs", record.id).stdout.strip(), "the container's log is the trial's"
    advice = servelab("recommend", record.id, "--form", "docker").stdout
    assert LLAMA in advice
    assert "without this container" not in advice
    assert "exec llama-server" in servelab("recommend", record.id, "--form", "command").stdout
    if docker.record:
        assert f"pulling {LLAMA}" in done.stderr
        made = docker.created()[0]
        assert made["HostConfig"]["Mounts"][0]["ReadOnly"] is True
        (binding,) = made["HostConfig"]["PortBindings"].values()
        assert binding[0]["HostIp"] == "127.0.0.1"
    assert DockerPlatform({"host": docker.host}).leftovers([record.id]) == []


@pytest.mark.timeout(1800)
def test_a_study_killed_at_any_stage_leaves_nothing_and_measures_nothing_twice(store: Store, docker, tmp_path):
    killed = store.create_study(study(docker, tmp_path, trials=8))
    rng = random.Random(4)
    kills = 0
    while store.study_state(killed.id) not in ("complete", "failed"):
        process = start("resume", killed.id, log=tmp_path / "resume.log")
        if kills < KILLS:
            # Anywhere: while the image is pulled, the container is created, the engine starts, the load runs.
            let_run(store, killed.id, rng.uniform(0.5, 4.5))
        if kills < KILLS and process.poll() is None:
            process.kill()
            kills += 1
        process.wait()
    servelab("resume", killed.id)
    trials = store.trials(killed.id, with_reports=True)
    assert len(trials) == 8
    assert all(t.state == "complete" for t in trials), [t.failure for t in trials if t.failure]
    measured = Counter(
        (e.trial, e.data["phase"], e.data["point"], e.data["repeat"])
        for e in store.events(0, killed.id)
        if e.kind == "measured"
    )
    assert set(measured.values()) == {1}
    assert len(measured) == 8
    assert DockerPlatform({"host": docker.host}).leftovers([killed.id]) == []
    assert kills >= 6, f"only {kills} kills found it at work"


def test_cleanup_removes_the_container_of_a_killed_study(store: Store, docker: Engine, tmp_path):
    endless = study(docker, tmp_path).model_dump()
    endless["load"]["requests"] = 100000
    record = store.create_study(Study.model_validate(endless))
    process = start("resume", record.id, log=tmp_path / "run.log")
    deadline = time.monotonic() + 120
    while not list(tmp_path.rglob("full-0-0")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.kill()
    process.wait()
    assert len(DockerPlatform({"host": docker.host}).leftovers([record.id])) == 1
    assert f"of study {record.id}" in servelab("cleanup").stdout
    assert DockerPlatform({"host": docker.host}).leftovers([record.id]) == []
    assert "nothing was left running" in servelab("cleanup").stdout
