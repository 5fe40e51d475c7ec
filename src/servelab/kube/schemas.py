"""The schemas that a cluster has for custom resources, for our own strict check of what it would drop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from servelab.kube.cluster import Cluster
from servelab.kube.errors import ForbiddenError
from servelab.kube.kinds import DEFINITION, Kind

Schemas = Callable[[str, str], Mapping[str, Any] | None]
"""The OpenAPI schema that an API server has for (apiVersion, kind), or None."""


async def cluster_schemas(cluster: Cluster, kinds: Iterable[Kind]) -> Schemas | None:
    """The schemas of kinds in all their versions; None where they may not be read.

    Raises:
        ClusterError: the cluster cannot be asked.
    """
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for kind in kinds:
        try:
            definition = await cluster.find(DEFINITION, f"{kind.plural}.{kind.group}")
        except ForbiddenError:
            return None
        found |= schemas_of(definition or {})
    return lambda version, name: found.get((version, name))


def schemas_of(definition: Mapping[str, Any]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """The schemas in a CustomResourceDefinition by (apiVersion, kind)."""
    spec = definition.get("spec") or {}
    return {
        (f"{spec['group']}/{version['name']}", spec["names"]["kind"]): version["schema"]["openAPIV3Schema"]
        for version in spec.get("versions") or []
        if (version.get("schema") or {}).get("openAPIV3Schema")
    }
