"""What this user may do in the cluster."""

from __future__ import annotations

from dataclasses import dataclass

from servelab.kube.cluster import Cluster
from servelab.kube.kinds import REVIEW


@dataclass(frozen=True)
class Right:
    """A verb on a resource, as ``Right("create", "pods", subresource="exec")``."""

    verb: str
    resource: str
    group: str = ""
    subresource: str = ""
    namespaced: bool = True

    def __str__(self) -> str:
        parts = self.resource + (f"/{self.subresource}" if self.subresource else "")
        return f"{self.verb} {parts}{f'.{self.group}' if self.group else ''}"


async def may(cluster: Cluster, right: Right, namespace: str = "") -> bool:
    """Whether the cluster grants a right to this user, by a SelfSubjectAccessReview.

    Raises:
        ClusterError: the cluster cannot be asked.
    """
    attributes = {
        "verb": right.verb,
        "group": right.group,
        "resource": right.resource,
        "subresource": right.subresource,
        **({"namespace": namespace or cluster.namespace} if right.namespaced else {}),
    }
    answer = await cluster.create(REVIEW, {"spec": {"resourceAttributes": attributes}})
    return bool(answer.get("status", {}).get("allowed"))
