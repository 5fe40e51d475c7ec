"""The schemas that a cluster has for Tekton's kinds, for our own check of what it would drop without a word."""

from __future__ import annotations

from servelab.kube.cluster import Cluster
from servelab.kube.schemas import Schemas, cluster_schemas
from servelab.tekton.check.known import Known, known_of
from servelab.tekton.experiment import Compiled
from servelab.tekton.kinds import PIPELINE, PIPELINE_RUN, STEP_ACTION, TASK


async def tekton_schemas(cluster: Cluster) -> Schemas | None:
    """The schemas of Tekton's kinds; None where they may not be read.

    Raises:
        ClusterError: the cluster cannot be asked.
    """
    return await cluster_schemas(cluster, (PIPELINE, PIPELINE_RUN, TASK, STEP_ACTION))


async def cluster_known(cluster: Cluster, compiled: Compiled) -> Known:
    """The Tasks and StepActions that are in the namespace, or will be.

    Raises:
        ClusterError: they may not be listed.
    """
    there = [{**item, "kind": kind.name} for kind in (TASK, STEP_ACTION) for item in (await cluster.list(kind)).items]
    return known_of([*there, *compiled.definitions])
