"""The schemas that a cluster has for Tekton's kinds, for our own check of what it would drop without a word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from servelab.kube.cluster import Cluster
from servelab.kube.errors import ForbiddenError
from servelab.kube.kinds import Kind
from servelab.tekton.check.check import Schemas
from servelab.tekton.check.known import Known, known_of
from servelab.tekton.experiment import Compiled
from servelab.tekton.kinds import GROUP, PIPELINE, PIPELINE_RUN, STEP_ACTION, TASK

DEFINITION = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False)


async def cluster_schemas(cluster: Cluster) -> Schemas | None:
    """The schemas by (apiVersion, kind); None where they may not be read.

    Raises:
        ClusterError: the cluster cannot be asked.
    """
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for kind in (PIPELINE, PIPELINE_RUN, TASK, STEP_ACTION):
        try:
            definition = await cluster.find(DEFINITION, f"{kind.plural}.{GROUP}")
        except ForbiddenError:
            return None
        for version in (definition or {}).get("spec", {}).get("versions") or []:
            schema = (version.get("schema") or {}).get("openAPIV3Schema")
            if schema:
                found[f"{GROUP}/{version['name']}", kind.name] = schema
    return lambda version, name: found.get((version, name))


async def cluster_known(cluster: Cluster, compiled: Compiled) -> Known:
    """The Tasks and StepActions that are in the namespace, or will be.

    Raises:
        ClusterError: they may not be listed.
    """
    there = [{**item, "kind": kind.name} for kind in (TASK, STEP_ACTION) for item in (await cluster.list(kind)).items]
    return known_of([*there, *compiled.definitions])
