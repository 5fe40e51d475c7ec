"""Names of runs that are free."""

from __future__ import annotations

import re
from collections.abc import Collection

from servelab.kube.cluster import Cluster
from servelab.tekton.kinds import PIPELINE_RUN

LENGTH = 40  # characters: names of Helm releases begin with it, and have 53 at most

_VERSION = re.compile(r"(?P<stem>.+?)-v(?P<number>[1-9]\d*)")


def next_free(name: str, taken: Collection[str]) -> str:
    """``name`` with the first ``-v2``, ``-v3``, ... that is not taken, no longer than ``LENGTH``."""
    found = _VERSION.fullmatch(name)
    stem, number = (found["stem"], int(found["number"])) if found else (name, 1)
    while True:
        number += 1
        suffix = f"-v{number}"
        candidate = stem[: LENGTH - len(suffix)].rstrip("-.") + suffix
        if candidate not in taken:
            return candidate


async def taken_names(cluster: Cluster) -> set[str]:
    """The names of all PipelineRuns in the namespace.

    Raises:
        ClusterError: they may not be listed.
    """
    return {run["metadata"]["name"] for run in (await cluster.list(PIPELINE_RUN)).items}
