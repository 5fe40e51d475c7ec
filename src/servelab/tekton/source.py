"""The experiment that a run was made from, kept beside it in the cluster, so that any machine can go on with it."""

from __future__ import annotations

from servelab.kube.cluster import Cluster
from servelab.kube.kinds import Kind, Manifest
from servelab.kube.labels import marked
from servelab.spec.errors import NotFoundError
from servelab.tekton.experiment import Experiment, read_experiment
from servelab.tekton.kinds import PIPELINE_RUN

CONFIG = Kind("v1", "ConfigMap", "configmaps")
SUFFIX = "-experiment"


def source_manifest(experiment: Experiment, run: Manifest | None = None) -> Manifest:
    """A ConfigMap with the experiment's files; with its run, so that Kubernetes removes both together."""
    metadata: Manifest = {"name": f"{experiment.name}{SUFFIX}"}
    if run is not None:
        owner = {"apiVersion": PIPELINE_RUN.api_version, "kind": PIPELINE_RUN.name}
        metadata["ownerReferences"] = [{**owner, **{key: run["metadata"][key] for key in ("name", "uid")}}]
    manifest = {"apiVersion": "v1", "kind": CONFIG.name, "metadata": metadata, "data": experiment.files}
    return marked(manifest, experiment.name)


async def read_source(cluster: Cluster, run: str) -> Experiment:
    """The experiment of a run.

    Raises:
        NotFoundError: the cluster does not have it.
    """
    found = await cluster.find(CONFIG, f"{run}{SUFFIX}")
    if found is None:
        raise NotFoundError(
            f"the experiment of run {run} is not in {cluster.namespace}",
            "servelab keeps it for runs that it submitted.",
        )
    return read_experiment(dict(found.get("data") or {}), f"ConfigMap {run}{SUFFIX}")
