"""Why a run failed, found while what shows it is there, and kept with the run."""

from __future__ import annotations

from pydantic import ValidationError

from servelab.kube.cluster import Cluster
from servelab.spec.errors import NotFoundError
from servelab.tekton.board import Board
from servelab.tekton.diagnosis import Diagnosis, diagnose
from servelab.tekton.evidence import gather
from servelab.tekton.experiment import Experiment
from servelab.tekton.kinds import PIPELINE_RUN
from servelab.tekton.source import read_source

ANNOTATION = "servelab/diagnosis"


async def explain(cluster: Cluster, board: Board) -> Diagnosis | None:
    """Why a run failed, as was found before, or as is to be seen now; None when it did not fail.

    Raises:
        ClusterError: the cluster cannot be asked.
    """
    status = board.status
    if status is None or not (status.failed or status.state == "FAILURE"):
        return None
    kept = _kept(board)
    if kept is not None:
        return kept
    failed, seen = await gather(cluster, board, status)
    task, trial = (failed.task, failed.trial) if failed else ("", "")
    source = await _source(cluster, board.name)
    parameters, engine = (source.parameters(trial), source.engine) if source else ({}, "vllm")
    found = diagnose(seen, task, trial, parameters, engine)
    annotations = {ANNOTATION: found.model_dump_json()}
    board.run = await cluster.merge(PIPELINE_RUN, board.name, {"metadata": {"annotations": annotations}})
    return found


def _kept(board: Board) -> Diagnosis | None:
    text = ((board.run or {}).get("metadata", {}).get("annotations") or {}).get(ANNOTATION)
    try:
        return Diagnosis.model_validate_json(text) if text else None
    except ValidationError:
        return None  # of another version of servelab


async def _source(cluster: Cluster, run: str) -> Experiment | None:
    try:
        return await read_source(cluster, run)
    except NotFoundError:
        return None  # a run that servelab did not submit
