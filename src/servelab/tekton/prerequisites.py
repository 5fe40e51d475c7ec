"""Checks of what must be in the namespace before a run: secrets, claims, a service account."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from lightkube.utils.quantity import parse_quantity

from servelab.kube.cluster import Cluster
from servelab.kube.errors import ForbiddenError
from servelab.kube.kinds import CLAIM, SECRET, Kind
from servelab.spec.finding import Finding
from servelab.tekton import remedies
from servelab.tekton.needs import Needs

STORAGE_CLASS = Kind("storage.k8s.io/v1", "StorageClass", "storageclasses", namespaced=False)
SERVICE_ACCOUNT = Kind("v1", "ServiceAccount", "serviceaccounts")


async def prerequisites(cluster: Cluster, needs: Needs) -> AsyncIterator[Finding]:
    """Check each secret, claim and the service account that a run names."""
    for name, keys in needs.secrets.items():
        yield await _secret(cluster, name, keys, optional=name in needs.optional)
    for name, size in needs.claims.items():
        yield await _claim(cluster, name, size)
    if needs.service_account:
        yield await _service_account(cluster, needs.service_account)


async def _secret(cluster: Cluster, name: str, keys: Sequence[str], *, optional: bool) -> Finding:
    remedy = remedies.secret(name, keys, cluster.namespace)
    try:
        found = await cluster.find(SECRET, name)
    except ForbiddenError:
        return Finding(name, "note", "secrets may not be read here, so whether it is there is not known", remedy)
    if found is None and optional:
        return Finding(
            name, "note", f"there is no secret {name} in {cluster.namespace}; only uploading needs it", remedy
        )
    if found is None:
        return Finding(name, "problem", f"there is no secret {name} in {cluster.namespace}", remedy)
    has = sorted(found.get("data") or {})  # the names of the keys; the values are dropped here
    missing = [key for key in keys if key not in has]
    if missing:
        text = f"the secret lacks {', '.join(missing)}; it has {', '.join(has) or 'no key'}"
        return Finding(name, "problem", text, remedy)
    return Finding(name, "ok", f"secret found, with {', '.join(has) or 'no key'}")


async def _claim(cluster: Cluster, name: str, size: str) -> Finding:
    found = await cluster.find(CLAIM, name)
    if found is None:
        text = f"there is no PersistentVolumeClaim {name} in {cluster.namespace}"
        return Finding(name, "problem", text, remedies.claim(name, size, cluster.namespace))
    if found["metadata"].get("deletionTimestamp"):
        return Finding(name, "problem", "the claim is being deleted", "Wait until it is gone, then create it again.")
    status = found.get("status") or {}
    capacity = str((status.get("capacity") or {}).get("storage", "0"))
    if status.get("phase") != "Bound":
        return await _unbound(
            cluster, name, str(status.get("phase") or "new"), found["spec"].get("storageClassName") or ""
        )
    if size and (parse_quantity(capacity) or 0) < (parse_quantity(size) or 0):
        text = f"the claim has {capacity}, and {size} is needed"
        return Finding(
            name,
            "problem",
            text,
            f"Enlarge it, where its storage class allows that: spec.resources.requests.storage: {size}",
        )
    return Finding(name, "ok", f"claim bound ({capacity})")


async def _unbound(cluster: Cluster, name: str, phase: str, storage_class: str) -> Finding:
    try:
        of_class = await cluster.find(STORAGE_CLASS, storage_class) if storage_class else None
    except ForbiddenError:
        of_class = None
    if phase == "Pending" and (of_class or {}).get("volumeBindingMode") == "WaitForFirstConsumer":
        return Finding(name, "note", "the claim is not bound yet; its storage class binds it for the first pod")
    why = (
        f"its storage class is {storage_class}"
        if storage_class
        else "it names no storage class: is there a default one?"
    )
    text = f"the claim is {phase}, not Bound; {why}"
    return Finding(name, "problem", text, f"kubectl describe pvc {name} -n {cluster.namespace}")


async def _service_account(cluster: Cluster, name: str) -> Finding:
    if await cluster.find(SERVICE_ACCOUNT, name) is None:
        text = f"there is no service account {name} in {cluster.namespace}"
        return Finding(
            name, "problem", text, f"servelab tekton manifests roles | kubectl apply -n {cluster.namespace} -f -"
        )
    return Finding(name, "ok", "service account found")
