"""The rights that submitting, watching and collecting take."""

from __future__ import annotations

import asyncio

from servelab.kube.access import Right, may
from servelab.kube.cluster import Cluster
from servelab.spec.finding import Finding
from servelab.tekton import remedies
from servelab.tekton.kinds import GROUP

_READ = ("get", "list", "watch")
_WRITE = ("create", "patch", "delete")

RIGHTS = (
    *(Right(verb, "pipelineruns", GROUP) for verb in (*_READ, *_WRITE)),
    *(Right(verb, "taskruns", GROUP) for verb in _READ),
    *(Right(verb, kind, GROUP) for kind in ("pipelines", "tasks", "stepactions") for verb in ("get", "list", *_WRITE)),
    *(Right(verb, "configmaps") for verb in ("get", "create", "patch")),
    *(Right(verb, "pods") for verb in (*_READ, *_WRITE)),
    Right("get", "pods", subresource="log"),
    # A command in a pod is a GET that becomes a websocket; newer servers ask for create as well.
    Right("get", "pods", subresource="exec"),
    Right("create", "pods", subresource="exec"),
    Right("list", "events"),
    Right("get", "secrets"),
    Right("get", "persistentvolumeclaims"),
)
"""Without these a run cannot be submitted, followed and collected."""


async def rights(cluster: Cluster) -> Finding:
    """Check all of them.

    Raises:
        ClusterError: the cluster cannot be asked.
    """
    granted = await asyncio.gather(*(may(cluster, right) for right in RIGHTS))
    missing = [right for right, yes in zip(RIGHTS, granted, strict=True) if not yes]
    if not missing:
        return Finding("rights", "ok", f"all {len(RIGHTS)} rights that a run needs are granted")
    return Finding(
        "rights",
        "problem",
        f"not granted in {cluster.namespace}: {', '.join(map(str, missing))}",
        "\n".join(f"{remedies.grant(verb, resources, cluster.namespace)}" for verb, resources in _by_verb(missing)),
    )


def _by_verb(missing: list[Right]) -> list[tuple[str, str]]:
    verbs: dict[str, list[str]] = {}
    for right in missing:
        name = right.resource + (f".{right.group}" if right.group else "")
        verbs.setdefault(right.verb, []).append(name + (f"/{right.subresource}" if right.subresource else ""))
    return [(verb, ",".join(resources)) for verb, resources in verbs.items()]
