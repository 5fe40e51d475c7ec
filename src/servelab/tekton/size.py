"""Whether a cluster can keep a run: etcd refuses an object that is too large, and Tekton makes one of the whole run."""

from __future__ import annotations

import json
import math

from servelab.kube.kinds import Manifest
from servelab.spec.errors import DocumentError

LIMIT = 1536 * 1024  # bytes: etcd's --max-request-bytes, unless it is set otherwise
REFERENCE = 200  # bytes that the status of a run has for each of its TaskRuns, most of them names
MEGABYTE = 1e6


def require_storable(pipeline: Manifest, run: Manifest) -> None:
    """Refuse a run that would outgrow an object: Tekton copies the Pipeline into its status, and lists its TaskRuns.

    Raises:
        DocumentError: it would.
    """
    spec = pipeline["spec"]
    tasks = len(spec.get("tasks") or []) + len(spec.get("finally") or [])
    size = sum(len(json.dumps(one, separators=(",", ":")).encode()) for one in (pipeline, run)) + REFERENCE * tasks
    if size > LIMIT:
        raise DocumentError(
            (
                f"the run is too large for a cluster: {tasks:,} tasks come to {size / MEGABYTE:.1f} MB, and an object "
                f"may have {LIMIT / MEGABYTE:.1f} MB",
            ),
            f"Split the experiment into {math.ceil(size / LIMIT)} with a share of the treatments each, and give each "
            "an id of its own: --id ID.",
        )
