"""The measurements of one deployment: screening first, then every load level in full."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from servelab.harnesses.base import Job, Progress
from servelab.harnesses.tokenizer import tokenizer_of
from servelab.lab.accelerators.count import accelerator_count
from servelab.lab.accelerators.sampling import watched
from servelab.lab.paths import measurement_directory
from servelab.lab.screening import hopeless, shortened
from servelab.lab.seeds import measurement_seed
from servelab.lab.setup import Setup
from servelab.perf.design import next_level
from servelab.perf.sample import samples
from servelab.spec.deployment import Deployment
from servelab.spec.errors import MeasureError
from servelab.spec.load import LoadPoint
from servelab.spec.report import Report
from servelab.spec.samples import too_few
from servelab.spec.saturation import conclude, next_probe
from servelab.spec.study import Study
from servelab.spec.trial import Measurement, Phase, Trial, TrialState

DYING = 1.0  # seconds: an engine that dies breaks its connections off before its end is seen, which then counts


@dataclass(frozen=True)
class Measured:
    """How the measurements of a trial ended: complete, or stopped because they were hopeless."""

    state: TrialState
    note: str = ""


@dataclass
class _Bench:
    """The measurements of one trial on one deployment; those in the store are not made again."""

    setup: Setup
    trial: Trial
    deployment: Deployment
    directory: Path
    save: Callable[[Measurement], None]
    done: dict[tuple[Phase, int, int], Report]

    async def report(self, phase: Phase, point: int, repeat: int, load: LoadPoint) -> Report:
        """The report of one place: from the store, or measured now and stored.

        A load generator that was too slow may have been disturbed, and an engine is dear to start: it gets one more
        chance.
        """
        key = (phase, point, repeat)
        if key not in self.done:
            report = await self._measure(phase, point, repeat, load)
            if phase == "full" and report.client_bound:
                told = {"phase": phase, "point": point, "repeat": repeat, "reasons": report.client.reasons}
                self.setup.store.append_event(self.setup.record.id, self.trial.number, "remeasured", told)
                report = await self._measure(phase, point, repeat, load, again=True)
            self.keep(phase, point, repeat, report)
        return self.done[key]

    def keep(self, phase: Phase, point: int, repeat: int, report: Report) -> None:
        """Store a report in its place."""
        self.save(Measurement(phase=phase, point=point, repeat=repeat, report=report))
        self.done[phase, point, repeat] = report

    async def _measure(self, phase: Phase, point: int, repeat: int, load: LoadPoint, again: bool = False) -> Report:
        study = self.setup.study
        directory = measurement_directory(self.directory, phase, point, repeat)
        # Left by an attempt that died before its report was stored.
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        # An engine that was asked before may answer the same prompts out of its prefix cache.
        asked = "again" if again else ""
        attempt = asked if self.setup.platform.starts_engine else secrets.token_hex(8)
        job = Job(
            deployment=self.deployment,
            workload=study.workload,
            load=load,
            seed=measurement_seed(study, self.trial, phase, point, repeat, attempt),
            directory=directory,
            request_slo=study.request_slo,
            parameters=self.trial.parameters,
            max_concurrency=study.load.max_concurrency,
            tokenizer=tokenizer_of(study.model),
            server_metrics=self.setup.engine.server_metrics,
            cpus=client_cpus(self.deployment),
        )

        def progress(at: Progress) -> None:
            share = at.done / at.total if at.total else 0.0
            self.setup.observe("progress", {"trial": self.trial.number, "phase": phase, "share": share})

        self.setup.observe("measuring", {"trial": self.trial.number, "phase": phase, "load": load.label})
        try:
            async with asyncio.timeout(study.budget.timeouts.measure), watched(self.deployment.devices) as used:
                report = await self.setup.harness.measure(job, progress)
        except MeasureError:
            await asyncio.sleep(DYING)
            raise
        if report.errors:
            await asyncio.sleep(DYING)
        metrics = report.metrics | _per_accelerator(report, accelerator_count(study, self.trial.parameters))
        report = report.model_copy(update={"accelerators": tuple(used), "metrics": metrics})
        return report if phase == "screen" else with_sample_warnings(study, report)


async def measure_trial(
    setup: Setup, trial: Trial, deployment: Deployment, directory: Path, save: Callable[[Measurement], None]
) -> Measured:
    """Measure every load level and repeat that the store does not have yet.

    A search trial is screened first: a short measurement of each level that can be shortened. The engine stays
    up throughout, since only the load changes.

    Raises:
        MeasureError: a measurement is impossible.
        TimeoutError: one took longer than the budget allows.
    """
    done = {(m.phase, m.point, m.repeat): m.report for m in trial.measurements}
    bench = _Bench(setup, trial, deployment, directory, save, done)
    if trial.kind == "search":
        reason = await _screen(bench)
        if reason is not None:
            return Measured("stopped", reason)
    if setup.study.load.saturation:
        return Measured("complete", await _saturate(bench))
    if setup.study.load.estimate:
        return Measured("complete", await _estimate(bench))
    loads = list(setup.study.load.points)
    for repeat in range(setup.study.budget.repeats):
        reports = [await bench.report("full", index, repeat, load) for index, load in enumerate(loads)]
        if repeat == 0 and setup.study.load.sweep:
            loads += _inner_levels(setup, reports)
            for index, load in list(enumerate(loads))[len(reports) :]:
                await bench.report("full", index, repeat, load)
    return Measured("complete")


async def _saturate(bench: _Bench) -> str:
    """Search the highest level that meets the SLO; returns what was found, for people."""
    study = bench.setup.study
    probes: list[Report] = []
    while (load := next_probe(study.load, study.constraints, probes)) is not None:
        probes.append(await bench.report("probe", len(probes), 0, load))
    report, finding = conclude(study.load, study.constraints, probes)
    if ("full", 0, 0) not in bench.done:
        bench.keep("full", 0, 0, report)
    return finding


async def _estimate(bench: _Bench) -> str:
    """Measure the levels that a latency model is best fitted to; returns how many they were, for people."""
    reports: list[Report] = []
    while (load := _next_level(bench, reports)) is not None:
        reports.append(await bench.report("full", len(reports), 0, load))
    return f"{len(reports)} measurements at {len({report.load.level for report in reports})} levels"


def _next_level(bench: _Bench, reports: list[Report]) -> LoadPoint | None:
    places = [measurement_directory(bench.directory, "full", index, 0) for index in range(len(reports))]
    spent = sum(report.duration + report.metrics.get("e2e_mean", 0.0) for report in reports)
    return next_level(bench.setup.study.load, samples(zip(reports, places, strict=True)), spent)


def with_sample_warnings(study: Study, report: Report) -> Report:
    """The report with a warning for each percentile of the goal that it has too few requests for."""
    answered = report.requests - sum(report.errors.values())
    goals = [goal.metric for goal in study.goals if goal.at in (None, report.load.level)]
    found = too_few((name for name in goals if name in report.metrics), answered)
    return report.model_copy(update={"warnings": (*report.warnings, *found)}) if found else report


async def _screen(bench: _Bench) -> str | None:
    """Measure briefly; the reason to stop here, or None."""
    study = bench.setup.study
    short = [shortened(load, study.budget.screening) for load in study.load.points]
    # Levels may depend on what earlier ones showed; a short one is not comparable with a whole one.
    if study.design or study.load.adaptive or any(load is None for load in short):
        return None
    reports = [await bench.report("screen", i, 0, load) for i, load in enumerate(short) if load is not None]
    best = bench.setup.store.summary(bench.setup.record.id).best
    return hopeless(study, reports, best)


def _per_accelerator(report: Report, count: int) -> dict[str, float]:
    """What each accelerator gives; an engine for which none is declared counts as one."""
    throughput = report.metrics.get("output_throughput")
    return {} if throughput is None else {"output_throughput_per_accelerator": throughput / max(1, count)}


def _inner_levels(setup: Setup, extremes: list[Report]) -> tuple[LoadPoint, ...]:
    """The levels of a sweep between what its extremes reached.

    Raises:
        MeasureError: more streams were not faster than one, so there is nothing in between.
    """
    slowest, fastest = (report.metrics.get("request_throughput", 0.0) for report in extremes)
    if not fastest > slowest > 0:
        raise MeasureError(
            f"a sweep has nothing between {slowest:.3g} and {fastest:.3g} requests/s",
            "One stream is already all this server can take; measure at concurrency levels or rates instead.",
        )
    return setup.study.load.between(slowest, fastest)


def client_cpus(deployment: Deployment) -> tuple[int, ...]:
    """The cores the engine leaves to the load generator; empty for any, when it leaves none."""
    available = os.sched_getaffinity(0)
    free = available - set(deployment.cpus)
    return tuple(sorted(free)) if deployment.cpus and free else ()
