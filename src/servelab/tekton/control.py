"""Cancel a run."""

from __future__ import annotations

from servelab.kube.cluster import Cluster
from servelab.spec.errors import ClusterError
from servelab.tekton.kinds import PIPELINE_RUN
from servelab.tekton.status import FINAL, run_state


async def cancel(cluster: Cluster, name: str, *, now: bool = False) -> None:
    """Ask Tekton to end a run: its running tasks are stopped, its final tasks still clean up; ``now``: not even those.

    Raises:
        ClusterError: there is no such run, or it has ended.
    """
    run = await cluster.get(PIPELINE_RUN, name)
    if run_state(run) in FINAL:
        remedy = f"See: servelab tekton status {name} -n {cluster.namespace}"
        raise ClusterError(f"run {name} has ended already ({run_state(run)})", remedy)
    status = "Cancelled" if now else "CancelledRunFinally"
    await cluster.merge(PIPELINE_RUN, name, {"spec": {"status": status}})
