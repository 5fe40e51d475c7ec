"""The study that an experiment stands for: one document for each intent."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from servelab.catalog.engines import engine_arguments, find_engine
from servelab.catalog.study import with_defaults
from servelab.request.accelerator import accelerator_of
from servelab.request.facts import Facts
from servelab.request.numbers import Numbers
from servelab.request.said import Intent, Request
from servelab.request.settle import Settled
from servelab.spec.base import ParameterName, Value
from servelab.spec.budget import Budget, Verification
from servelab.spec.errors import ServelabError
from servelab.spec.goal import Objective
from servelab.spec.load import Load
from servelab.spec.model import EngineConfig, Model, Resources
from servelab.spec.space import CategoricalParameter, Parameter, Space
from servelab.spec.study import PlatformConfig, Study
from servelab.spec.workload import SharedPrefix, Tokens, Workload

CONCURRENCIES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Levels of an estimation: one request at a time, and several at once."""

SEARCH_CONCURRENCY = 16.0  # streams in flight where a search was asked for without a load
SEARCH_REQUESTS = 160  # of each measurement of a search: enough for a 95th percentile
SWEEP = (3, 50)  # levels that a sweep may have

NAMES = {
    "vllm": ("tensor_parallel_size", "max_model_len", "max_num_batched_tokens", "max_num_seqs"),
    "sglang": ("tp_size", "context_length", "chunked_prefill_size", "max_running_requests"),
    "trtllm": ("tp_size", "max_seq_len", "max_num_tokens", "max_batch_size"),
}
"""What each engine calls tensor parallelism and the three limits; of others nothing is passed on unasked."""

ON_CLUSTER = ("tekton", "kubernetes")


class StudyError(ServelabError):
    """What was asked for makes no study."""


def make_study(settled: Settled, facts: Facts) -> Study:
    """The study of a complete experiment.

    A collection has the tensor parallelisms as treatments; a designed experiment every combination of the levels that
    were named; an estimation one deployment under rising concurrency; a tuning a space, from the levels that were
    named or from all that the catalog calls tunable.

    Raises:
        StudyError: model or numbers are missing, or the parts contradict one another.
    """
    try:
        return _study(settled, facts)
    except ValueError as error:
        raise StudyError(f"this makes no study: {_reason(error)}", "Say it another way.") from None


def _reason(error: ValueError) -> str:
    text = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
    return text.removeprefix("Value error, ")


def _study(settled: Settled, facts: Facts) -> Study:
    if settled.model is None or settled.numbers is None or settled.experiment_id is None:
        raise ValueError("something is missing in the request")
    request = settled.request
    engine = request.engine or "vllm"
    changing = _levels(settled, engine)
    fixed = _fixed(settled, engine, changing)
    tunes = settled.intent is Intent.TUNE
    space = Space(parameters=_space(request, engine, changing, fixed)) if tunes else None
    whole_design = settled.intent is Intent.EXPERIMENT or len(changing) > 1
    study = Study(
        name=settled.experiment_id,
        description=f"{settled.intent.value}: {settled.model}, {settled.workload}",
        model=Model(id=settled.model),
        engine=_engine(settled, facts, engine, fixed),
        platform=_platform(request),
        workload=_workload(settled.workload, settled.numbers),
        load=_load(settled, settled.numbers),
        space=space,
        factors=changing if not tunes and whole_design else {},
        treatments=() if tunes or whole_design else tuple({n: v} for n, levels in changing.items() for v in levels),
        objectives=_objectives(settled),
        constraints=request.constraints,
        budget=_budget(settled, changing),
    )
    return with_defaults(study)


def argument_name(flag: str) -> ParameterName:
    """``max_num_seqs`` for ``--max-num-seqs``."""
    return flag.lstrip("-").replace("-", "_").replace(".", "_")


def _levels(settled: Settled, engine: str) -> dict[str, tuple[Value, ...]]:
    """What changes from trial to trial: what was swept, and the tensor parallelisms of a collection, or several."""
    levels = {argument_name(flag): values for flag, values in settled.sweep.items()}
    sizes = _sizes(settled, engine)
    if len(sizes) > 1 or (sizes and settled.intent is Intent.COLLECT):
        levels[NAMES[engine][0]] = sizes
    return levels


def _sizes(settled: Settled, engine: str) -> tuple[int, ...]:
    """The tensor parallelisms that run: of the pipeline those of its values file, else those that were asked for."""
    sizes = tuple(settled.changes[0].new) if settled.pipeline else settled.request.tensor_parallelism
    return sizes if engine in NAMES else ()


