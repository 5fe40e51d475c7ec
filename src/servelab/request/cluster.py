"""What the cluster of the kubeconfig has, where one can be asked."""

from __future__ import annotations

import asyncio
from pathlib import Path

from servelab.request.kubeconfig import has_context
from servelab.request.values import Values

TIMEOUT = 3.0  # seconds: who asks waits for it


async def free_accelerators(values: Values, kubeconfig: Path | None = None) -> int | None:
    """How many accelerators one pod could have now, of those that the values file selects.

    None where no cluster is configured, none answers in time, or nodes may not be listed.
    """
    if kubeconfig is None and not has_context():
        return None
    from servelab.kube.cluster import connect
    from servelab.spec.errors import ClusterError
    from servelab.tekton.accelerators import accelerator_nodes

    try:
        async with asyncio.timeout(TIMEOUT), connect(kubeconfig=kubeconfig) as cluster:
            nodes = await accelerator_nodes(cluster, values.accelerator_label, values.accelerators)
    except (ClusterError, TimeoutError, OSError):
        return None
    return max((node.free for node in nodes), default=0)
