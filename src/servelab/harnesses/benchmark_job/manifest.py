"""A measurement as a BenchmarkJob."""

from __future__ import annotations

import json
from typing import Any

from servelab.harnesses.base import Job
from servelab.harnesses.benchmark_job.options import BenchmarkJobOptions
from servelab.harnesses.external.genai_bench import limits, scenario
from servelab.kube.kinds import Kind, Manifest
from servelab.kube.labels import STUDY, TRIAL, label, marked

VERSION = "ome.io/v1beta1"
BENCHMARK_JOB = Kind(VERSION, "BenchmarkJob", "benchmarkjobs")
INFERENCE_SERVICE = Kind(VERSION, "InferenceService", "inferenceservices")

MOST_MINUTES = 60 * 24 * 30
"""OME wants a number of minutes, also where the requests are the limit."""


def benchmark_job(name: str, service: Manifest, job: Job, options: BenchmarkJobOptions) -> Manifest:
    """The BenchmarkJob; it belongs to the service and goes with it.

    The endpoint is the service by reference: OME gives genai-bench a key and the model's own tokenizer only then.

    Raises:
        MeasureError: genai-bench cannot be told the workload.
    """
    metadata = service["metadata"]
    minutes, requests = limits(job.load)
    spec: dict[str, Any] = {
        "endpoint": {"inferenceService": {"name": metadata["name"], "namespace": metadata["namespace"]}},
        "task": options.task,
        "trafficScenarios": [scenario(job.workload)],
        "numConcurrency": [int(job.load.level)],
        "maxTimePerIteration": min(minutes, MOST_MINUTES),
        "maxRequestsPerIteration": requests,
        "outputLocation": {"storageUri": options.output},
        "resultFolderName": name,
    }
    if job.workload.extra:
        spec["additionalRequestParams"] = {key: _text(value) for key, value in job.workload.extra.items()}
    if options.hugging_face_secret:
        spec["huggingFaceSecretReference"] = {"name": options.hugging_face_secret}
    override = {**({"image": options.image} if options.image else {}), **options.pod}
    if override:
        spec["podOverride"] = override
    own = {"name": name, "namespace": metadata["namespace"], "ownerReferences": [owner(service)]}
    manifest = {"apiVersion": VERSION, "kind": BENCHMARK_JOB.name, "metadata": own, "spec": spec}
    return marked(manifest, label(service, STUDY), label(service, TRIAL))


def owner(item: Manifest) -> Manifest:
    """A reference to an object, so that what has it goes when the object goes."""
    return {
        "apiVersion": VERSION,
        "kind": INFERENCE_SERVICE.name,
        "name": item["metadata"]["name"],
        "uid": item["metadata"]["uid"],
    }


def _text(value: Any) -> str:
    """OME takes texts only."""
    return value if isinstance(value, str) else json.dumps(value)
