"""A tuning study from a few words: the engine's tunable arguments are the space."""

from __future__ import annotations

from dataclasses import dataclass, field

from servelab.catalog.engines import get_engine
from servelab.catalog.nearest import suggestion
from servelab.catalog.study import with_defaults
from servelab.catalog.workloads import get_preset
from servelab.spec.budget import Budget
from servelab.spec.errors import DocumentError
from servelab.spec.goal import Constraint, Objective
from servelab.spec.load import Load
from servelab.spec.model import EngineConfig, Model, Resources
from servelab.spec.space import Space
from servelab.spec.study import HarnessConfig, SamplerConfig, Study


@dataclass(frozen=True)
class TuneRequest:
    """What the person says."""

    model: str
    "Hugging Face id or catalog name."
    engine: str = "vllm"
    "vllm, sglang, llamacpp, simulated, or a plug-in's name."
    model_path: str | None = None
    "Local file or directory with the weights."
    workload: str = "chatsweep"
    "Workload preset; see servelab workloads."
    concurrency: int = 16
    "Streams in flight."
    requests: int = 160
    "Requests per measurement."
    objective: str = "maximize output_throughput"
    "What to optimise."
    slo: list[str] = field(default_factory=list)
    "Constraint to keep, as 'ttft_p95 <= 500ms'; may be repeated."
    parameter: list[str] = field(default_factory=list)
    "Argument to tune; may be repeated. Default: all that the catalog calls tunable."
    trials: int = 20
    "Configurations to try."
    seed: int = 0
    "Seed of everything random."
    accelerators: int = 0
    "Accelerators per deployment."
    processes: int = 1
    "Processes of the load generator, a core each."


def tuning_study(request: TuneRequest) -> Study:
    """The study that a request stands for.

    Raises:
        DocumentError: an argument is not tunable, or a goal cannot be read.
        NotFoundError: the engine or preset is not known.
    """
    try:
        study = Study(
            name=f"tune-{request.engine}",
            model=Model(id=request.model, path=request.model_path),
            engine=EngineConfig(name=request.engine, resources=Resources(accelerators=request.accelerators)),
            workload=get_preset(request.workload).workload(request.workload),
            load=Load(concurrency=(float(request.concurrency),), requests=request.requests),
            space=_space(request),
            objectives=(Objective.model_validate(request.objective),),
            constraints=tuple(Constraint.model_validate(slo) for slo in request.slo),
            harness=HarnessConfig(options={"processes": request.processes}),
            sampler=SamplerConfig(seed=request.seed),
            budget=Budget(trials=request.trials),
        )
    except ValueError as error:
        raise DocumentError((str(error),)) from None
    return with_defaults(study)


def _space(request: TuneRequest) -> Space:
    known = get_engine(request.engine)
    tunable = {name: a.tune for name, a in known.arguments.items() if a.tune is not None and not a.until}
    for name in request.parameter:
        if name not in tunable:
            raise DocumentError(
                (
                    f"{name} is not an argument of {known.title} that the catalog calls tunable"
                    f"{suggestion(name, tunable)}",
                ),
                f"Tunable are: {', '.join(tunable)}. Others can be searched with a study document.",
            )
    chosen = request.parameter or list(tunable)
    return Space(parameters={name: parameter for name in chosen if (parameter := tunable[name]) is not None})
