"""What Prometheus reads: ``GET /metrics``, in its text format."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, get_args

import psutil
from fastapi import APIRouter, Depends
from fastapi.responses import PlainTextResponse
from nicegui import Client

from servelab import __version__
from servelab.spec.trial import StudyState, TrialState
from servelab.web.context import Context, context_of

CONTENT = "text/plain; version=0.0.4; charset=utf-8"
router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Metric:
    """One metric; ``samples`` are values by their labels, written as ``state="running"``."""

    name: str
    kind: str
    help: str
    samples: Mapping[str, float] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        """As Prometheus reads it."""
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} {self.kind}"
        for labels, value in self.samples.items():
            yield f"{self.name}{f'{{{labels}}}' if labels else ''} {value:.15g}"


@router.get("/metrics")
async def metrics(here: Annotated[Context, Depends(context_of)]) -> PlainTextResponse:
    """Studies, trials, who is connected, and what this process takes."""
    found = await asyncio.to_thread(lambda: [*_store(here), *_process()])
    text = "\n".join(line for metric in (*found, *_connected(here)) for line in metric.lines())
    return PlainTextResponse(text + "\n", media_type=CONTENT)


def _store(here: Context) -> Iterator[Metric]:
    counts, last = here.store.counts(), here.store.last_event()
    states = {f'state="{state}"': counts.studies.get(state, 0) for state in get_args(StudyState)}
    yield Metric("servelab_studies", "gauge", "Studies in the store, by state.", states)
    states = {f'state="{state}"': counts.trials.get(state, 0) for state in get_args(TrialState)}
    yield Metric("servelab_trials", "gauge", "Trials of all studies, by state.", states)
    yield Metric("servelab_events_total", "counter", "Events that the store has counted.", {"": last})


def _connected(here: Context) -> Iterator[Metric]:
    pages = sum(client.has_socket_connection for client in list(Client.instances.values()))
    yield Metric("servelab_pages", "gauge", "Pages that browsers have open.", {"": pages})
    text = "Pages and event streams that follow what happens."
    yield Metric("servelab_followers", "gauge", text, {"": here.live.followers})


def _process() -> Iterator[Metric]:
    process = psutil.Process()
    with process.oneshot():
        times, memory, files = process.cpu_times(), process.memory_info(), process.num_fds()
        started = process.create_time()
    version = {f'version="{__version__}"': 1.0}
    yield Metric("servelab_info", "gauge", "The version that runs.", version)
    yield Metric("process_cpu_seconds_total", "counter", "Processor time, in seconds.", {"": times.user + times.system})
    yield Metric("process_resident_memory_bytes", "gauge", "Resident memory.", {"": memory.rss})
    yield Metric("process_virtual_memory_bytes", "gauge", "Virtual memory.", {"": memory.vms})
    yield Metric("process_open_fds", "gauge", "Open files.", {"": files})
    yield Metric("process_start_time_seconds", "gauge", "When the process started.", {"": started})
