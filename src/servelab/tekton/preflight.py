"""Everything that must hold in a cluster before a run is submitted, each check with its remedy."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator

from servelab.kube.cluster import Cluster, version_of
from servelab.kube.errors import ForbiddenError
from servelab.kube.kinds import NAMESPACE
from servelab.spec.errors import ClusterError
from servelab.spec.finding import Finding
from servelab.tekton import remedies
from servelab.tekton.accelerators import Node, accelerator_nodes, quota_left, resource_of
from servelab.tekton.collision import next_free, taken_names
from servelab.tekton.installation import installation
from servelab.tekton.needs import Needs
from servelab.tekton.prerequisites import prerequisites
from servelab.tekton.rights import rights

PROGRAM_TIMEOUT = 10.0  # seconds for a program to tell its version

_PROGRAMS = {"kubectl": ("version", "--client"), "tkn": ("version",)}


async def preflight(cluster: Cluster, needs: Needs, *, fix: bool = False) -> AsyncIterator[Finding]:
    """Run every check; ``fix`` creates a namespace that is missing. A check that cannot be made is a problem too."""
    for program in _PROGRAMS:
        yield await _program(program)
    try:
        version = version_of(await cluster.read("version"))
        yield Finding("cluster", "ok", f"connected to {cluster.access.server} (Kubernetes {version})")
        there = await _namespace(cluster, fix=fix)
        yield there
        if there.verdict == "problem":
            return
        yield await rights(cluster)
        async for finding in installation(cluster, needs):
            yield finding
        async for finding in prerequisites(cluster, needs):
            yield finding
        if needs.accelerators:
            yield await _accelerators(cluster, needs)
        if needs.run:
            yield await _name(cluster, needs.run)
    except ClusterError as error:
        yield Finding("cluster", "problem", error.message, error.remedy)


async def _program(name: str) -> Finding:
    found = shutil.which(name)
    if found is None:
        return Finding(name, "note", "not installed; servelab does without it")
    process = await asyncio.create_subprocess_exec(
        found, *_PROGRAMS[name], stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(PROGRAM_TIMEOUT):
            output, _ = await process.communicate()
    except TimeoutError:
        output = b""
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    lines = output.decode(errors="replace").strip().splitlines()
    return Finding(name, "note", lines[0] if lines else "installed; it did not tell its version")


async def _namespace(cluster: Cluster, *, fix: bool) -> Finding:
    name = cluster.namespace
    try:
        if await cluster.find(NAMESPACE, name) is not None:
            return Finding("namespace", "ok", f"namespace {name} exists")
        if fix:
            await cluster.create(NAMESPACE, {"metadata": {"name": name}})
            return Finding("namespace", "ok", f"namespace {name} was created")
    except ForbiddenError:
        return Finding("namespace", "note", f"namespaces may not be read; {name} is taken to exist")
    return Finding("namespace", "problem", f"there is no namespace {name}", remedies.namespace(name))


async def _accelerators(cluster: Cluster, needs: Needs) -> Finding:
    resource = resource_of(needs.product_label)
    what = " or ".join(needs.products) or resource
    try:
        nodes = await accelerator_nodes(cluster, needs.product_label, needs.products)
    except ForbiddenError as error:
        return Finding(
            "accelerators", "note", f"free {what} cannot be counted: nodes or pods may not be listed", error.remedy
        )
    quota = await quota_left(cluster, resource)
    if not nodes:
        text = f"no ready node has {what} (label {needs.product_label})"
        return Finding("accelerators", "problem", text, f"kubectl get nodes -L {needs.product_label}")
    return _judge(nodes, quota, needs.accelerators, what)


def _judge(nodes: list[Node], quota: tuple[str, int] | None, wanted: int, what: str) -> Finding:
    """One engine's pod takes all its accelerators on one node, and from the quota."""
    best = max(nodes, key=lambda node: node.free)
    total = sum(node.free for node in nodes)
    available = best.free if quota is None else min(best.free, max(0, quota[1]))
    if available >= wanted:
        text = f"{total} {what} free, {best.free} of them on {best.name} (need {wanted} on one node)"
        return Finding("accelerators", "ok", text)
    reason = f"only {best.free} on one node ({best.name}), {total} in all"
    if quota is not None and quota[1] < best.free:
        reason = f"ResourceQuota {quota[0]} leaves {max(0, quota[1])}"
    options = [f"[1] wait for accelerators: servelab doctor --cluster -n NAMESPACE --accelerators {wanted}"]
    if available:
        options.append(f"[2] reduce tensor parallelism to {available}")
    return Finding("accelerators", "problem", f"{wanted} {what} are needed by one engine: {reason}", "\n".join(options))


async def _name(cluster: Cluster, name: str) -> Finding:
    taken = await taken_names(cluster)
    if name not in taken:
        return Finding("experiment id", "ok", f"{name!r} is free")
    return Finding(
        "experiment id",
        "problem",
        f"a PipelineRun {name!r} exists already",
        f"[1] use another id: --id {next_free(name, taken)}\n[2] delete it and reuse its id: --replace\n"
        "[3] name one of your own: --id ID",
    )
