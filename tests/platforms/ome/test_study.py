"""Whole studies on a real cluster: real pods that run the simulated engine, real measurements through it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from servelab.catalog.study import load_study
from servelab.kube.cluster import Cluster
from servelab.kube.kinds import DEPLOYMENT, POD
from servelab.kube.labels import STUDY
from servelab.platforms.docker.platform import DockerPlatform
from servelab.platforms.ome.kinds import INFERENCE_SERVICE
from servelab.spec.study import Study
from servelab.store.store import Store
from tests.kubernetes import Kubernetes
from tests.lab.studies import servelab, start
from tests.platforms.docker.engine import HOST
from tests.platforms.docker.engines import played
from tests.platforms.ome.controller import controlled

STUDY_TEXT = """
name: places
model: smollm2-135m
engine: simulated
platform: process
workload: {prompt: 32, output: 8}
load: {concurrency: 2, requests: 12, warmup: 2}
space:
  parameters:
    max_num_seqs: [1, 8]
objectives: [maximize output_throughput]
sampler: {name: grid}
budget: {trials: 3, screening: 0, timeouts: {ready: 240s}, verification: {top: 0}}
"""


def study(platform: str = "ome", engine: str = "simulated") -> Study:
    """The study, which one word moves from this machine to a container or a cluster."""
    text = STUDY_TEXT.replace("engine: simulated", f"engine: {engine}")
    return load_study(text.replace("platform: process", f"platform: {platform}"))


async def run(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """The command line, beside the controller."""
    return await asyncio.to_thread(servelab, *arguments, timeout=600, check=check)


async def left(cluster: Cluster, study_id: str) -> list[str]:
    """What of a study is in the cluster."""
    found = []
    for kind in (INFERENCE_SERVICE, DEPLOYMENT, POD):
        found += [item["metadata"]["name"] for item in (await cluster.list(kind, labels={STUDY: study_id})).items]
    return found


async def nothing_left(cluster: Cluster, study_id: str) -> None:
    """Wait until nothing of a study is in the cluster: what a service owned goes in the background."""
    async with asyncio.timeout(200):
        while await left(cluster, study_id):
            await asyncio.sleep(0.2)


@pytest.mark.usefixtures("pods", "documented_rights")
@pytest.mark.timeout(900)
async def test_one_word_moves_a_study_to_a_container_and_to_a_cluster(
    api: Kubernetes, ome: Cluster, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Docker Engine is the played one; what runs in the container and in the pod is the same program as here."""
    monkeypatch.setenv("PATH", f"{sys.prefix}/bin:{os.environ['PATH']}")  # where the image has its python3
    here, boxed, there = (
        store.create_study(study(platform, f"{{name: simulated, image: '{HOST}'}}"))
        for platform in ("process", "docker", "ome")
    )
    await run("resume", here.id)
    with played(images=(HOST,)) as docker:
        monkeypatch.setenv("DOCKER_HOST", docker.host)
        await run("resume", boxed.id)
        assert DockerPlatform({}).leftovers([boxed.id]) == []
        assert len(docker.created()) == len(store.trials(boxed.id))
    async with controlled(api.kubeconfig(), ome.namespace) as controller:
        await run("resume", there.id)

    expected = store.trials(here.id, with_reports=True)
    for moved in (boxed, there):
        found = store.trials(moved.id, with_reports=True)
        assert [trial.state for trial in found] == ["complete"] * len(expected), [trial.failure for trial in found]
        assert [trial.parameters for trial in found] == [trial.parameters for trial in expected]
        for one, other in zip(expected, found, strict=True):
            (mine,), (its,) = one.reports, other.reports
            assert its.requests == mine.requests == 12
            assert its.errors == {}
            assert set(its.metrics) == set(mine.metrics)
    await nothing_left(ome, there.id)
    assert len(controller.made) == len(found)
    for service, trial in zip(controller.made, found, strict=True):
        arguments = service["spec"]["engine"]["runner"]["args"]
        for name, value in trial.parameters.items():
            assert arguments[arguments.index(f"--{name.replace('_', '-')}") + 1] == str(value)
    log = await run("logs", there.id, "--trial", "0")
    assert "[servelab] Scheduled (Pod" in log.stdout


@pytest.mark.usefixtures("pods", "documented_rights")
@pytest.mark.timeout(1500)
async def test_killed_at_any_stage_it_leaves_nothing_and_measures_nothing_twice(
    api: Kubernetes, ome: Cluster, store: Store, tmp_path: Path
) -> None:
    record = store.create_study(study("ome"))

    async def at(stage: str) -> None:
        """Run the study, and kill it when it is at a stage; it is halted while it is looked at, to still be there."""
        log = tmp_path / f"{stage}.log"
        process = start("resume", record.id, log=log)
        try:
            async with asyncio.timeout(300):
                while not await halted(process, stage):
                    assert process.poll() is None, f"ended before {stage}: {log.read_text()}"
                    await asyncio.sleep(0.05)
        finally:
            process.kill()
            process.wait()

    async def halted(process: subprocess.Popen[bytes], stage: str) -> bool:
        process.send_signal(signal.SIGSTOP)
        if await reached(stage):
            return True
        process.send_signal(signal.SIGCONT)
        return False

    async def reached(stage: str) -> bool:
        events = store.events(0, record.id)
        pods = (await ome.list(POD, labels={STUDY: record.id})).items
        services = (await ome.list(INFERENCE_SERVICE, labels={STUDY: record.id})).items
        if stage == "applied":
            return bool(services)
        if stage == "running":
            return bool(services) and any(pod["status"].get("phase") == "Running" for pod in pods)
        if stage == "measured":
            return any(event.kind == "measured" for event in events)
        return any(pod["metadata"].get("deletionTimestamp") for pod in pods)

    async with controlled(api.kubeconfig(), ome.namespace):
        await at("applied")
        await at("running")
        assert await left(ome, record.id) != []
        done = await run("cleanup")
        assert f"ended InferenceService {ome.namespace}/{record.id}-t0 of study {record.id}" in done.stdout
        await nothing_left(ome, record.id)
        await at("measured")
        await at("deleting")
        await run("resume", record.id)
    trials = store.trials(record.id, with_reports=True)
    assert [trial.state for trial in trials] == ["complete"] * len(trials), [trial.failure for trial in trials]
    measured = Counter(
        (event.trial, event.data["phase"], event.data["point"], event.data["repeat"])
        for event in store.events(0, record.id)
        if event.kind == "measured"
    )
    assert set(measured.values()) == {1}
    assert len(measured) == sum(len(trial.measurements) for trial in trials)
    await nothing_left(ome, record.id)
