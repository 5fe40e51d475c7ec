"""Checks of Tekton itself: installed, which version, what it can do, and our definitions in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from servelab.kube.cluster import EVERYWHERE, Cluster
from servelab.kube.errors import ForbiddenError
from servelab.kube.kinds import DEPLOYMENT, Kind, Manifest
from servelab.spec.finding import Finding
from servelab.tekton import remedies
from servelab.tekton.kinds import PIPELINE_RUN, STEP_ACTION, STEP_ACTION_VERSION, TASK, VERSION
from servelab.tekton.needs import Needs

CONFIG = Kind("v1", "ConfigMap", "configmaps")
HOMES = ("tekton-pipelines", "openshift-pipelines")
RESOLVER_HOMES = ("tekton-pipelines-resolvers", "openshift-pipelines")
CONTROLLER = {"app.kubernetes.io/name": "controller", "app.kubernetes.io/part-of": "tekton-pipelines"}


async def installation(cluster: Cluster, needs: Needs) -> AsyncIterator[Finding]:
    """Check Tekton; ends early when there is none.

    Raises:
        ClusterError: the cluster cannot be asked.
    """
    if PIPELINE_RUN.name not in await cluster.kinds(VERSION):
        text = f"the cluster has no {VERSION}: Tekton Pipelines is not installed, or older than 0.44"
        yield Finding("Tekton", "problem", text, remedies.TEKTON)
        return
    yield await _version(cluster)
    if STEP_ACTION.name not in await cluster.kinds(STEP_ACTION_VERSION):
        text = f"the cluster has no StepActions ({STEP_ACTION_VERSION})"
        yield Finding("StepActions", "problem", text, f"Tekton 0.54 or newer has them. {remedies.TEKTON}")
    elif needs.definitions:
        yield await _definitions(cluster, needs.definitions)
    if needs.resolved_in:
        yield await _resolver(cluster, needs.resolved_in)


async def _version(cluster: Cluster) -> Finding:
    try:
        found = (await cluster.list(DEPLOYMENT, EVERYWHERE, labels=CONTROLLER)).items
    except ForbiddenError:
        return await _version_told(cluster)
    if not found:
        return Finding(
            "Tekton",
            "note",
            "its definitions are installed, but no controller was found: nothing would run",
            f"Look for it: kubectl get deployments -A -l app.kubernetes.io/part-of=tekton-pipelines\n{remedies.TEKTON}",
        )
    controller = found[0]
    version = controller["metadata"].get("labels", {}).get("app.kubernetes.io/version", "of unknown version")
    where = controller["metadata"]["namespace"]
    if not controller.get("status", {}).get("readyReplicas"):
        return Finding(
            "Tekton",
            "problem",
            f"Tekton {version} is installed, but its controller in {where} is not ready",
            f"kubectl describe deployment {controller['metadata']['name']} -n {where}",
        )
    return Finding("Tekton", "ok", f"Tekton {version}, controller ready in {where}")


async def _version_told(cluster: Cluster) -> Finding:
    """Tekton lets everybody read its version, even those who may not look at its controller."""
    for home in HOMES:
        try:
            told = await cluster.find(CONFIG, "pipelines-info", home)
        except ForbiddenError:
            continue
        if told is not None:
            return Finding("Tekton", "ok", f"Tekton {told.get('data', {}).get('version', 'of unknown version')}")
    return Finding("Tekton", "ok", "installed; its version may not be read")


async def _definitions(cluster: Cluster, definitions: Sequence[Manifest]) -> Finding:
    missing = [one for one in definitions if await _find(cluster, one) is None]
    total = f"{len(definitions)} StepActions and Tasks"
    if not missing:
        return Finding("definitions", "ok", f"all {total} are there")
    return Finding("definitions", "note", f"{len(missing)} of {total} are not there yet; submitting applies them")


async def _find(cluster: Cluster, definition: Manifest) -> Manifest | None:
    kind = STEP_ACTION if definition["kind"] == STEP_ACTION.name else TASK
    return await cluster.find(kind, definition["metadata"]["name"])


async def _resolver(cluster: Cluster, namespaces: Sequence[str]) -> Finding:
    flags, config = await _config(cluster, "resolvers-feature-flags"), await _config(cluster, "cluster-resolver-config")
    if flags is None:
        return Finding(
            "cluster resolver", "note", "its configuration may not be read, or is not there", remedies.RESOLVER
        )
    if flags.get("enable-cluster-resolver", "true") != "true":
        return Finding("cluster resolver", "problem", "it is switched off", remedies.RESOLVER)
    allowed = _names((config or {}).get("allowed-namespaces", ""))
    blocked = _names((config or {}).get("blocked-namespaces", ""))
    refused = [
        name
        for name in namespaces
        if name and ((allowed and name not in allowed) or ("*" in blocked or name in blocked))
    ]
    if refused:
        return Finding(
            "cluster resolver",
            "problem",
            f"it may not fetch Tasks from {', '.join(refused)}",
            "Add the namespace to allowed-namespaces of ConfigMap cluster-resolver-config.",
        )
    return Finding("cluster resolver", "ok", f"on; it may fetch from {', '.join(filter(None, namespaces)) or 'here'}")


async def _config(cluster: Cluster, name: str) -> dict[str, str] | None:
    for home in RESOLVER_HOMES:
        try:
            found = await cluster.find(CONFIG, name, home)
        except ForbiddenError:
            continue
        if found is not None:
            return dict(found.get("data") or {})
    return None


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
