"""Put the measurements of a run into the store, as a study with a trial for each treatment."""

from __future__ import annotations

from collections.abc import Mapping

from servelab.lab.identity import worker_name
from servelab.spec.assess import assess, goal_metrics
from servelab.spec.deployment import Failure
from servelab.spec.report import Report
from servelab.spec.study import Study
from servelab.spec.trial import Measurement, StudyRecord, StudyState, Timings, Trial
from servelab.store.store import Store
from servelab.tekton.collect import Collected
from servelab.tekton.diagnosis import Diagnosis
from servelab.tekton.experiment import Experiment
from servelab.tekton.study import study_of


def keep(store: Store, experiment: Experiment, collected: Collected, diagnosis: Diagnosis | None) -> StudyRecord:
    """Store a run's measurements; a treatment without any is a failed trial.

    Raises:
        DocumentError: the experiment makes no study.
        StoreError: the store fails.
    """
    study = study_of(experiment)
    record = store.create_study(study)
    names = sorted({*collected.files, *collected.missing}, key=lambda name: (len(name), name))  # t2 before t10
    store.set_study_state(record.id, "running", f"collected from run {experiment.name}")
    store.add_trials(record.id, [Trial(number=0, parameters=_parameters(experiment, study, name)) for name in names])
    worker = worker_name()
    for name in names:
        trial = store.claim(record.id, worker)
        assert trial is not None, "a trial that was just added"
        reports = collected.reports.get(name, [])
        for point, report in enumerate(reports):
            place = Measurement(phase="full", point=point, repeat=0, report=_told(report, study, trial))
            store.add_measurement(record.id, trial.number, worker, place)
        _finish(store, record, study, trial.number, worker, _failure(reports, name, diagnosis))
    state: StudyState = "complete" if any(collected.reports.values()) else "failed"
    store.set_study_state(record.id, state, f"collected from run {experiment.name}")
    return store.get_study(record.id)


def _parameters(experiment: Experiment, study: Study, trial: str) -> Mapping[str, object]:
    known = experiment.parameters(trial)
    return {name: known[name] for name in study.changed if name in known}


def _told(report: Report, study: Study, trial: Trial) -> Report:
    """A report with what its load generator could not know."""
    known = {"parameters": trial.parameters, "engine": study.engine.name}
    return report.model_copy(update={"provenance": report.provenance.model_copy(update=known)})


def _failure(reports: list[Report], trial: str, diagnosis: Diagnosis | None) -> Failure | None:
    if reports:
        return None
    if diagnosis is not None and diagnosis.trial == trial:
        said = diagnosis.model_dump(include={"kind", "message", "remedy", "evidence", "transient"})
        return Failure(stage="measure", **said)
    message = "no results were found on the volume"
    return Failure(kind="unknown", stage="measure", message=message, remedy="See the run: servelab tekton status")


def _finish(store: Store, record: StudyRecord, study: Study, number: int, worker: str, failure: Failure | None) -> None:
    measured = store.trial(record.id, number)
    judged = assess(study, measured)
    store.finish_trial(
        record.id,
        number,
        worker,
        state="failed" if failure else "complete",
        failure=failure,
        timings=Timings(),
        outcome=goal_metrics(study, measured.reports),
        value=judged.values[0] if judged.values and not failure else None,
        feasible=judged.feasible if judged.trusted and not failure else None,
    )
