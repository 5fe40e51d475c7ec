"""The engine in full, to be looked at before anything starts."""

from __future__ import annotations

from collections.abc import Iterator

from servelab.catalog.engines import engine_arguments
from servelab.request.facts import Facts
from servelab.request.fields import AUTOMATIC
from servelab.request.lines import BY_MODEL, LIMIT_FLAGS, spoken
from servelab.request.match import given_args
from servelab.request.reply import Box, Line, Section
from servelab.request.said import Understanding
from servelab.request.settle import Settled


def verification(settled: Settled, facts: Facts, understanding: Understanding) -> Box:
    """The engine in full: images, each argument with its origin, environment, resources."""
    values = facts.values
    images = [Line(label="Image (main container)", value=settled.images.main or "-")]
    if settled.images.init is not None:
        images.append(Line(label="Image (init container)", value=settled.images.init))
    arguments = list(_arguments(settled, facts, understanding))
    collected = sorted({name.split("_")[0] for name in values.environment if name.count("_") and "OTEL" in name})
    environment = [Line(value=f"{prefix}_* variables", note="from values.yaml") for prefix in collected]
    environment += [
        Line(value=f"{name}={value}", note="from values.yaml")
        for name, value in values.environment.items()
        if not name.startswith("OTEL_")
    ]
    sizes = settled.tensor_parallelism
    resources = [
        Line(label=label, value=f"{value} (limit/request)")
        for label, value in (("Memory", values.memory), ("CPU", values.cpu))
        if value
    ]
    resources.append(Line(label="GPUs", value=", ".join(f"{n} (via TP={n})" for n in sizes)))
    sections = [
        Section(lines=tuple(images)),
        Section(title="Arguments", lines=tuple(arguments)),
        Section(title="Environment Variables", lines=tuple(environment)),
        Section(title="Resources", lines=tuple(resources)),
    ]
    return Box(title="vLLM CONTAINER CONFIGURATION", sections=tuple(s for s in sections if s.lines))


def _arguments(settled: Settled, facts: Facts, understanding: Understanding) -> Iterator[Line]:
    """Each argument of the engine, and whether the values file, the request or the pipeline sets it."""
    changed = {change.parameter for change in settled.changed}
    for name in LIMIT_FLAGS:
        argument = spoken(f"--{name.replace('_', '-')}", settled.limits[name])
        mark = f" ({BY_MODEL})" if name in understanding.by_model else ""
        new = name in changed
        note = f"CHANGED, was {getattr(facts.values, name)}{mark}" if new else "from values.yaml"
        yield Line(value=argument, note=note, tone="warning" if new else "plain")
    for flag, value in given_args(facts.values).items():
        if flag not in settled.engine_args:
            yield Line(value=spoken(flag, value), note="from values.yaml")
    if settled.pipeline:
        yield Line(value=f"{AUTOMATIC} ...", note="auto-configured")
    known = engine_arguments("vllm")
    for flag, value in settled.engine_args.items():
        mark = f", {BY_MODEL}" if flag in understanding.by_model else ""
        unknown = "" if flag.lstrip("-").replace("-", "_") in known else ", not in vLLM's own arguments"
        note = f"NEW{unknown}{mark}" if flag in changed else "from values.yaml"
        yield Line(value=spoken(flag, value), note=note, tone="warning" if flag in changed else "plain")
