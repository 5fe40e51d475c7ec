"""The estimation of a latency model: its study, and the fit to what the store holds of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field

from servelab import __version__
from servelab.lab.paths import measurement_directory, trial_directory
from servelab.perf.estimate import estimate
from servelab.perf.parameters import Origin, Parameters
from servelab.perf.sample import Sample, samples
from servelab.spec.base import Spec
from servelab.spec.budget import Budget, Timeouts
from servelab.spec.errors import DocumentError, NotFoundError
from servelab.spec.load import Estimation, Load
from servelab.spec.model import EngineConfig, Model
from servelab.spec.report import Report
from servelab.spec.study import PlatformConfig, Study
from servelab.spec.trial import StudyRecord, Trial
from servelab.spec.workload import Tokens, Workload
from servelab.store.store import Store

READY = 20.0  # seconds for a server that runs already to answer
MEASUREMENTS = 12  # that the time is split among


class EstimateRequest(Spec):
    """What the person says of a server that runs; the defaults are those of the estimation pipeline."""

    url: str = Field(default="http://vllm:8000", description="Base URL of the server, without /v1.")
    model: str = Field(default="unsloth/Meta-Llama-3.1-8B", description="The model that requests name.")
    engine: str = Field(
        default="vllm", description="What the server is: vllm, sglang, llamacpp; it decides the names of its metrics."
    )
    prompt_tokens: int = Field(default=128, description="Tokens of each prompt.")
    output_tokens: int = Field(default=128, description="Tokens of each answer.")
    max_concurrency: int = Field(default=64, description="Highest concurrency.")
    max_seconds: float = Field(default=360.0, description="Seconds under load, in all.")
    ready_path: str = Field(default="/health", description="Path that answers 200 when the server is ready.")


def estimation_load(high: int, seconds: float) -> Load:
    """The load of an estimation.

    Raises:
        DocumentError: it is too small to tell anything.
    """
    _at_least({"max-concurrency": (high, 2), "max-seconds": (seconds, MEASUREMENTS)})
    return Load(estimate=Estimation(high=high, total=seconds), seconds=seconds / MEASUREMENTS)


def estimation_study(request: EstimateRequest) -> Study:
    """The study that a request stands for: one trial, under several loads.

    Raises:
        DocumentError: a value makes no sense.
    """
    _at_least({"prompt-tokens": (request.prompt_tokens, 1), "output-tokens": (request.output_tokens, 2)})
    try:
        return Study(
            name="estimate",
            description=f"estimate: {request.model}",
            model=Model(id=request.model),
            engine=EngineConfig(name=request.engine),
            platform=PlatformConfig(
                name="endpoint", options={"url": request.url.rstrip("/"), "ready_path": request.ready_path}
            ),
            workload=Workload(
                name=f"{request.prompt_tokens}-{request.output_tokens}",
                prompt=Tokens.model_validate({"distribution": "fixed", "mean": request.prompt_tokens}),
                output=Tokens.model_validate({"distribution": "fixed", "mean": request.output_tokens}),
            ),
            load=estimation_load(request.max_concurrency, request.max_seconds),
            budget=Budget(retries=1, timeouts=Timeouts(ready=READY)),
        )
    except ValueError as error:
        raise DocumentError((str(error),)) from None


def _at_least(given: Mapping[str, tuple[float, float]]) -> None:
    """Refuse options that are below what makes sense."""
    faults = [
        f"--{name} is {value:g}; it has to be at least {least:g}"
        for name, (value, least) in given.items()
        if value < least
    ]
    if faults:
        raise DocumentError(tuple(faults))


def fittable(study: Study) -> bool:
    """Whether a study measures one configuration at several levels of concurrency, as a latency model needs."""
    return study.load.estimate is not None or len(set(study.load.concurrency)) > 1


def study_samples(store: Store, record: StudyRecord, number: int | None = None) -> tuple[list[Sample], Trial]:
    """The samples of a trial, by default of the first that was measured; and the trial.

    Raises:
        NotFoundError: no trial was measured.
    """
    trials = [t for t in store.trials(record.id, with_reports=True) if number in (None, t.number)]
    measured = [trial for trial in trials if any(m.phase == "full" for m in trial.measurements)]
    if not measured:
        which = "no trial" if number is None else f"no trial {number}"
        raise NotFoundError(f"{record.id} has {which} that was measured", f"See: servelab status {record.id}")
    return samples(_placed(record, measured[0])), measured[0]


def fit_study(store: Store, record: StudyRecord, number: int | None = None) -> tuple[Parameters, list[Sample]]:
    """The parameters of a study's trial, and the samples they come from.

    Raises:
        NotFoundError: no trial was measured.
        MeasureError: its measurements are too few for a latency model.
    """
    found, trial = study_samples(store, record, number)
    origin = trial.reports[0].provenance
    told = Origin(
        method="sweep",
        servelab=__version__,
        study=record.id,
        engine=origin.engine,
        engine_version=origin.engine_version,
        simulated=origin.simulated,
        harness=f"{origin.harness} {origin.harness_version}",
        machine=origin.machine,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return estimate(found, told, record.study.model.name), found


def _placed(record: StudyRecord, trial: Trial) -> Sequence[tuple[Report, Path]]:
    directory = trial_directory(record.id, trial.number)
    return [
        (m.report, measurement_directory(directory, m.phase, m.point, m.repeat))
        for m in trial.measurements
        if m.phase == "full"
    ]
