"""Bring an experiment into a cluster."""

from __future__ import annotations

from servelab.kube.accepted import require_accepted
from servelab.kube.cluster import Cluster
from servelab.kube.errors import ConflictError
from servelab.kube.kinds import Manifest
from servelab.kube.labels import MANAGED, OURS, label
from servelab.spec.errors import ClusterError, DocumentError
from servelab.tekton.check.check import check_objects, without_echoes
from servelab.tekton.cleanup import remove_run
from servelab.tekton.collision import next_free, taken_names
from servelab.tekton.compile import shortened
from servelab.tekton.experiment import Compiled, Experiment
from servelab.tekton.kinds import PIPELINE, PIPELINE_RUN, STEP_ACTION, TASK
from servelab.tekton.schemas import cluster_known, tekton_schemas
from servelab.tekton.source import source_manifest


class CollisionError(ClusterError):
    """A run with this id exists already; ``free`` is an id that does not."""

    def __init__(self, name: str, free: str) -> None:
        super().__init__(
            f"experiment id {name!r} exists already",
            f"[1] use another id: --id {free}\n  [2] delete it and reuse its id: --replace\n"
            "  [3] name one of your own: --id ID",
        )
        self.free = free


async def require_free(cluster: Cluster, name: str, *, replace: bool = False) -> None:
    """Make sure that no run has this id; ``replace`` removes one that has.

    Raises:
        CollisionError: one has.
        ClusterError: it could not be removed.
    """
    taken = await taken_names(cluster)
    if name not in taken:
        return
    if not replace:
        raise CollisionError(name, next_free(name, taken))
    await remove_run(cluster, name)


async def apply_definitions(cluster: Cluster, compiled: Compiled) -> tuple[int, int]:
    """Apply StepActions and Tasks; how many of each.

    Raises:
        ClusterError: one of this name belongs to somebody else, or the server refuses it.
    """
    for definition in compiled.definitions:
        await _apply_own(cluster, definition)
    steps = sum(definition["kind"] == STEP_ACTION.name for definition in compiled.definitions)
    return steps, len(compiled.definitions) - steps


async def dry_run(cluster: Cluster, compiled: Compiled) -> None:
    """Check everything that would be applied: by the cluster's schemas and Tekton's rules, then by the API server.

    Raises:
        DocumentError: Tekton would refuse something, or the server would drop it.
        ClusterError: the server refuses or drops something.
    """
    objects = [*compiled.definitions, compiled.pipeline, compiled.run]
    known = await cluster_known(cluster, compiled)
    problems = check_objects(objects, known, await tekton_schemas(cluster))
    if problems:
        raise DocumentError(shortened([str(one) for one in without_echoes(problems)]), "Nothing was applied.")
    await require_accepted(cluster, objects, force=True)


async def deploy(cluster: Cluster, experiment: Experiment, compiled: Compiled) -> Manifest:
    """Apply the Pipeline and its PipelineRun, and keep the experiment beside it; the run as it was created.

    Raises:
        CollisionError: a run with this id came into being meanwhile.
        ClusterError: the server refuses.
    """
    name = compiled.run["metadata"]["name"]
    await _apply_own(cluster, compiled.pipeline)
    await require_free(cluster, name)
    await cluster.apply(source_manifest(experiment), force=True)  # first: no run is ever without what it was made from
    run = await cluster.apply(compiled.run)
    await cluster.apply(source_manifest(experiment, run), force=True)
    return run


async def _apply_own(cluster: Cluster, manifest: Manifest) -> None:
    """Apply what is ours; fields that another changed in it are taken back, but nobody else's object is touched."""
    kinds = {kind.name: kind for kind in (PIPELINE, PIPELINE_RUN, TASK, STEP_ACTION)}
    name = manifest["metadata"]["name"]
    there = await cluster.find(kinds[manifest["kind"]], name)
    if there is not None and label(there, MANAGED) != OURS:
        raise ConflictError(
            f"{manifest['kind']} {name} in {cluster.namespace} is not servelab's",
            f"Use another namespace, or remove it: kubectl delete {manifest['kind'].lower()} {name} "
            f"-n {cluster.namespace}",
            409,
        )
    await cluster.apply(manifest, force=True)
