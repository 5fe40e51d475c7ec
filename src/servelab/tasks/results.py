"""Result files of the inference autotuner: read into the store, and written from it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from servelab.harnesses.external.genai_bench import read_all
from servelab.harnesses.external.measured import imported
from servelab.lab.identity import worker_name
from servelab.report.files import write_files
from servelab.spec.assess import assess, goal_metrics, objective_value
from servelab.spec.deployment import Failure
from servelab.spec.errors import DocumentError
from servelab.spec.report import Report
from servelab.spec.study import Study
from servelab.spec.trial import Measurement, StudyRecord, StudyState, Timings, Trial
from servelab.store.store import Store
from servelab.tasks.configurations import argument_named
from servelab.tasks.study import Imported, label
from servelab.tasks.workload import workload
from servelab.tasks.write import study_of

_STATISTICS = ("mean", "p50", "p90", "p95", "p99", "max")
_STATS = {"ttft": "ttft", "tpot": "tpot", "e2e": "e2e_latency"}


def is_results(data: Any) -> bool:
    """Whether JSON data is a result file."""
    return isinstance(data, Mapping) and "task_name" in data and isinstance(data.get("all_results"), list)


def results(record: StudyRecord, trials: Sequence[Trial]) -> dict[str, Any]:
    """A study in the form of a result file: an experiment for each trial of the search; latencies in seconds."""
    every = [_experiment(record.study, trial) for trial in trials if trial.kind != "verification" and trial.final]
    good = [one for one in every if one["status"] == "success"]
    scored = [one for one in good if one.get("objective_score") is not None]
    return {
        "task_name": record.study.name,
        "total_experiments": len(every),
        "successful_experiments": len(good),
        "elapsed_time": sum(trial.timings.total for trial in trials),
        "best_result": min(scored, key=lambda one: one["objective_score"], default=None),
        "all_results": every,
    }


def _experiment(study: Study, trial: Trial) -> dict[str, Any]:
    parameters = {name.replace("_", "-"): value for name, value in trial.parameters.items()}
    # The predecessor counts from 1.
    about = {"experiment_id": trial.number + 1, "parameters": parameters}
    if trial.state == "failed" or not trial.reports:
        why = trial.failure.message if trial.failure else trial.note
        return {**about, "status": "failed", "metrics": None, "error_message": why}
    found: dict[str, Any] = {**about, "status": "success", "metrics": _metrics(study, trial)}
    value = objective_value(study.objectives[0], trial.reports) if study.objectives else None
    if value is not None:
        # Lower is better there, so that what is maximized is written negative.
        found["objective_score"] = -value if study.objectives[0].direction == "maximize" else value
    return found


def _metrics(study: Study, trial: Trial) -> dict[str, Any]:
    """Each level as genai-bench sums it up, and the means over the levels."""
    reports = trial.reports
    failed = sum(sum(report.errors.values()) for report in reports)
    total = sum(report.requests for report in reports)
    found: dict[str, Any] = {
        "num_result_files": len(reports),
        "concurrency_levels": [report.load.level for report in reports],
        "raw_results": [_raw(study, report) for report in reports],
    }
    for name, ours in (("e2e_latency", "e2e"), ("ttft", "ttft"), ("tpot", "tpot")):
        for statistic in ("mean", "p50", "p90", "p99") if ours == "e2e" else ("mean",):
            values = [r.metrics[f"{ours}_{statistic}"] for r in reports if f"{ours}_{statistic}" in r.metrics]
            if values:
                found[f"{statistic}_{name}"] = fmean(values)
    for name in ("output_throughput", "total_throughput"):
        values = [report.metrics[name] for report in reports if name in report.metrics]
        if values:
            found |= {f"mean_{name}": fmean(values), f"max_{name}": max(values)}
    found |= {"total_requests": total, "total_completed_requests": total - failed, "total_error_requests": failed}
    return found | {"success_rate": (total - failed) / total if total else 0.0, "elapsed_time": trial.timings.measure}


def _raw(study: Study, report: Report) -> dict[str, Any]:
    failed = sum(report.errors.values())
    rates = {
        "mean_output_throughput_tokens_per_s": "output_throughput",
        "mean_total_tokens_throughput_tokens_per_s": "total_throughput",
        "requests_per_second": "request_throughput",
    }
    return {
        "scenario": study.workload.name,
        "num_concurrency": int(report.load.level),
        "iteration_type": "num_concurrency",
        "run_duration": report.duration,
        **{name: report.metrics[ours] for name, ours in rates.items() if ours in report.metrics},
        "error_codes_frequency": dict(report.errors),
        "error_rate": failed / report.requests if report.requests else 0.0,
        "num_error_requests": failed,
        "num_completed_requests": report.requests - failed,
        "num_requests": report.requests,
        "stats": {
            name: {s: report.metrics[f"{ours}_{s}"] for s in _STATISTICS if f"{ours}_{s}" in report.metrics}
            for ours, name in _STATS.items()
        },
    }


def keep_results(store: Store, data: Mapping[str, Any], path: Path, study: Study | None = None) -> StudyRecord:
    """Store a result file as a study that is done; ``study`` is what its task was, where that is known.

    Raises:
        DocumentError: the file is damaged, or nothing in it was measured.
        StoreError: the store fails.
    """
    try:
        found = [(one, [imported(m) for m in read_all(path, {"all_results": [one]})]) for one in data["all_results"]]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise DocumentError((f"{path} is damaged: {type(error).__name__}: {error}",)) from error
    if study is None:
        study = _study(data, [report for _, reports in found for report in reports], path)
    record = store.create_study(study)
    store.set_study_state(record.id, "running", f"imported from {path.name}")
    parameters = [_parameters(study.engine.name, one["parameters"]) for one, _ in found]
    store.add_trials(record.id, [Trial(number=n, parameters=each) for n, each in enumerate(parameters)])
    worker = worker_name()
    for experiment, reports in found:
        trial = store.claim(record.id, worker)
        assert trial is not None, "a trial that was just added"
        for point, report in enumerate(sorted(reports, key=lambda one: one.load.level)):
            known = {"parameters": trial.parameters, "engine": study.engine.name, "model": study.model.id}
            told = report.model_copy(update={"provenance": report.provenance.model_copy(update=known)})
            place = Measurement(phase="full", point=point, repeat=0, report=told)
            store.add_measurement(record.id, trial.number, worker, place)
        _finish(store, record.id, study, trial.number, worker, experiment)
    state: StudyState = "complete" if any(reports for _, reports in found) else "failed"
    store.set_study_state(record.id, state, f"imported from {path.name}")
    return store.get_study(record.id)


def _finish(store: Store, study_id: str, study: Study, number: int, worker: str, experiment: Mapping[str, Any]) -> None:
    measured = store.trial(study_id, number)
    failed = experiment.get("status") != "success" or not measured.reports
    why = str(experiment.get("error_message") or "the result file does not say why it failed")
    judged = assess(study, measured)
    store.finish_trial(
        study_id,
        number,
        worker,
        state="failed" if failed else "complete",
        failure=Failure(kind="unknown", stage="measure", message=why) if failed else None,
        timings=Timings(total=float((experiment.get("metrics") or {}).get("elapsed_time") or 0.0)),
        outcome={} if failed else goal_metrics(study, measured.reports),
        value=judged.values[0] if judged.values and not failed else None,
        feasible=judged.feasible if judged.trusted and not failed else None,
    )


def _parameters(engine: str, raw: Mapping[str, Any]) -> dict[str, Any]:
    return {argument_named(engine, name): value for name, value in raw.items()}


def _study(data: Mapping[str, Any], reports: Sequence[Report], path: Path) -> Study:
    """As much of the task as a result file tells; it says nothing of the engine, which was SGLang by default."""
    raws = [raw for one in data["all_results"] for raw in (one.get("metrics") or {}).get("raw_results") or ()]
    if not raws:
        raise DocumentError(
            (f"{path}: nothing in it was measured",), "Name its task, to keep the failures: --task task.json"
        )
    scenario = str(raws[0].get("scenario", "D(100,100)"))
    document = {
        "name": label(str(data["task_name"])),
        "description": f"imported from {path.name}",
        "model": {"id": str(data["task_name"])},
        "engine": {"name": "sglang"},
        "workload": {"name": scenario, **workload(scenario), "api": "chat"},
        "load": {
            "concurrency": sorted({report.load.level for report in reports}),
            "requests": max(report.requests for report in reports) or 1,
        },
        "treatments": [_parameters("sglang", one["parameters"]) for one in data["all_results"]],
        "objectives": ["minimize e2e_mean"],
    }
    return study_of(Imported(document, ()), path.name)


def write_results(record: StudyRecord, trials: Sequence[Trial], directory: Path) -> Path:
    """Write a study's result file.

    Raises:
        ServelabError: the directory cannot be written.
    """
    text = json.dumps(results(record, trials), indent=2, allow_nan=False) + "\n"
    return write_files(directory, {f"{record.study.name}_results.json": text})[0]
