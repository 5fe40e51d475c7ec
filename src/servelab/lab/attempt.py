"""One attempt at a trial: deploy, measure, stop; whatever happens, it ends in an outcome."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from servelab.lab.accelerators.count import accelerator_count
from servelab.lab.diagnosis import DeploymentEndedError, Misfire, Stage, explain
from servelab.lab.measure import Measured, measure_trial
from servelab.lab.setup import Setup
from servelab.platforms.base import Running, Tell
from servelab.platforms.said import Said, ask_version
from servelab.spec.deployment import Address, Deployment, Failure, Launch, Mark
from servelab.spec.errors import MachineError, StoreError, is_exhaustion
from servelab.spec.trial import Measurement, Timings, Trial, TrialState

Save = Callable[[Measurement], None]


@dataclass
class Outcome:
    """How an attempt ended."""

    state: TrialState = "failed"
    failure: Failure | None = None
    note: str = ""
    timings: dict[str, float] = field(default_factory=dict)
    command: tuple[str, ...] = ()

    def timed(self, suggest: float) -> Timings:
        """The seconds of each stage; ``suggest`` were spent before the attempt."""
        return Timings(suggest=suggest, **self.timings)


async def attempt_trial(
    setup: Setup, trial: Trial, attempt: int, devices: tuple[str, ...], directory: Path, save: Save
) -> Outcome:
    """Deploy the engine with the trial's parameters, measure what is missing, and stop it.

    Cancellation stops the engine and passes on. ``save`` stores each measurement as soon as it is made.

    Raises:
        MachineError: the machine has no room for the engine or the load generator; the trial is not to blame.
        StoreError: the store refused a measurement, or the trial's files cannot be written.
    """
    outcome = Outcome()
    begun = time.monotonic()
    stage: Stage = "launch"
    running: Running | None = None
    try:
        directory.mkdir(parents=True, exist_ok=True)
        launch = _launch(setup, trial, setup.platform.address(), devices)
        outcome.command = launch.command
        mark = Mark(study=setup.record.id, trial=trial.number, attempt=attempt)
        log = directory / f"engine-{attempt}.log"
        setup.observe("starting", {"trial": trial.number, "command": launch.command})
        running = await setup.platform.start(launch, mark, log, trial.parameters, _teller(setup, trial))
        stage = "ready"
        await running.wait_ready(setup.study.budget.timeouts.ready)
        outcome.timings["ready"] = time.monotonic() - begun
        stage = "measure"
        setup.observe("ready", {"trial": trial.number, "seconds": round(outcome.timings["ready"], 1)})
        deployment = await _deployment(setup, launch, running)
        measured = await _unless_it_ends(running, measure_trial(setup, trial, deployment, directory, save))
        outcome.state, outcome.note = measured.state, measured.note
    except MachineError:
        raise
    except Misfire as error:
        outcome.failure = explain(setup.engine, error, stage, running)
    except OSError as error:
        if is_exhaustion(error):
            raise MachineError(f"trial {trial.number} cannot go on: {error.strerror}") from error
        raise StoreError(
            f"cannot keep the files of trial {trial.number} in {directory}: {error.strerror or error}",
            "Free some space or set SERVELAB_HOME to another place; then: servelab resume",
        ) from error
    finally:
        outcome.timings["measure"] = time.monotonic() - begun - outcome.timings.get("ready", 0.0)
        if running is not None:
            await _stop(running, setup.study.budget.timeouts.stop, outcome)
        outcome.timings["total"] = time.monotonic() - begun
    return outcome


def _teller(setup: Setup, trial: Trial) -> Tell:
    """Shows what the platform waits for."""
    return lambda text: setup.observe("waiting", {"trial": trial.number, "text": text})


def _launch(setup: Setup, trial: Trial, address: Address, devices: tuple[str, ...]) -> Launch:
    launch = setup.engine.launch(setup.model, setup.config, trial.parameters, address)
    count = accelerator_count(setup.study, trial.parameters)
    own = {"accelerators": count, "devices": devices, "resources": setup.config.resources, "model": setup.model.id}
    return launch.model_copy(update=own)


async def _deployment(setup: Setup, launch: Launch, running: Running) -> Deployment:
    if setup.platform.starts_engine:
        said = Said(setup.engine.version(setup.config))
    else:  # what is installed here says nothing of somebody else's server
        said = await ask_version(running.url)
    return Deployment(
        url=running.url,
        metrics_url=running.url + launch.metrics_path if launch.metrics_path else None,
        model=setup.model.name,
        simulated=setup.engine.simulated or said.simulated,
        engine=setup.engine.name,
        engine_version=said.version or setup.config.version,
        log=str(running.log) if running.log else None,
        pid=running.pid,
        cpus=running.cpus,
        devices=launch.devices,
        service=running.service,
    )


async def _unless_it_ends(running: Running, work: Coroutine[Any, Any, Measured]) -> Measured:
    """Do ``work``, unless the engine ends by itself first."""
    doing = asyncio.ensure_future(work)
    ending = asyncio.ensure_future(running.wait_exit())
    try:
        await asyncio.wait((doing, ending), return_when=asyncio.FIRST_COMPLETED)
        if ending.done() and not doing.done():
            raise DeploymentEndedError(ending.result())
        return await doing
    finally:
        for task in (doing, ending):
            task.cancel()
        await asyncio.gather(doing, ending, return_exceptions=True)


async def _stop(running: Running, timeout: float, outcome: Outcome) -> None:
    """Stop the engine to the end, even while this task is being cancelled."""
    begun = time.monotonic()
    stopping = asyncio.ensure_future(running.stop(timeout))
    try:
        await asyncio.shield(stopping)
    except asyncio.CancelledError:
        await stopping
        raise
    finally:
        outcome.timings["stop"] = time.monotonic() - begun
