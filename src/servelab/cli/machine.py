"""Commands about this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated

import cyclopts
from rich.markup import escape

from servelab.cli.output import Json, StoreUrl, console, notes, print_json
from servelab.spec.errors import ServelabError
from servelab.spec.finding import Finding

EXIT_PROBLEM = 1

Harness = Annotated[
    bool,
    cyclopts.Parameter(
        negative="",
        help="Instead, hold the load generator against a server whose schedule is known: how far off is it here?",
    ),
]


@cyclopts.Parameter(name="*")
@dataclass
class ClusterCheck:
    """What ``doctor --cluster`` and ``doctor --platform`` look at."""

    cluster: Annotated[bool, cyclopts.Parameter(negative="", help="Instead, check a cluster for pipelines.")] = False
    platform: Annotated[str, cyclopts.Parameter(help="Instead, check where engines run: ome, process, ...")] = ""
    namespace: Annotated[str, cyclopts.Parameter(name=["--namespace", "-n"], help="Default: the context's.")] = ""
    context: Annotated[str, cyclopts.Parameter(help="A kubeconfig's context; default: the current one.")] = ""
    id: Annotated[str, cyclopts.Parameter(help="An experiment id that is to be free.")] = ""
    accelerators: Annotated[
        int | None, cyclopts.Parameter(help="How many one engine takes; a cluster is asked for 1, unless 0 is said.")
    ] = None
    product: Annotated[tuple[str, ...], cyclopts.Parameter(help="Which, as in nvidia.com/gpu.product.")] = ()
    fix: Annotated[bool, cyclopts.Parameter(negative="", help="Create the namespace when it is missing.")] = False


def doctor(
    *, store: StoreUrl = None, harness: Harness = False, on: ClusterCheck | None = None, json: Json = False
) -> int:
    """Check engines, store, disk, cores and leftovers; exits 1 when something is wrong.

    With ``harness`` it holds the load generator against a server whose schedule is known, instead; with ``cluster``
    it checks that a data collection could run in a Kubernetes cluster; with ``platform`` that studies could there.
    """
    from servelab.lab.doctor import examine, examine_harness

    found: list[Finding] = []

    def tell(finding: Finding) -> None:
        found.append(finding)
        if not json:
            print_finding(finding)

    if on is not None and on.cluster:
        asyncio.run(_check_cluster(on, tell))
    else:
        for finding in _check_platform(on) if on and on.platform else examine_harness() if harness else examine(store):
            tell(finding)
    if json:
        print_json([vars(finding) for finding in found])
    return EXIT_PROBLEM if any(finding.verdict == "problem" for finding in found) else 0


def _check_platform(on: ClusterCheck) -> Iterator[Finding]:
    from servelab.platforms.base import platform

    options = {"context": on.context, "namespace": on.namespace}
    return platform(on.platform, {name: value for name, value in options.items() if value}).examine(
        on.accelerators or 0
    )


async def _check_cluster(on: ClusterCheck, tell: Callable[[Finding], None]) -> None:
    from servelab.kube.cluster import connect
    from servelab.tekton.needs import usual_needs
    from servelab.tekton.preflight import preflight

    needs = replace(usual_needs(), run=on.id, products=on.product)
    if on.accelerators is not None:
        needs = replace(needs, accelerators=on.accelerators)
    async with connect(on.context, namespace=on.namespace) as cluster:
        async for finding in preflight(cluster, needs, fix=on.fix):
            tell(finding)


def print_finding(finding: Finding) -> None:
    """Print what a check found, and below it what to do."""
    colours = {"ok": "green", "note": "cyan", "problem": "red"}
    console.print(
        f"[{colours[finding.verdict]}]{finding.verdict:>8}[/]  {finding.check:18} {escape(finding.text)}",
        soft_wrap=True,
    )
    for line in finding.remedy.splitlines():
        console.print(f"{'':28} {escape(line)}", soft_wrap=True)


def cleanup(*, store: StoreUrl = None, json: Json = False) -> None:
    """End engines that crashed studies of this store left running. Touches nothing else."""
    from servelab.lab.cleanup import remove_leftovers
    from servelab.store.store import open_store

    unreachable: list[ServelabError] = []
    removed = remove_leftovers(open_store(store), unreachable.append)
    for error in unreachable:
        notes.print(f"[yellow]not looked for everywhere:[/] {escape(error.message)}", soft_wrap=True)
    if json:
        print_json([leftover.model_dump() for leftover in removed])
        return
    for leftover in removed:
        console.print(f"ended {escape(leftover.what)} of study {leftover.mark.study}, trial {leftover.mark.trial}")
    if not removed:
        console.print("nothing was left running" + (" where it could be looked for" if unreachable else ""))
