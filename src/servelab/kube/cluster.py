"""One Kubernetes cluster: read, apply, delete; everything else of this room builds on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from lightkube import ALL_NS, AsyncClient
from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import Cluster as ClusterConfig
from lightkube.config.models import Context, User
from lightkube.types import CascadeType, PatchType

from servelab.kube.errors import MissingError, translated
from servelab.kube.kinds import Kind, Manifest, resource
from servelab.kube.kubeconfig import Access, find_access
from servelab.kube.names import check_label_value, check_name, check_namespace
from servelab.kube.transport import Transport
from servelab.spec.errors import ClusterError

FIELD_MANAGER = "servelab"
EVERYWHERE = ALL_NS  # all namespaces
PAGE = 500  # objects of a list that are asked for at once
TIMEOUT = httpx2.Timeout(30.0, connect=10.0)  # seconds without any answer

Labels = Mapping[str, str | None]
"""Label -> value that objects must have; None: any value."""


@dataclass(frozen=True)
class Listing:
    """Objects, and the resource version from which a watch misses nothing."""

    items: list[Manifest]
    version: str


class Cluster:
    """A cluster as one user sees it. ``namespace`` is what calls without one mean.

    Every call raises ``RefusedError`` or ``UnreachableError`` (both ``ClusterError``), and has a timeout.
    """

    def __init__(self, access: Access) -> None:
        self.access = access
        self.namespace = access.namespace
        transport = Transport(access)
        self.http = httpx2.AsyncClient(base_url=access.server, transport=transport, timeout=TIMEOUT, trust_env=False)
        config = SingleConfig(access.context, Context("cluster"), ClusterConfig(access.server), User())
        self._client: Any = AsyncClient(
            config,
            namespace=access.namespace,
            timeout=TIMEOUT,
            field_manager=FIELD_MANAGER,
            trust_env=False,
            transport=transport,
        )
        self._kinds: dict[str, dict[str, Kind]] = {}

    async def close(self) -> None:
        """Close all connections."""
        await self.http.aclose()
        await self._client.close()

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Manifest:
        """An object by its name."""
        with translated(self.access.server):
            return dict(await self._client.get(resource(kind), check_name(name), **self._where(kind, namespace)))

    async def find(self, kind: Kind, name: str, namespace: str = "") -> Manifest | None:
        """An object by its name; None where it, or its kind, does not exist."""
        try:
            return await self.get(kind, name, namespace)
        except MissingError:
            return None

    async def list(
        self, kind: Kind, namespace: str = "", labels: Labels | None = None, fields: Mapping[str, str] | None = None
    ) -> Listing:
        """All objects of a kind in a namespace (``EVERYWHERE``: in all), by pages."""
        with translated(self.access.server):
            listed = self._client.list(
                resource(kind),
                chunk_size=PAGE,
                labels=check_selector(labels),
                fields=dict(fields) if fields else None,
                **self._where(kind, namespace),
            )
            items = [dict(item) async for item in listed]
            return Listing(items, listed.resourceVersion)

    async def apply(self, manifest: Manifest, *, dry_run: bool = False, force: bool = False) -> Manifest:
        """Server-side apply as field manager ``servelab``; what the API server makes of it.

        ``dry_run``: the server checks it and stores nothing. ``force``: take over fields that others own.
        """
        kind = await self.kind_of(manifest)
        with translated(self.access.server):
            applied = await self._client.patch(
                resource(kind),
                check_name(manifest["metadata"]["name"]),
                manifest,
                patch_type=PatchType.APPLY,
                force=force,
                dry_run=dry_run,
                **self._where(kind, manifest["metadata"].get("namespace", "")),
            )
            return dict(applied)

    async def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Create an object, which must not exist yet."""
        sent = resource(kind)({"apiVersion": kind.api_version, "kind": kind.name, **manifest})
        where = self._where(kind, manifest.get("metadata", {}).get("namespace", ""))
        with translated(self.access.server):
            return dict(await self._client.create(sent, **where))

    async def merge(
        self, kind: Kind, name: str, patch: Manifest, namespace: str = "", subresource: str = ""
    ) -> Manifest:
        """Change fields of an object by a JSON merge patch, or those of its ``subresource`` (as ``status``)."""
        path = "/".join(part for part in (self.path(kind, namespace), check_name(name), subresource) if part)
        with translated(self.access.server):
            response = await self.http.patch(
                path,
                json=patch,
                params={"fieldManager": FIELD_MANAGER},
                headers={"Content-Type": PatchType.MERGE.value},
            )
            return dict(response.raise_for_status().json())

    async def delete(self, kind: Kind, name: str, namespace: str = "", *, grace: int | None = None) -> bool:
        """Delete an object and, in the background, what it owns; False when it was gone already.

        ``grace``: seconds a pod has to end.
        """
        with translated(self.access.server):
            try:
                await self._client.delete(
                    resource(kind),
                    check_name(name),
                    grace_period=grace,
                    cascade=CascadeType.BACKGROUND,
                    **self._where(kind, namespace),
                )
            except httpx2.HTTPStatusError as error:
                if error.response.status_code == httpx2.codes.NOT_FOUND:
                    return False
                raise
        return True

    async def read(self, path: str) -> Manifest:
        """What the API server answers under a path of its own, as ``version``."""
        with translated(self.access.server):
            response = await self.http.get(path)
            return dict(response.raise_for_status().json())

    async def kinds(self, api_version: str) -> dict[str, Kind]:
        """The kinds that the cluster has in an API group and version, by name; empty where it lacks the group."""
        if api_version not in self._kinds:
            root = Kind(api_version, "", "").root
            try:
                found = (await self.read(root))["resources"]
            except MissingError:
                return {}
            self._kinds[api_version] = {
                one["kind"]: Kind(api_version, one["kind"], one["name"], one["namespaced"])
                for one in found
                if "/" not in one["name"]
            }
        return self._kinds[api_version]

    async def kind_of(self, manifest: Manifest) -> Kind:
        """The kind of a manifest, by the cluster's own knowledge of it.

        Raises:
            ClusterError: the manifest names none, or the cluster does not have it.
        """
        version, name = str(manifest.get("apiVersion", "")), str(manifest.get("kind", ""))
        kind = (await self.kinds(version)).get(name) if version else None
        if kind is None:
            raise ClusterError(
                f"the cluster has no kind {name!r} of {version!r}",
                "Install what brings it (its CustomResourceDefinition), or correct apiVersion and kind.",
            )
        return kind

    def path(self, kind: Kind, namespace: str = "") -> str:
        """The path of a kind's objects on the API server."""
        where = self._where(kind, namespace).get("namespace")
        middle = f"/namespaces/{where}" if where not in (None, EVERYWHERE) else ""
        return f"{kind.root}{middle}/{kind.plural}"

    def _where(self, kind: Kind, namespace: str) -> dict[str, str]:
        if not kind.namespaced:
            return {}
        return {"namespace": namespace if namespace == EVERYWHERE else check_namespace(namespace or self.namespace)}


def check_selector(labels: Labels | None) -> dict[str, str | None] | None:
    """Labels to select by, their values checked."""
    return {name: value and check_label_value(value) for name, value in labels.items()} if labels else None


@asynccontextmanager
async def connect(context: str = "", kubeconfig: Path | None = None, namespace: str = "") -> AsyncIterator[Cluster]:
    """The cluster of a kubeconfig's context, or the one that we run in; see ``find_access``.

    Raises:
        ClusterError: none is configured.
    """
    cluster = Cluster(find_access(context, kubeconfig, namespace))
    try:
        yield cluster
    finally:
        await cluster.close()


def version_of(info: Mapping[str, Any]) -> str:
    """The version in what ``/version`` answers, as ``v1.31.2``."""
    return str(info.get("gitVersion", "unknown"))
