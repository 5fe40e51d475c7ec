"""What a study may say and the data-collection pipeline cannot do: told before anything is rendered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from servelab.catalog.accelerators import accelerators, find_accelerator
from servelab.catalog.parallelism import parallel_size
from servelab.spec.base import Parameters
from servelab.spec.study import Study
from servelab.tekton.chart import STARTED
from servelab.tekton.values import at

HARNESSES = ("guidellm", "inference-perf", "nop")
BUILTIN = "builtin"
"""The default of a study, which has no image: guidellm takes its place."""

LABELS = ("stack", "model", "helmValues", "decode", "acceleratorTypes", "labelValues")
"""Where the values name the accelerators of the nodes that an engine may run on."""


def faults(study: Study, values: Mapping[str, Any]) -> Iterator[str]:
    """Each in a sentence, led by what it is about; ``values`` are those of the pipeline."""
    yield from _of_deployment(study)
    yield from _of_resources(study, values)
    yield from _of_load(study)
    if study.space is not None:
        yield "space: a pipeline runs explicit configurations; write factors or treatments"
    if study.budget.repeats > 1:
        yield f"budget.repeats: the pipeline measures each level once, not {study.budget.repeats} times"


def _of_deployment(study: Study) -> Iterator[str]:
    engine, model = study.engine, study.model
    if study.platform.name == "endpoint":
        yield "platform: the pipeline deploys the engine itself, it does not measure a server that runs already"
    if engine.name not in STARTED:
        yield f"engine: the pipeline deploys {' or '.join(STARTED)}, not {engine.name}"
    if engine.executable:
        yield f"engine.executable: {engine.executable} is of this machine; name an engine.image that has it"
    if engine.environment_from:
        names = ", ".join(engine.environment_from)
        yield f"engine.environment_from: {names} would have to come from a secret; name it in the values of the chart"
    if model.path:
        yield f"model.path: {model.path} is of this machine; the pipeline downloads {model.id}"
    if model.name != model.id:
        yield f"model.served_name: the chart serves the model as {model.id}"


def _of_resources(study: Study, values: Mapping[str, Any]) -> Iterator[str]:
    wanted = study.engine.resources
    products = [str(product) for product in at(values, *LABELS) or ()]
    if wanted.accelerator and not (products and all(_is(product, wanted.accelerator) for product in products)):
        place, named = ".".join(LABELS), ", ".join(products) or "any"
        yield (
            f"engine.resources.accelerator: {wanted.accelerator}, but the values let the engine run on {named}: name "
            f"the node label of yours in {place}"
        )
    if study.engine.name not in STARTED:
        return
    tensor = STARTED[study.engine.name].parallelism
    for settings in study.design or ({},):
        size, ranks = _tensor(study, settings), parallel_size(study, settings)
        if ranks != size:
            yield f"engine: {ranks} ranks with {tensor} {size}; of parallelisms, the pipeline deploys {tensor} alone"
        elif wanted.accelerators > size:
            yield f"engine.resources.accelerators: {wanted.accelerators}, but with {tensor} {size} it takes {size}"


def _tensor(study: Study, settings: Parameters) -> int:
    size = {**study.engine.arguments, **settings}.get(STARTED[study.engine.name].parallelism, 1)
    return size if isinstance(size, int) else 1


def _is(product: str, name: str) -> bool:
    """Whether a node's label, as NVIDIA-H100-80GB-HBM3, is of the accelerator ``name``; it may leave out the memory."""
    known = find_accelerator(name)
    short = next((one for one, accelerator in accelerators().items() if accelerator is known), name)
    *kind, memory = short.lower().split("-") if re.search(r"-\d+gb$", short) else [*short.lower().split("-"), ""]
    words = set(re.split(r"[^a-z0-9]+", product.lower()))
    stated = {word for word in words if re.fullmatch(r"\d+gb", word)}
    return words.issuperset(kind) and (not memory or not stated or memory in stated)


def _of_load(study: Study) -> Iterator[str]:
    workload, load, harness = study.workload, study.load, study.harness
    if harness.name not in (*HARNESSES, BUILTIN):
        known = f"{', '.join(HARNESSES[:-1])} or {HARNESSES[-1]}"
        yield f"harness: the pipeline loads with {known}, not {harness.name}"
    if harness.options:
        yield f"harness.options: {', '.join(harness.options)} cannot be told to the harness of the pipeline"
    if workload.turns > 1 or workload.dataset or workload.trace or workload.extra:
        yield "workload: the pipeline sends synthetic prompts of one turn, without further fields"
    for name in ("prompt", "output"):
        if getattr(workload, name).distribution not in ("normal", "fixed"):
            yield f"workload.{name}: lengths vary normally or not at all in the pipeline"
    if load.ramp or load.replay or load.saturation or load.estimate or (load.rate and load.arrival == "gamma"):
        yield "load: the pipeline knows concurrency, constant and Poisson rates, synchronous, throughput and sweep"
    elif harness.name == "inference-perf":
        yield from _of_inference_perf(study)


def _of_inference_perf(study: Study) -> Iterator[str]:
    load = study.load
    if study.workload.api == "chat":
        yield "workload.api: inference-perf posts completions, whatever it is asked; guidellm takes chat as well"
    if load.sweep or load.throughput:
        yield "load: inference-perf takes concurrencies and rates; guidellm takes sweep and throughput as well"
    elif not load.rate and load.requests is None:
        yield "load: inference-perf holds a concurrency for a count of requests, not for a time; give load.requests"