def _fixed(settled: Settled, engine: str, changing: dict[str, tuple[Value, ...]]) -> dict[str, Value]:
    request, fixed = settled.request, dict[str, Value]()
    if engine in NAMES:
        parallelism, *limits = NAMES[engine]
        asked = {name: getattr(request, name) is not None for name in settled.limits}
        for name, theirs in zip(settled.limits, limits, strict=True):
            # A search is free in what was not said, but the longest request must fit in any case.
            if settled.intent is not Intent.TUNE or asked[name] or name == "max_model_len":
                fixed[theirs] = settled.limits[name]
        if sizes := _sizes(settled, engine):
            fixed[parallelism] = sizes[0]
    else:
        fixed |= {name: settled.limits[name] for name in settled.limits if getattr(request, name) is not None}
    fixed |= {argument_name(flag): value for flag, value in settled.engine_args.items()}
    return {name: value for name, value in fixed.items() if name not in changing}


def _space(
    request: Request, engine: str, changing: dict[str, tuple[Value, ...]], fixed: dict[str, Value]
) -> dict[str, Parameter]:
    """The levels that were named, and the usual ranges of what was named without; of all, where nothing was."""
    levels: dict[str, Parameter] = {name: CategoricalParameter(choices=values) for name, values in changing.items()}
    parallelism = NAMES.get(engine, ("",))[0]
    ranges = {
        name: argument.tune
        for name, argument in engine_arguments(engine).items()
        if argument.tune is not None and not argument.until and name not in fixed and name != parallelism
    }
    named = {name for flag in request.tuned if (name := argument_name(flag)) in ranges}
    if levels and not named:
        return levels
    return {name: known for name, known in ranges.items() if not named or name in named} | levels


def _engine(settled: Settled, facts: Facts, name: str, fixed: dict[str, Value]) -> EngineConfig:
    containers = settled.request.platform not in ("process", "endpoint") and name == "vllm"
    accelerator = accelerator_of(settled, facts) if find_engine(name) and name in NAMES else None
    sizes = _sizes(settled, name) or (1,)
    return EngineConfig(
        name=name,
        image=settled.images.main if containers else None,
        arguments=fixed,
        resources=Resources(
            accelerators=min(sizes) if name in NAMES and accelerator else 0,
            accelerator=accelerator[0] if accelerator else None,
        ),
    )


def _platform(request: Request) -> PlatformConfig:
    said = request.platform
    options = {"url": request.url} if said == "endpoint" and request.url is not None else {}
    return PlatformConfig(name="process" if said is None or said in ON_CLUSTER else said, options=options)


def _workload(name: str, numbers: Numbers) -> Workload:
    return Workload(
        name=name,
        prompt=_tokens(numbers, "prompt"),
        output=_tokens(numbers, "output"),
        prefix=SharedPrefix(tokens=numbers.prefix_tokens) if numbers.prefix_tokens else None,
        seed=numbers.random_seed,
    )


def _tokens(numbers: Numbers, kind: str) -> Tokens:
    parts = {part: getattr(numbers, f"{kind}_tokens_{part}") for part in ("stdev", "min", "max")}
    return Tokens(mean=getattr(numbers, f"{kind}_tokens"), **parts)


def _load(settled: Settled, numbers: Numbers) -> Load:
    """The load levels: as said; rising concurrency for an estimation; one concurrency for a search."""
    profile = settled.request.profile
    said = bool(profile.rates or profile.concurrency or profile.rate_type)
    requests: int | None = numbers.max_requests
    if settled.intent is Intent.TUNE and profile.max_requests is None:
        requests = SEARCH_REQUESTS
    timed = profile.seconds is not None and profile.max_requests is None
    lasting: dict[str, Any] = {"requests": None if timed else requests, "seconds": profile.seconds}
    if settled.intent is Intent.ESTIMATE:
        levels = tuple(float(level) for level in numbers.concurrency)
        return Load(concurrency=(1.0, *(n for n in levels if n != 1)) if levels else CONCURRENCIES, **lasting)
    if settled.intent is Intent.TUNE and not said:
        return Load(concurrency=(SEARCH_CONCURRENCY,), **lasting)
    match numbers.rate_type:
        case "concurrent":
            return Load(concurrency=numbers.concurrency or tuple(float(rate) for rate in numbers.rates), **lasting)
        case "synchronous":
            return Load(synchronous=True, **lasting)
        case "throughput":
            return Load(throughput=True, **lasting)
        case "sweep":
            return Load(sweep=min(max(round(numbers.rates[0]), SWEEP[0]), SWEEP[1]), **lasting)
        case "constant" | "poisson":
            return Load(rate=tuple(float(r) for r in numbers.rates), arrival=numbers.rate_type, **lasting)


def _objectives(settled: Settled) -> tuple[Objective, ...]:
    if settled.request.objective is not None:
        return (settled.request.objective,)
    tunes = settled.intent is Intent.TUNE
    return (Objective(metric="output_throughput", direction="maximize"),) if tunes else ()


def _budget(settled: Settled, changing: dict[str, tuple[Value, ...]]) -> Budget:
    """What was said, or the usual; a design is run in full, and measured once, since no best is sought in it."""
    if settled.request.budget is not None:
        return settled.request.budget
    if settled.intent is Intent.TUNE:
        return Budget()
    count = 1
    for levels in changing.values():
        count *= len(levels)
    return Budget(trials=max(count, 1), screening=0, verification=Verification(top=0))
