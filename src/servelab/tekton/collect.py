"""Bring a run's results here: raw files from its volume or from a bucket, and the measurements in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from servelab.harnesses.external.importing import import_reports
from servelab.kube.cluster import Cluster
from servelab.kube.copy import Place, copy_out
from servelab.kube.execute import execute
from servelab.kube.labels import WHOLE
from servelab.kube.reader import Volume, reader
from servelab.spec.errors import ClusterError, DocumentError
from servelab.spec.report import Report
from servelab.tekton.board import Board
from servelab.tekton.bucket import bucket_of, fetch, open_bucket
from servelab.tekton.experiment import Experiment
from servelab.tekton.kinds import TASK_RUN
from servelab.tekton.labels import PIPELINE_RUN_LABEL

DATA = ("data", "shared-workspace")
"""Names of the workspaces that hold results."""


@dataclass
class Collected:
    """What was brought: files by treatment (``all``: of the whole run), and the measurements in them."""

    directory: Path
    files: dict[str, list[Path]] = field(default_factory=dict)
    reports: dict[str, list[Report]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


async def collect(
    cluster: Cluster,
    board: Board,
    directory: Path,
    image: str = "",
    progress: Callable[[str, int, int], object] | None = None,
) -> Collected:
    """Copy a run's results into ``directory``, one folder per treatment; a second call fetches what is missing.

    ``progress`` is told the treatment, bytes done and bytes in all.

    Raises:
        ClusterError: the run has no volume, or it cannot be read.
    """
    claim = await claim_of(cluster, board)
    volume = Volume(claim, image) if image else Volume(claim)
    collected = Collected(directory)
    async with reader(cluster, board.study, volume) as root:
        for trial, place in _places(board, root).items():
            if not await _exists(place):
                collected.missing.append(trial)
                continue
            told = _telling(progress, trial)
            collected.files[trial] = await copy_out(place, directory / trial, told)
    return _with_reports(collected)


async def collect_from_bucket(
    board: Board,
    experiment: Experiment,
    directory: Path,
    progress: Callable[[str, int, int], object] | None = None,
) -> Collected:
    """The same from the bucket to which the run uploaded its results; on the volume they may be gone.

    Raises:
        NotFoundError: it uploads nothing to a bucket.
        ClusterError: the bucket cannot be read, or an archive is damaged.
    """
    store = open_bucket(bucket_of(experiment))
    collected = Collected(directory)
    for trial in sorted(board.trials):
        files = await fetch(store, f"{board.study}-{trial}", directory / trial, _telling(progress, trial))
        if files is None:
            collected.missing.append(trial)
        else:
            collected.files[trial] = files
    return _with_reports(collected)


def _with_reports(collected: Collected) -> Collected:
    for trial, files in collected.files.items():
        collected.reports[trial] = [report for file in files for report in read_reports(file)]
    return collected


async def claim_of(cluster: Cluster, board: Board) -> str:
    """The claim with the run's results: as the run names it, or as Tekton made it from a template.

    Raises:
        ClusterError: there is none.
    """
    runs = (await cluster.list(TASK_RUN, labels={PIPELINE_RUN_LABEL: board.name})).items
    for run in [board.run or {}, *runs]:
        for workspace in (run.get("spec") or {}).get("workspaces") or []:
            claim = workspace.get("persistentVolumeClaim")
            if claim and (workspace.get("name") in DATA or run is not board.run):
                return str(claim["claimName"])
    raise ClusterError(
        f"run {board.name} has no volume with results",
        f"Its PipelineRun binds no workspace {' or '.join(DATA)} to a PersistentVolumeClaim.",
    )


def read_reports(file: Path) -> list[Report]:
    """The measurements in a file; none where no known load generator wrote it."""
    if file.suffix != ".json":
        return []
    try:
        return import_reports(file)
    except DocumentError:
        return []


def _places(board: Board, root: Place) -> dict[str, Place]:
    """Each treatment's directory bears the study's id and its name; without treatments, the whole volume is meant."""
    named = {
        trial: replace(root, directory=f"{root.directory}/{board.study}-{trial}") for trial in sorted(board.trials)
    }
    return named or {WHOLE: root}


async def _exists(place: Place) -> bool:
    done = await execute(place.cluster, place.pod, ["test", "-d", place.directory], place.container)
    return done.code == 0


def _telling(progress: Callable[[str, int, int], object] | None, trial: str) -> Callable[[int, int], object]:
    return lambda done, total: progress(trial, done, total) if progress else None
