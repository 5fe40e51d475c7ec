"""Whether a cluster takes manifests as they are: asked of the API server itself, which stores nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from servelab.kube.cluster import Cluster
from servelab.kube.kinds import Manifest
from servelab.spec.errors import ClusterError

REMEDY = "Correct the field's name or place; the cluster's own definition of it may also be older."


async def require_accepted(cluster: Cluster, manifests: Iterable[Manifest], *, force: bool = False) -> None:
    """Apply each as a dry run, and compare what comes back: older servers drop unknown fields without a word.

    Raises:
        ClusterError: the server refuses one, or drops a part of it.
    """
    for manifest in manifests:
        stored = await cluster.apply(manifest, dry_run=True, force=force)
        lost = list(dropped(manifest, stored))
        if lost:
            what = f"{manifest['kind']} {manifest['metadata']['name']}"
            raise ClusterError(f"the cluster does not know {', '.join(lost[:5])} of {what}", REMEDY)


def dropped(sent: Any, stored: Any, path: str = "") -> Iterator[str]:
    """The paths of fields that were sent and are not in what was stored.

    Values may differ (a webhook writes ``5h50m0s`` for ``350m``), and empty ones may be left out.
    """
    if isinstance(sent, dict):
        for name, value in sent.items():
            place = f"{path}.{name}" if path else str(name)
            if not isinstance(stored, dict) or name not in stored:
                if value not in (None, "", False, 0, [], {}):
                    yield place
            else:
                yield from dropped(value, stored[name], place)
    elif isinstance(sent, list) and isinstance(stored, list):
        for index, (one, other) in enumerate(zip(sent, stored, strict=False)):
            yield from dropped(one, other, f"{path}[{index}]")
        if len(stored) < len(sent):
            yield f"{path}[{len(stored)}]"
