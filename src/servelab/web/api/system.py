"""This machine: what is here, what is wrong with it, and what crashed studies left."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from servelab.lab.cleanup import leftovers, remove_leftovers
from servelab.lab.doctor import examine, examine_harness
from servelab.lab.system import System, system
from servelab.platforms.base import Leftover
from servelab.spec.errors import ServelabError
from servelab.spec.finding import Finding
from servelab.store.store import Store
from servelab.web.api.problem import PROBLEMS
from servelab.web.context import store_of

router = APIRouter(prefix="/api/v1", tags=["system"], responses=PROBLEMS)
Here = Annotated[Store, Depends(store_of)]


class Leftovers(BaseModel):
    """What still runs though nobody waits for it; ``unreachable`` are platforms that could not be asked."""

    leftovers: tuple[Leftover, ...]
    unreachable: tuple[str, ...] = ()


@router.get("/system")
def show(store: Here) -> System:
    """Versions, directories, accelerators and who holds them, workers."""
    return system(store)


@router.get("/doctor")
def doctor(store: Here) -> list[Finding]:
    """Check engines, store, disk, cores and leftovers, each with its remedy."""
    return list(examine(store.url))


@router.post("/doctor/harness")
def doctor_harness() -> list[Finding]:
    """Hold the load generator against a server whose schedule is known; takes 20 seconds, and two cores."""
    return list(examine_harness())


@router.get("/leftovers")
def list_leftovers(store: Here) -> Leftovers:
    """Engines that crashed studies of this store left running; ends nothing."""
    unreachable: list[ServelabError] = []
    found = leftovers(store, unreachable.append)
    return Leftovers(leftovers=tuple(found), unreachable=tuple(error.message for error in unreachable))


@router.delete("/leftovers")
def end_leftovers(store: Here) -> Leftovers:
    """End them, and nothing else; answers what was ended."""
    unreachable: list[ServelabError] = []
    found = remove_leftovers(store, unreachable.append)
    return Leftovers(leftovers=tuple(found), unreachable=tuple(error.message for error in unreachable))
