"""The engines' pods of a run: how they are, and what they hold."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from servelab.kube.cluster import Cluster
from servelab.kube.containers import container_statuses, waiting_for
from servelab.kube.kinds import POD, Manifest
from servelab.kube.labels import STUDY, label
from servelab.tekton.labels import TASK_RUN_LABEL

MODEL = "llm-d.ai/model"  # the label of llm-d's modelservice chart: the experiment's id and the treatment


@dataclass(frozen=True)
class EnginePod:
    """A pod that serves a model. ``status`` is the phase, or what a container waits for."""

    name: str
    status: str
    ready: bool
    restarts: int
    node: str
    accelerators: int
    model: str


async def engine_pods(cluster: Cluster, study: str, trials: Collection[str]) -> list[Manifest]:
    """The pods of a study that serve models: those with its label, or of the chart's releases; not its tasks' own.

    Raises:
        ClusterError: they may not be listed.
    """
    ours = (await cluster.list(POD, labels={STUDY: study})).items
    releases = {f"{study}-{trial}" for trial in trials}
    of_chart = [pod for pod in (await cluster.list(POD, labels={MODEL: None})).items if label(pod, MODEL) in releases]
    found = {pod["metadata"]["name"]: pod for pod in [*ours, *of_chart] if not label(pod, TASK_RUN_LABEL)}
    return list(found.values())


def engine_pod(pod: Manifest) -> EnginePod:
    """A pod in few words."""
    containers = list(container_statuses(pod))
    spec = pod.get("spec") or {}
    return EnginePod(
        name=pod["metadata"]["name"],
        status=next((why for one in containers if (why := waiting_for(one))), pod["status"].get("phase", "Unknown")),
        ready=bool(containers) and all(one.get("ready") for one in pod["status"].get("containerStatuses") or [{}]),
        restarts=sum(int(one.get("restartCount", 0)) for one in containers),
        node=spec.get("nodeName", ""),
        accelerators=sum(_accelerators(container) for container in spec.get("containers") or []),
        model=label(pod, MODEL),
    )


def _accelerators(container: dict[str, Any]) -> int:
    limits = (container.get("resources") or {}).get("limits") or {}
    return sum(
        int(amount) for name, amount in limits.items() if "/" in name and name.rpartition("/")[2] in ("gpu", "gaudi")
    )
