"""Submitting a parameter estimation, and showing what came out."""

from __future__ import annotations

from rich.markup import escape

from servelab.cli.output import console
from servelab.cli.run_submit import take_steps
from servelab.cli.runs import How, Where
from servelab.kube.cluster import Cluster, connect
from servelab.kube.errors import ForbiddenError
from servelab.spec.errors import NotFoundError
from servelab.tekton.estimate import GENERATOR, GENERATOR_HOME, Estimation
from servelab.tekton.kinds import PIPELINE_RUN, TASK


async def submit_estimation(estimation: Estimation, how: How, where: Where) -> int:
    """Check, deploy and follow an estimation, and print its results; the exit code."""
    async with connect(where.context, namespace=where.namespace) as cluster:
        await _require_generator(cluster)
        experiment = estimation.experiment
        named = experiment.renamed(how.id or experiment.name, cluster.namespace)
        tasks = [item for item in estimation.definitions if item["kind"] == TASK.name]
        code = await take_steps(cluster, named, tasks, how)
        if code == 0 and not (how.dry_run or how.detach):
            await _print_results(cluster, named.name)
        return code


async def _require_generator(cluster: Cluster) -> None:
    """Both benchmarks are a Task of another namespace, without which the run would fail after a while."""
    try:
        found = await cluster.find(TASK, GENERATOR, GENERATOR_HOME)
    except ForbiddenError:
        return  # the resolver may read it nevertheless
    if found is None:
        raise NotFoundError(
            f"there is no Task {GENERATOR} in namespace {GENERATOR_HOME}, which makes the load",
            f"servelab tekton manifests {GENERATOR} | kubectl apply -n {GENERATOR_HOME} -f -",
        )


async def _print_results(cluster: Cluster, name: str) -> None:
    """The results of the run, where it has ended."""
    run = await cluster.find(PIPELINE_RUN, name) or {}
    for result in (run.get("status") or {}).get("results") or []:
        console.print(f"  {escape(str(result.get('name')))}: {escape(str(result.get('value')))}", soft_wrap=True)
