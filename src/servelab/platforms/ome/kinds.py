"""OME's kinds of objects, and the names that its controller gives."""

from __future__ import annotations

from servelab.kube.kinds import Kind

GROUP = "ome.io"
VERSION = f"{GROUP}/v1beta1"

INFERENCE_SERVICE = Kind(VERSION, "InferenceService", "inferenceservices")
BENCHMARK_JOB = Kind(VERSION, "BenchmarkJob", "benchmarkjobs")
BASE_MODEL = Kind(VERSION, "BaseModel", "basemodels")
SERVING_RUNTIME = Kind(VERSION, "ServingRuntime", "servingruntimes")
CLUSTER_BASE_MODEL = Kind(VERSION, "ClusterBaseModel", "clusterbasemodels", namespaced=False)
CLUSTER_SERVING_RUNTIME = Kind(VERSION, "ClusterServingRuntime", "clusterservingruntimes", namespaced=False)

KINDS = (
    INFERENCE_SERVICE,
    BENCHMARK_JOB,
    BASE_MODEL,
    SERVING_RUNTIME,
    CLUSTER_BASE_MODEL,
    CLUSTER_SERVING_RUNTIME,
)

CONTAINER = "ome-container"
"""The engine's container. OME merges ours into the runtime's by its name, and an empty name would win."""

COMPONENT = "component"
ENGINE = "engine"
"""Label of the pods that run the engine, as against a router's."""
