"""Rendering a parameter estimation, or submitting it and showing what came out."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import cyclopts
from rich.markup import escape

from servelab.cli.output import console
from servelab.cli.tekton import write_out
from servelab.cli.tekton_runs import How, Where
from servelab.cli.tekton_submit import take_steps
from servelab.kube.cluster import Cluster, connect
from servelab.kube.errors import ForbiddenError
from servelab.spec.errors import DocumentError, NotFoundError
from servelab.tekton.estimate import Estimation, render_estimation
from servelab.tekton.kinds import PIPELINE_RUN, TASK
from servelab.tekton.shipped import GENERATOR, GENERATOR_HOME, joined


def estimate(
    *,
    render: Annotated[bool, cyclopts.Parameter(negative="")] = False,
    submit: Annotated[bool, cyclopts.Parameter(negative="")] = False,
    namespace: Annotated[str, cyclopts.Parameter(name=["--namespace", "-n"])] = "wva-training",
    context: Annotated[str, cyclopts.Parameter()] = "",
    set_: Annotated[list[str] | None, cyclopts.Parameter(name="--set", negative="")] = None,
    calculator: Annotated[str, cyclopts.Parameter()] = "",
    how: How | None = None,
    out: Annotated[Path | None, cyclopts.Parameter(name=["--out", "-o"])] = None,
) -> int:
    """Estimate a latency model's alpha and beta of a running server, by two benchmarks on a cluster.

    Parameters
    ----------
    render
        Print the pipeline's files, or write them into a directory.
    submit
        Run it: check the cluster, apply Task and Pipeline, start a run and follow it.
    namespace
        Where it is to run.
    context
        A kubeconfig's context, with --submit; default: the current one.
    set_
        A parameter of the run, as target-url=http://vllm:8000; may be repeated.
    calculator
        An image that has servelab, which then calculates in place of the plain two-point formula.
    out
        Directory to write the files into, with --render.
    """
    if render == submit:
        remedy = "--render prints the pipeline's files, or writes them to -o DIRECTORY; --submit runs it."
        raise DocumentError(("say either --render or --submit",), remedy)
    made = render_estimation(namespace, set_ or (), calculator)
    if submit:
        return asyncio.run(submit_estimation(made, how or How(), Where(namespace, context)))
    _print_files(made.texts, out)
    return 0


def _print_files(texts: Mapping[str, str], out: Path | None) -> None:
    if out is None:
        sys.stdout.write(joined([f"# {name}\n{text}" for name, text in texts.items()]))
        return
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_out(text, out / name)
        console.print(str(out / name), markup=False, soft_wrap=True)


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
