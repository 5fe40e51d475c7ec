"""A worker: claims trials of a study one at a time, and adds the next when none waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from servelab.lab.accelerators.count import accelerator_count
from servelab.lab.accelerators.lease import lease
from servelab.lab.attempt import Outcome, Save, attempt_trial
from servelab.lab.diagnosis import explain
from servelab.lab.paths import trial_directory
from servelab.lab.setup import Setup
from servelab.lab.steps import End, Try, Verify, Wait, next_step
from servelab.lab.suggest import Suggestions
from servelab.lab.verify import retests
from servelab.spec.assess import assess, learned_metrics
from servelab.spec.errors import DeployError, MachineError, StoreError
from servelab.spec.trial import Measurement, Timings, Trial

HEARTBEAT = 2.0  # seconds between signs of life, and between looks for a cancellation
RETRY_PAUSE = 1.0  # seconds before a trial is attempted again, since what passes needs time; doubled each time
LONGEST_PAUSE = 30.0
POLL = 0.2  # seconds between looks for work while others finish theirs


class Worker:
    """Works on one study until nothing is left to do, or it is told to pause."""

    def __init__(self, setup: Setup, name: str, suggestions: Suggestions) -> None:
        self.setup = setup
        self.name = name
        self.suggestions = suggestions

    async def work(self) -> None:
        """Run trials until the study ends, pauses or is cancelled.

        Cancellation ends the running trial's engine and gives the trial back, so that it can be resumed.

        Raises:
            MachineError: the machine has no room for an engine.
            StoreError: the store is unusable.
        """
        while self.setup.store.study_state(self.setup.record.id) in ("running", "verifying"):
            trial = self.setup.store.claim(self.setup.record.id, self.name)
            if trial is not None:
                await self._run(trial)
            elif not await asyncio.to_thread(self._advance):
                await asyncio.sleep(POLL)

    def _advance(self) -> bool:
        """Take the study one step further; False when only waiting is left."""
        store, record = self.setup.store, self.setup.record
        with store.suggesting(record.id, self.name) as locked:
            if not locked:
                return False
            trials = store.trials(record.id)
            step = next_step(record.study, trials, exhausted=False)
            if isinstance(step, Try):
                begun = time.monotonic()
                parameters = record.study.baseline if step.kind == "baseline" else self.suggestions.next(trials)
                if parameters is not None:
                    timings = Timings(suggest=time.monotonic() - begun)
                    new = Trial(number=len(trials), parameters=parameters, kind=step.kind, timings=timings)
                    return store.add_trials(record.id, [new])
                step = next_step(record.study, trials, exhausted=True)
            if isinstance(step, Verify):
                return self._start_verification(trials, step.reason)
            if isinstance(step, End):
                return store.advance_study(record.id, step.state, step.reason)
            assert isinstance(step, Wait)
            return False

    def _start_verification(self, trials: list[Trial], reason: str) -> bool:
        """Add all verification trials and change the study's state in one transaction."""
        store, record = self.setup.store, self.setup.record
        plan = [
            Trial(
                number=len(trials) + place,
                parameters=retest.trial.parameters,
                kind="verification",
                verifies=retest.trial.number,
                round=retest.round,
            )
            for place, retest in enumerate(retests(record.study, trials))
        ]
        if plan:
            return store.add_trials(record.id, plan, "verifying", reason)
        return store.advance_study(record.id, "complete", reason)

    async def _run(self, trial: Trial) -> None:
        """Run a claimed trial to its end; give it back when interrupted, by a person or by an error of ours.

        Raises:
            MachineError: the machine has no room for the trial.
            StoreError: the store is unusable, or another worker has taken the trial.
        """
        running = asyncio.ensure_future(self._attempts(trial))
        watching = asyncio.ensure_future(self._watch(trial))
        try:
            await asyncio.wait((running, watching), return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                self._finish(trial, running.result())
            else:
                watching.result()
        finally:
            running.cancel()
            watching.cancel()
            await asyncio.gather(running, watching, return_exceptions=True)
            self.setup.store.release(self.setup.record.id, trial.number, self.name)
            self.setup.store.release_devices(self.setup.record.id, trial.number, self.name)

    async def _watch(self, trial: Trial) -> None:
        """Show signs of life until the study is cancelled.

        Raises:
            StoreError: another worker has taken the trial, since this one was silent for too long.
        """
        store, study_id = self.setup.store, self.setup.record.id
        while store.study_state(study_id) != "cancelled":
            if not store.heartbeat(study_id, trial.number, self.name):
                raise StoreError(
                    f"trial {trial.number} of {study_id} was taken over by another worker",
                    f"This one gave no sign of life; the other's result counts. Go on with: servelab resume {study_id}",
                )
            await asyncio.sleep(HEARTBEAT)

    async def _attempts(self, trial: Trial) -> Outcome:
        """Attempt a trial, again while its failures are transient and the budget allows.

        Raises:
            MachineError: the machine had no room for it to the last, so that nothing was learned of the trial.
        """
        directory = trial_directory(self.setup.record.id, trial.number)
        try:
            devices = await self._devices(trial)
        except MachineError:
            raise
        except DeployError as error:
            return Outcome(failure=explain(self.setup.engine, error, "launch", None), timings={"total": 0.0})
        outcome = Outcome()
        spent = 0.0
        last = self.setup.study.budget.retries
        for retry in range(last + 1):
            number = trial.attempts * 100 + retry
            try:
                outcome = await attempt_trial(self.setup, trial, number, devices, directory, self._saver(trial))
            except MachineError as error:
                if retry == last:
                    raise
                passing = error.message
            else:
                spent += outcome.timings["total"]
                passing = outcome.failure.message if outcome.failure and outcome.failure.transient else ""
            if retry == last or not passing:
                break
            self._tell("retry", trial, {"failure": passing})
            await asyncio.sleep(min(LONGEST_PAUSE, RETRY_PAUSE * 2**retry))
            trial = self.setup.store.trial(self.setup.record.id, trial.number)
        outcome.timings["total"] = spent  # what earlier attempts took counts towards the budget too
        return outcome

    async def _devices(self, trial: Trial) -> tuple[str, ...]:
        """Hold the accelerators that the trial needs of this machine, waiting until enough of them are free.

        Raises:
            DeployError: this machine does not have so many.
            MachineError: others use them.
        """
        setup = self.setup
        ours = setup.platform.starts_engine and setup.platform.sees_files and not setup.engine.simulated
        count = accelerator_count(setup.study, trial.parameters) if ours else 0

        def tell(text: str) -> None:
            setup.observe("waiting", {"trial": trial.number, "text": text})

        return await lease(setup.store, setup.record.id, trial.number, self.name, count, tell)

    def _saver(self, trial: Trial) -> Save:
        def save(measurement: Measurement) -> None:
            self.setup.store.add_measurement(self.setup.record.id, trial.number, self.name, measurement)

        return save

    def _finish(self, trial: Trial, outcome: Outcome) -> None:
        """Store how the trial ended, with what the goal makes of it."""
        study = self.setup.study
        measured = self.setup.store.trial(self.setup.record.id, trial.number)
        judged = assess(study, measured)
        complete = outcome.state == "complete"
        self.setup.store.finish_trial(
            self.setup.record.id,
            trial.number,
            self.name,
            state=outcome.state,
            failure=outcome.failure,
            note="; ".join(filter(None, (outcome.note, _doubt(measured)))),
            timings=outcome.timed(trial.timings.suggest),
            command=outcome.command,
            outcome=learned_metrics(study, measured.reports) if outcome.state != "failed" else {},
            value=judged.values[0] if judged.values and complete else None,
            feasible=judged.feasible if complete and judged.trusted else None,
        )
        self.setup.observe("finished", {"trial": trial.number, "state": outcome.state})

    def _tell(self, kind: str, trial: Trial, data: Mapping[str, Any]) -> None:
        self.setup.store.append_event(self.setup.record.id, trial.number, kind, dict(data))
        self.setup.observe(kind, {"trial": trial.number, **data})


def _doubt(trial: Trial) -> str:
    """Why a measured trial teaches nothing, or not all; empty when it teaches what it measured."""
    reasons = dict.fromkeys(reason for r in trial.reports if r.client_bound for reason in r.client.reasons)
    said = f" ({', '.join(reasons)})" if reasons else ""
    return f"the load generator was too slow to tell{said}" if trial.client_bound else ""
