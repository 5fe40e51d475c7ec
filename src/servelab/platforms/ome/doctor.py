"""Whether a cluster can run studies as OME InferenceServices: every check with its remedy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from servelab.kube.access import Right, may
from servelab.kube.cluster import EVERYWHERE, Cluster, connect, version_of
from servelab.kube.errors import ForbiddenError, RefusedError
from servelab.kube.kinds import DEFINITION, DEPLOYMENT, NAMESPACE, NODE, Kind, Manifest
from servelab.platforms.ome import remedies
from servelab.platforms.ome.kinds import (
    BASE_MODEL,
    CLUSTER_BASE_MODEL,
    CLUSTER_SERVING_RUNTIME,
    CONTAINER,
    GROUP,
    INFERENCE_SERVICE,
    KINDS,
    SERVING_RUNTIME,
    VERSION,
)
from servelab.platforms.ome.options import OmeOptions
from servelab.platforms.ome.places import max_allocatable
from servelab.spec.errors import ClusterError
from servelab.spec.finding import Finding

MUTATING = Kind(
    "admissionregistration.k8s.io/v1",
    "MutatingWebhookConfiguration",
    "mutatingwebhookconfigurations",
    namespaced=False,
)
CONTROLLER = {"control-plane": "ome-controller-manager"}
OLDEST = (1, 27)  # of Kubernetes, as OME's installation guide says
SHOWN = 8  # names in a list

_RIGHTS = (
    *(Right(verb, "inferenceservices", GROUP) for verb in ("get", "list", "create", "patch", "delete")),
    *(Right(verb, "pods") for verb in ("list", "watch", "delete")),
    Right("get", "pods", subresource="log"),
    # A port of a pod is a GET that becomes a websocket; newer servers ask for create as well.
    *(Right(verb, "pods", subresource="portforward") for verb in ("get", "create")),
    Right("list", "events"),
)


async def examine(options: OmeOptions, accelerators: int) -> list[Finding]:
    """Run every check; one that cannot be made is a problem or a note, never silence."""
    try:
        async with connect(options.context, namespace=options.namespace) as cluster:
            return [finding async for finding in _checks(cluster, options, accelerators)]
    except ClusterError as error:
        return [Finding("cluster", "problem", error.message, error.remedy)]


async def _checks(cluster: Cluster, options: OmeOptions, accelerators: int) -> AsyncIterator[Finding]:
    yield _version(cluster, await cluster.read("version"))
    yield await _brought(cluster, "cert-manager", "certificates.cert-manager.io", remedies.CERT_MANAGER)
    yield await _brought(cluster, "KEDA", "scaledobjects.keda.sh", remedies.KEDA)
    kinds = await cluster.kinds(VERSION)
    missing = [kind.name for kind in KINDS if kind.name not in kinds]
    if missing:
        yield Finding("OME", "problem", f"the cluster has no {', '.join(missing)} of {VERSION}", remedies.OME)
        if INFERENCE_SERVICE.name in missing:
            return
    else:
        yield Finding("OME", "ok", f"all {len(KINDS)} kinds of {VERSION} are there")
    yield await _controller(cluster)
    yield await _namespace(cluster)
    yield await _rights(cluster)
    yield await _webhooks(cluster)
    yield await _list(cluster, "models", (CLUSTER_BASE_MODEL, BASE_MODEL), remedies.MODELS)
    yield await _list(cluster, "runtimes", (CLUSTER_SERVING_RUNTIME, SERVING_RUNTIME), remedies.RUNTIMES)
    yield await _accelerators(cluster, options.resource, accelerators)


def _version(cluster: Cluster, info: Manifest) -> Finding:
    version = version_of(info)
    text = f"connected to {cluster.access.server} (Kubernetes {version})"
    numbers = version.removeprefix("v").split(".")[:2]
    if len(numbers) == 2 and all(part.isdigit() for part in numbers) and tuple(map(int, numbers)) < OLDEST:
        return Finding("cluster", "note", f"{text}; OME asks for {'.'.join(map(str, OLDEST))} or newer")
    return Finding("cluster", "ok", text)


async def _brought(cluster: Cluster, name: str, definition: str, remedy: str) -> Finding:
    """Whether what OME stands on is installed, by one of its definitions."""
    try:
        found = await cluster.find(DEFINITION, definition)
    except ForbiddenError:
        return Finding(name, "note", "definitions may not be read, so whether it is installed is not known", remedy)
    if found is None:
        return Finding(name, "problem", "not installed", remedy)
    version = (found["metadata"].get("labels") or {}).get("app.kubernetes.io/version")
    return Finding(name, "ok", f"installed{f' ({version})' if version else ''}")


async def _controller(cluster: Cluster) -> Finding:
    try:
        found = (await cluster.list(DEPLOYMENT, EVERYWHERE, labels=dict(CONTROLLER))).items
    except ForbiddenError as error:
        return Finding("controller", "note", "deployments of all namespaces may not be listed", error.remedy)
    if not found:
        text = "OME's definitions are there, but no controller: nothing would be served"
        return Finding("controller", "problem", text, remedies.OME)
    controller = found[0]
    where = controller["metadata"]["namespace"]
    wanted, ready = controller["spec"].get("replicas", 1), controller.get("status", {}).get("readyReplicas", 0)
    image = controller["spec"]["template"]["spec"]["containers"][0]["image"]
    if not ready:
        text = f"none of {wanted} replicas in {where} is ready ({image})"
        return Finding("controller", "problem", text, remedies.CONTROLLER.format(namespace=where))
    return Finding("controller", "ok", f"{ready} of {wanted} replicas ready in {where} ({image})")


async def _namespace(cluster: Cluster) -> Finding:
    name = cluster.namespace
    try:
        found = await cluster.find(NAMESPACE, name)
    except ForbiddenError:
        return Finding("namespace", "note", f"namespaces may not be read; {name} is taken to exist")
    if found is not None:
        return Finding("namespace", "ok", f"namespace {name} exists")
    return Finding("namespace", "note", f"there is no namespace {name} yet; a study creates it")


async def _rights(cluster: Cluster) -> Finding:
    lacking = [right for right in _RIGHTS if not await may(cluster, right)]
    if not lacking:
        return Finding("rights", "ok", f"all {len(_RIGHTS)} that a study needs in {cluster.namespace}")
    listed = ", ".join(map(str, lacking))
    remedy = f"Ask for a role with them in {cluster.namespace}; docs/ome.md has one to apply, under Rights."
    return Finding("rights", "problem", f"you may not {listed}", remedy)


async def _webhooks(cluster: Cluster) -> Finding:
    """Whether the webhooks answer: an InferenceService is sent as a dry run, which goes through them all."""
    try:
        there = await cluster.find(MUTATING, f"inferenceservice.{GROUP}")
    except ForbiddenError:
        there = None
    probe: dict[str, Any] = {"model": {"name": "servelab-probe"}, "engine": {"runner": {"name": CONTAINER}}}
    manifest = {
        "apiVersion": VERSION,
        "kind": INFERENCE_SERVICE.name,
        "metadata": {"name": "servelab-probe"},
        "spec": probe,
    }
    answered = "they answer" if there else "none is configured: services are taken as they are sent"
    try:
        await cluster.apply(manifest, dry_run=True)
    except RefusedError as error:
        if "failed calling webhook" in error.message:
            return Finding("webhooks", "problem", error.message, remedies.WEBHOOK)
        if error.reason == "NotFound":
            return Finding("webhooks", "note", f"not tried: there is no namespace {cluster.namespace} yet")
        if "admission webhook" not in error.message:
            return Finding("webhooks", "note", f"not tried: {error.message}", error.remedy)
        return Finding("webhooks", "ok", "they answer (and refuse a service whose model does not exist)")
    return Finding("webhooks", "ok" if there else "note", answered)


async def _list(cluster: Cluster, check: str, kinds: tuple[Kind, ...], remedy: str) -> Finding:
    names = []
    for kind in kinds:
        try:
            names += [_state(item) for item in (await cluster.list(kind)).items]
        except RefusedError:
            continue  # a kind that is not there, or may not be read
    if not names:
        return Finding(check, "problem", f"there is no {' or '.join(kind.name for kind in kinds)}", remedy)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return Finding(check, "ok", f"{', '.join(names[:SHOWN])}{more}")


def _state(item: Manifest) -> str:
    """A name, with the state if it is not a good one, or ``disabled``."""
    state = "Disabled" if (item.get("spec") or {}).get("disabled") else (item.get("status") or {}).get("state", "")
    return f"{item['metadata']['name']}{'' if state in ('', 'Ready') else f' ({state})'}"


async def _accelerators(cluster: Cluster, resource: str, needed: int) -> Finding:
    try:
        nodes = (await cluster.list(NODE)).items
    except ForbiddenError as error:
        return Finding("accelerators", "note", "nodes may not be listed, so none are counted", error.remedy)
    most = max_allocatable(nodes, resource)
    total = sum(max_allocatable([node], resource) for node in nodes)
    text = f"{total} {resource} on {len(nodes)} nodes, at most {most} on one"
    if most >= max(1, needed):
        return Finding("accelerators", "ok", text)
    if needed:
        return Finding("accelerators", "problem", f"{text}; {needed} are needed on one", remedies.ACCELERATORS)
    return Finding("accelerators", "note", f"{text}: engines that need none run", remedies.ACCELERATORS)
