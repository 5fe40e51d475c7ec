"""Trials side by side."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from servelab.report.compare import ComparedTrials, compare_trials
from servelab.store.store import Store
from servelab.web.api.problem import PROBLEMS
from servelab.web.chosen import MOST, look_up, read_choices
from servelab.web.context import store_of

router = APIRouter(prefix="/api/v1", tags=["results"], responses=PROBLEMS)


@router.get("/compare")
def compare(
    store: Annotated[Store, Depends(store_of)],
    trials: Annotated[
        list[Annotated[str, Query(max_length=80)]],
        Query(
            min_length=2,
            max_length=MOST,
            description="trials of any studies as STUDY:NUMBER; the first is what the others are held against",
            examples=[["quickstart-1a2b3:0", "quickstart-1a2b3:7"]],
        ),
    ],
) -> ComparedTrials:
    """Trials side by side: values at each load level, changes with their intervals, and whether they are noise."""
    return compare_trials(look_up(store, read_choices(trials)))
