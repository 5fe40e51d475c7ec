"""The loop, on the simulated engine made fast: what a study does from its start to its verdict."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable

import pytest

from servelab.engines.simulated.api import VERSION
from servelab.harnesses.builtin.harness import Builtin
from servelab.lab import worker
from servelab.lab.control import cancel_study, pause_study
from servelab.lab.paths import trial_directory
from servelab.lab.prior import prior_source
from servelab.lab.run import run_study
from servelab.lab.suggest import candidates, observation
from servelab.platforms.process import ProcessPlatform
from servelab.report.digest import digest
from servelab.report.rows import trial_rows
from servelab.report.verdict import conclude
from servelab.spec.errors import MachineError, ServelabError, StoreError
from servelab.spec.load import LoadPoint
from servelab.spec.report import ClientHealth
from servelab.spec.study import Study
from servelab.store.store import Store
from tests.lab.studies import servelab, small, start
from tests.platforms.machine import open_files

SIMULATED = "{name: simulated, arguments: {max_model_len: 1024, time_scale: 0.05, startup_seconds: 0}}"
SPACE = "{parameters: {max_num_seqs: [1, 2, 4, 8, 16, 32], enable_prefix_caching: [true, false]}}"


def simulated(**changes: str) -> Study:
    changes.setdefault("engine", SIMULATED)
    changes.setdefault("space", SPACE)
    return small(**changes)


def faulty(fault: str) -> str:
    return SIMULATED.replace("}}", f", fault: {fault}}}}}")


async def finish(store: Store, study: Study):
    return await run_study(store, store.create_study(study).id)


def unfit(
    monkeypatch,
    seen: Callable[[int, LoadPoint], ClientHealth | None],
    metrics: Callable[[int], dict[str, float]] = lambda number: {},
) -> list[LoadPoint]:
    """Give measurements another verdict on their client, or other metrics, by their number; the rest is measured.

    What this machine has to do beside the test would decide otherwise.
    """
    measure, loads = Builtin.measure, []

    async def measured(harness, job, progress):
        number = len(loads)
        loads.append(job.load)
        report = await measure(harness, job, progress)
        health = seen(number, job.load) or report.client
        assert metrics(number).keys() <= report.metrics.keys()
        return report.model_copy(update={"client": health, "metrics": report.metrics | metrics(number)})

    monkeypatch.setattr(Builtin, "measure", measured)
    return loads


SLOW = ClientHealth(verdict="saturated", reasons=("it used 99% of its core",))
SOUND = ClientHealth(verdict="ok")


async def test_baseline_first_then_the_search_then_verification(store, monkeypatch):
    unfit(monkeypatch, lambda *_: SOUND)
    budget = "{trials: 5, screening: 0, verification: {top: 2, rounds: 2}}"
    record = await finish(store, simulated(budget=budget, baseline="{max_num_seqs: 2}"))
    trials = store.trials(record.id)
    assert record.state == "complete"
    assert [t.kind for t in trials] == ["baseline"] + ["search"] * 4 + ["verification"] * 6
    assert trials[0].parameters == {"max_num_seqs": 2, "enable_prefix_caching": True}
    rounds = [t.round for t in trials[5:]]
    assert rounds == [0, 0, 0, 1, 1, 1]
    first, second = [t.verifies for t in trials[5:8]], [t.verifies for t in trials[8:]]
    assert set(first) == set(second)
    assert 0 in first
    assert first != second, "the order turns from round to round"
    assert {t.number for t in candidates(record.study, trials[:5])} == set(first) - {0}


async def test_what_foretold_the_first_trials_is_kept(store):
    study = simulated(
        model="{id: meta-llama/Llama-3.1-8B-Instruct}",
        engine=SIMULATED.replace("arguments", "resources: {accelerator: l4-24gb, accelerators: 1}, arguments"),
        budget="{trials: 1, screening: 0, verification: {top: 0}}",
    )
    record = await finish(store, study)
    (told,) = [event.data for event in store.events(0, record.id) if event.kind == "prior"]
    assert told == {"source": prior_source(study)}
    assert "data sheets" in told["source"]


async def test_a_log_that_cannot_be_written_pauses_the_study(store):
    record = store.create_study(simulated(budget="{trials: 1, screening: 0, verification: {top: 0}}"))
    blocked = trial_directory(record.id, 0) / "engine-100.log"
    blocked.mkdir(parents=True)
    with pytest.raises(StoreError, match="cannot write the engine's log"):
        await run_study(store, record.id)
    assert store.study_state(record.id) == "paused"
    assert store.trials(record.id)[0].failure is None
    assert (await run_study(store, record.id)).state == "complete"


def exhausted(monkeypatch, times: int) -> None:
    """Leave no file to open when a port is asked for, so many times."""
    address, left = ProcessPlatform.address, iter(range(times))

    def asked(platform):
        with open_files(0) if next(left, None) is not None else contextlib.nullcontext():
            return address(platform)

    monkeypatch.setattr(ProcessPlatform, "address", asked)


async def test_an_exhausted_machine_is_tried_again(store, monkeypatch):
    monkeypatch.setattr(worker, "RETRY_PAUSE", 0.1)
    exhausted(monkeypatch, 2)
    record = await finish(store, simulated(budget="{trials: 2, screening: 0, verification: {top: 0}}"))
    assert record.state == "complete"
    assert [t.state for t in store.trials(record.id)] == ["complete", "complete"]
    retried = [e.data["failure"] for e in store.events(0, record.id) if e.kind == "retry"]
    assert retried == ["no port is free: Too many open files"] * 2


async def test_a_machine_that_stays_exhausted_pauses_the_study_and_no_trial_is_to_blame(store, monkeypatch):
    monkeypatch.setattr(worker, "RETRY_PAUSE", 0.1)
    record = store.create_study(simulated(budget="{trials: 3, screening: 0, verification: {top: 0}}"))
    exhausted(monkeypatch, 3)
    with pytest.raises(MachineError, match="no port is free") as caught:
        await run_study(store, record.id)
    assert "servelab resume" in caught.value.remedy
    (trial,) = store.trials(record.id)
    assert (store.study_state(record.id), trial.state, trial.failure) == ("paused", "waiting", None)
    assert (await run_study(store, record.id)).state == "complete"
    assert [t.state for t in store.trials(record.id)] == ["complete"] * 3


async def test_a_failed_default_ends_the_study_with_its_diagnosis(store):
    record = await finish(store, simulated(baseline="{max_num_seqs: 4}", engine=faulty("die-at-start")))
    (trial,) = store.trials(record.id)
    assert record.state == "failed"
    assert "the default configuration does not run" in record.message
    assert trial.failure is not None
    assert trial.failure.remedy


async def test_an_impossible_configuration_is_an_observation(store):
    space = "{parameters: {gpu_memory_utilization: [0.1, 0.9], max_num_seqs: [4, 8]}}"
    record = await finish(
        store,
        simulated(space=space, baseline="{gpu_memory_utilization: 0.9}", budget="{trials: 5, verification: {top: 0}}"),
    )
    failed = [t for t in store.trials(record.id) if t.state == "failed"]
    assert record.state == "complete"
    assert failed
    assert {t.failure.kind for t in failed if t.failure} == {"out_of_memory"}
    assert all(t.parameters["gpu_memory_utilization"] == 0.1 for t in failed)


@pytest.mark.parametrize(
    ("fault", "kind", "timeouts"),
    [
        ("error-429", "all_requests_failed", ""),
        ("error-500", "all_requests_failed", ""),
        ("garbage", "all_requests_failed", ""),
        ("half-stream", "all_requests_failed", ""),
        ("die-under-load", "crash", ""),
        ("hang-at-start", "ready_timeout", "ready: 3s, stop: 2s"),
        ("hang-under-load", "measure_timeout", "measure: 5s, stop: 2s"),
    ],
)
async def test_bad_days_are_told_apart(store, fault, kind, timeouts):
    budget = f"{{trials: 2, retries: 0, timeouts: {{{timeouts}}}, verification: {{top: 0}}}}"
    record = await finish(store, simulated(engine=faulty(fault), budget=budget))
    (trial,) = store.trials(record.id)
    assert trial.failure is not None
    assert trial.failure.kind == kind
    assert trial.failure.message
    assert trial.failure.remedy


async def test_loads_are_inner_and_parameters_outer(store):
    study = simulated(
        load="{concurrency: [1, 2, 4], requests: 10}",
        space="",
        objectives="",
        constraints="",
        factors="{max_num_seqs: [4, 8]}",
        budget="{repeats: 2}",
    )
    record = await finish(store, study)
    starts = [e for e in store.events(0, record.id) if e.kind == "claimed"]
    measured = [e for e in store.events(0, record.id) if e.kind == "measured"]
    assert record.state == "complete"
    assert len(starts) == 2
    assert len(measured) == 2 * 3 * 2


async def test_a_sweep_fills_in_between_its_extremes(store, monkeypatch):
    reached = ({"request_throughput": 20.0}, {"request_throughput": 80.0})
    unfit(monkeypatch, lambda *_: SOUND, lambda number: reached[number] if number < 2 else {})
    study = simulated(
        load="{sweep: 4, requests: 60, max_concurrency: 8}", space="", objectives="", constraints="", budget="{}"
    )
    record = await finish(store, study)
    (trial,) = store.trials(record.id, with_reports=True)
    loads = [m.report.load for m in trial.measurements]
    assert [load.kind for load in loads] == ["concurrency", "throughput", "constant", "constant"]
    slow, fast = (m.report.metrics["request_throughput"] for m in trial.measurements[:2])
    assert slow < loads[2].level < loads[3].level
    assert loads[3].level == pytest.approx(fast)


async def test_hopeless_trials_are_stopped_after_screening(store, monkeypatch):
    unfit(monkeypatch, lambda *_: SOUND, lambda number: {"output_throughput": 1e6} if number == 0 else {})
    study = simulated(
        space="{parameters: {max_num_seqs: [1, 16]}}",
        baseline="{max_num_seqs: 16}",
        load="{concurrency: 8, requests: 80, warmup: 8}",
        budget="{trials: 2, screening: 0.25, verification: {top: 0}}",
    )
    record = await finish(store, study)
    stopped = store.trials(record.id, with_reports=True)[1]
    assert stopped.parameters == {"max_num_seqs": 1}
    assert stopped.state == "stopped"
    assert "behind the best" in stopped.note
    assert [m.phase for m in stopped.measurements] == ["screen"]


async def test_a_client_that_was_disturbed_measures_once_more(store, monkeypatch):
    loads = unfit(monkeypatch, lambda number, _: SLOW if number == 1 else SOUND)
    budget = "{trials: 2, screening: 0, verification: {top: 0}}"
    record = await finish(store, simulated(budget=budget, constraints="[ttft_p50 <= 20s]"))
    trials = store.trials(record.id, with_reports=True)
    assert len(loads) == 3
    assert [t.feasible for t in trials] == [True, True]
    assert [len(t.measurements) for t in trials] == [1, 1]
    assert trials[0].measurements[0].report.provenance.seed != trials[1].measurements[0].report.provenance.seed
    (again,) = [event for event in store.events(0, record.id) if event.kind == "remeasured"]
    assert again.trial == 1
    assert again.data["reasons"] == list(SLOW.reasons)


async def test_what_the_client_was_too_slow_for_is_not_learned(store, monkeypatch):
    unfit(monkeypatch, lambda number, _: SOUND if number == 0 else SLOW)
    budget = "{trials: 4, screening: 0, verification: {top: 2, rounds: 1}}"
    record = await finish(store, simulated(budget=budget, constraints="[ttft_p50 <= 20s]"))
    trials = store.trials(record.id, with_reports=True)
    assert record.state == "complete"
    assert [t.state for t in trials] == ["complete"] * 4, "and none of them is worth a re-test"
    assert trials[0].outcome.keys() == {"output_throughput", "ttft_p50"}
    for trial in trials[1:]:
        assert (trial.outcome, trial.feasible) == ({}, None)
        assert "too slow to tell (it used 99% of its core)" in trial.note
        assert trial.reports[0].metrics["output_throughput"] > 0, "what was seen is kept"
        told = observation(trial)
        assert (told.metrics, told.cause, told.transient) == ({}, None, False)
    found = conclude(record, trials)
    assert (found.kind, found.trial) == ("unverified", 0)
    assert "ok, in doubt" in {row.outcome for row in trial_rows(digest(record, trials))}


async def test_a_server_that_makes_the_client_wait_is_learned_from(store, monkeypatch):
    capped = SLOW.model_copy(update={"capped": True})
    loads = unfit(monkeypatch, lambda *_: capped)
    record = await finish(store, simulated(budget="{trials: 2, screening: 0, verification: {top: 0}}"))
    assert len(loads) == 2
    assert all(t.outcome["output_throughput"] > 0 for t in store.trials(record.id))


async def test_nothing_is_hopeless_to_a_client_that_was_too_slow(store, monkeypatch):
    unfit(monkeypatch, lambda number, load: SLOW if load.requests == 20 else None)
    study = simulated(
        space="{parameters: {max_num_seqs: [1, 16]}}",
        baseline="{max_num_seqs: 16}",
        load="{concurrency: 8, requests: 80, warmup: 8}",
        budget="{trials: 2, screening: 0.25, verification: {top: 0}}",
        constraints="[ttft_p50 <= 1us]",
    )
    record = await finish(store, study)
    slow = store.trials(record.id, with_reports=True)[1]
    assert slow.state == "complete"
    assert [m.phase for m in slow.measurements] == ["screen", "full"]


async def test_parallel_trials_run_side_by_side(store):
    study = simulated(
        budget="{trials: 6, parallel: 2, screening: 0, verification: {top: 0}}", load="{concurrency: 1, requests: 40}"
    )
    record = await finish(store, study)
    trials = store.trials(record.id)
    assert len(trials) == 6
    assert len({tuple(sorted(t.parameters.items())) for t in trials}) == 6
    claims = [(e.kind, e.trial) for e in store.events(0, record.id) if e.kind in ("claimed", "finished")]
    running = most = 0
    for kind, _ in claims:
        running += 1 if kind == "claimed" else -1
        most = max(most, running)
    assert most == 2


async def test_pause_lets_the_trial_finish_and_resume_goes_on(store):
    record = store.create_study(simulated(budget="{trials: 4, screening: 0, verification: {top: 0}}"))
    running = asyncio.ensure_future(run_study(store, record.id))
    while not any(t.state == "running" for t in store.trials(record.id)):
        await asyncio.sleep(0.02)
    pause_study(store, record.id)
    paused = await running
    assert paused.state == "paused"
    assert all(t.state in ("complete", "waiting") for t in store.trials(record.id))
    assert (await run_study(store, record.id)).state == "complete"
    assert len(store.trials(record.id)) == 4


async def test_cancel_stops_the_trial_and_ends_the_study(store):
    record = store.create_study(simulated(load="{concurrency: 1, requests: 100000}"))
    running = asyncio.ensure_future(run_study(store, record.id))
    while not any(t.state == "running" for t in store.trials(record.id)):
        await asyncio.sleep(0.02)
    cancel_study(store, record.id)
    assert (await asyncio.wait_for(running, 120)).state == "cancelled"
    with pytest.raises(ServelabError, match="already ended"):
        pause_study(store, record.id)


def test_ctrl_c_leaves_a_study_that_can_be_resumed(store, tmp_path):
    slow = SIMULATED.replace("startup_seconds: 0", "startup_seconds: 2")  # or it might be through before it is told
    budget = "{trials: 3, screening: 0, verification: {top: 0}}"
    record = store.create_study(simulated(engine=slow, budget=budget))
    process = start("resume", record.id, log=tmp_path / "log")
    while not any(t.state == "running" for t in store.trials(record.id)):
        time.sleep(0.05)
    process.terminate()
    assert process.wait(120) == 130
    assert "servelab resume" in (tmp_path / "log").read_text()
    assert store.study_state(record.id) == "paused"
    assert not [t for t in store.trials(record.id) if t.state == "running"]
    servelab("resume", record.id)
    assert store.study_state(record.id) == "complete"


async def test_an_endpoint_is_measured_at_several_loads(store, unused_tcp_port):
    served = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "servelab.engines.simulated", "m", "--port", str(unused_tcp_port), "--time-scale", "0.05"
    )
    try:
        study = simulated(
            model="{id: m}",
            engine="{name: vllm}",
            platform=f"{{name: endpoint, options: {{url: 'http://127.0.0.1:{unused_tcp_port}'}}}}",
            load="{rate: [5, 10], requests: 20}",
            space="",
            objectives="",
            constraints="",
        )
        record = await finish(store, study)
        (trial,) = store.trials(record.id, with_reports=True)
        assert record.state == "complete"
        assert [m.report.load.level for m in trial.measurements] == [5, 10]
        told = trial.reports[0].provenance
        assert told.simulated, "though the study says engine: vllm"
        assert told.engine_version == VERSION
    finally:
        served.terminate()
        await served.wait()


async def test_an_endpoint_that_does_not_answer_is_called_unreachable(store, unused_tcp_port):
    study = simulated(
        model="{id: m}",
        platform=f"{{name: endpoint, options: {{url: 'http://127.0.0.1:{unused_tcp_port}'}}}}",
        load="{concurrency: 1, requests: 5}",
        budget="{retries: 0, timeouts: {ready: 1}}",
        **dict.fromkeys(("space", "objectives", "constraints", "sampler"), ""),
    )
    record = await finish(store, study)
    (trial,) = store.trials(record.id)
    assert (trial.failure.kind, trial.failure.stage) == ("unreachable", "ready")
