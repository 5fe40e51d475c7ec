"""Measurements by BenchmarkJob on a real cluster: a Job beside the engine, its results on a claim, read by a pod."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from servelab.catalog.study import load_study
from servelab.harnesses.benchmark_job.manifest import BENCHMARK_JOB
from servelab.kube.cluster import Cluster
from servelab.kube.ensure import ensure
from servelab.kube.kinds import POD, Manifest
from servelab.kube.labels import STUDY
from servelab.store.store import Store
from tests.kubernetes import Kubernetes, Scripted
from tests.platforms.ome.controller import JOB, controlled
from tests.platforms.ome.lab import IMAGE, ROOT, host
from tests.platforms.ome.test_study import nothing_left, run
from tests.tekton.volume import VOLUME, load_tools

STUDY_TEXT = """
name: inside
model: smollm2-135m
engine: simulated
platform: {name: ome, options: {reach: pod}}
harness:
  name: benchmark-job
  options: {output: "pvc://servelab-results/benchmarks", reader_image: "lab.local/tools:1"}
workload: {prompt: 32, output: 8, api: chat}
load: {concurrency: 2, requests: 12}
treatments: [{max_num_seqs: 4}]
budget: {screening: 0, timeouts: {ready: 240s, measure: 300s}, verification: {top: 0}, retries: 0}
"""


async def measuring(cluster: Cluster, benchmark: Manifest) -> Manifest:
    """The pod of a benchmark's Job: this machine's Python, the claim where the benchmark says."""
    spec = benchmark["spec"]
    service = spec["endpoint"]["inferenceService"]["name"]
    (pod,) = (await cluster.list(POD, labels={"ome.io/inferenceservice": service})).items
    claim, _, path = spec["outputLocation"]["storageUri"].removeprefix("pvc://").partition("/")
    volumes, mounts = host()
    result = {"name": "results", "mountPath": f"/{path}", "subPath": path}
    arguments = [
        f"http://{pod['status']['podIP']}:8080",
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        str(spec["numConcurrency"][0]),
        str(spec["maxRequestsPerIteration"]),
        spec["trafficScenarios"][0],
        f"/{path}/{spec['resultFolderName']}",
    ]
    container = {
        "name": benchmark["metadata"]["name"],
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": [sys.executable, "-m", "tests.platforms.ome.load", *arguments],
        "workingDir": str(ROOT),
        "volumeMounts": [*mounts, result],
    }
    volumes.append({"name": "results", "persistentVolumeClaim": {"claimName": claim}})
    return {"containers": [container], "volumes": volumes}


async def failing(cluster: Cluster, benchmark: Manifest) -> Manifest:
    """A benchmark that crashes at once, as genai-bench images were met to do."""
    del cluster
    words = ["sh", "-c", "echo \"Error: Invalid value for '--api-key'\"; exit 1"]
    name = benchmark["metadata"]["name"]
    return {"containers": [{"name": name, "image": "lab.local/bb:1", "imagePullPolicy": "Never", "command": words}]}


async def missing(cluster: Cluster, benchmark: Manifest) -> Manifest:
    """A benchmark whose image cannot be had."""
    del cluster
    name = benchmark["metadata"]["name"]
    return {"containers": [{"name": name, "image": "lab.local/none:1", "imagePullPolicy": "Never"}]}


@pytest.mark.usefixtures("pods", "documented_rights")
@pytest.mark.timeout(900)
async def test_a_benchmark_job_measures_and_its_results_are_read(
    api: Scripted, ome: Cluster, store: Store, tmp_path: Path
) -> None:
    load_tools(api, tmp_path)
    (tmp_path / "volume").mkdir()
    volume = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": str(tmp_path / "volume")},
        "claimRef": {"namespace": ome.namespace, "name": "servelab-results"},
    }
    await ensure(ome, VOLUME, {"metadata": {"name": ome.namespace}, "spec": volume})
    record = store.create_study(load_study(STUDY_TEXT))
    async with controlled(api.kubeconfig(), ome.namespace, benchmark=measuring):
        await run("resume", record.id)
    (trial,) = store.trials(record.id, with_reports=True)
    assert trial.state == "complete", trial.failure
    (report,) = trial.reports
    assert report.provenance.harness == "benchmark-job"
    assert report.errors == {}
    assert report.metrics["ttft_p50"] > 0
    assert report.metrics["output_throughput"] > 0
    await nothing_left(ome, record.id)
    assert (await ome.list(BENCHMARK_JOB)).items == []
    async with asyncio.timeout(200):
        while (await ome.list(JOB)).items or (await ome.list(POD, labels={STUDY: record.id})).items:
            await asyncio.sleep(0.5)  # what it owned goes in the background
    await ome.delete(VOLUME, ome.namespace)


@pytest.mark.usefixtures("pods", "documented_rights")
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("how", "words"), [(failing, "--api-key"), (missing, "ErrImageNeverPull")])
async def test_bug_13_a_failed_benchmark_is_told_at_once_with_its_words(
    api: Kubernetes, ome: Cluster, store: Store, how: object, words: str
) -> None:
    record = store.create_study(load_study(STUDY_TEXT))
    async with controlled(api.kubeconfig(), ome.namespace, benchmark=how):
        done = await run("resume", record.id, check=False)
    assert done.returncode == 7
    (trial,) = store.trials(record.id)
    assert trial.state == "failed"
    assert trial.failure is not None
    assert words in trial.failure.message
    assert trial.timings.total < 290  # it would be measured for 300 s
    await nothing_left(ome, record.id)
