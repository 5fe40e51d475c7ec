"""The last box of a pipeline run: everything that a yes starts."""

from __future__ import annotations

from collections.abc import Iterator

from servelab.request.lines import goal_lines, length_lines, listed, shown, spoken, title_of
from servelab.request.numbers import Numbers
from servelab.request.reply import Box, Line, Section
from servelab.request.settle import Settled


def final_box(settled: Settled) -> Box:
    """Everything that a yes starts."""
    numbers = settled.numbers
    core = [
        Line(label="Experiment ID", value=settled.experiment_id or "-"),
        Line(label="Namespace", value=settled.namespace or "-"),
        Line(label="Model", value=settled.model or "-"),
    ]
    engine = [
        Line(label="Image", value=settled.images.main or "-"),
        Line(label="Tensor Parallel", value=listed(settled.tensor_parallelism, bare=True)),
        Line(label="Max Model Len", value=str(settled.limits["max_model_len"])),
        Line(label="Max Batch Tokens", value=str(settled.limits["max_num_batched_tokens"])),
        Line(label="Max Num Seqs", value=str(settled.limits["max_num_seqs"])),
    ]
    for index, (flag, value) in enumerate(settled.engine_args.items()):
        engine.append(Line(label="" if index else "Additional Args", value=spoken(flag, value)))
    sections = [
        Section(title="CORE SETTINGS", lines=tuple(core)),
        Section(title="WORKLOAD", lines=tuple(_workload_lines(settled, numbers)) if numbers else ()),
        Section(title="vLLM ENGINE", lines=tuple(engine)),
        Section(title="GOAL", lines=tuple(goal_lines(settled))),
        Section(title="CHANGES FROM values.yaml", lines=tuple(_summed(settled))),
    ]
    shown = tuple(section for section in sections if section.lines)
    return Box(title=f"BLIS EXPERIMENT: {settled.experiment_id}", sections=shown, final=True)


def short_box(settled: Settled) -> Box:
    """The final box where nothing of the values file changes."""
    said, runs = settled.request.tensor_parallelism, settled.changes[0].new
    note = f"{listed(said, bare=True)} asked for" if set(said) < set(runs) else ""
    lines = (
        Line(label="Experiment", value=settled.experiment_id or "-"),
        Line(label="Model", value=settled.model or "-"),
        Line(label="Namespace", value=settled.namespace or "-"),
        Line(label="Workload", value=settled.workload, note="already configured"),
        Line(label="TP", value=shown(runs), note=note if said else "using values.yaml default"),
        Line(label="vLLM", value=settled.images.main or "-", note="default"),
    )
    return Box(title="", sections=(Section(lines=lines),), final=True)


def _workload_lines(settled: Settled, numbers: Numbers) -> Iterator[Line]:
    yield Line(label="Type", value=settled.workload)
    yield Line(label="Max Requests", value=str(numbers.max_requests))
    rate = f"{listed(numbers.rates, bare=True)} ({numbers.rate_type})"
    if numbers.concurrency:
        rate = f"{listed(numbers.concurrency, bare=True)} at once"
    yield Line(label="Rate", value=rate)
    yield from length_lines(numbers)


def _summed(settled: Settled) -> Iterator[Line]:
    """The changes in as few words as the yes needs."""
    added = [change for change in settled.changed if change.parameter.startswith("--")]
    for change in settled.changed:
        if change in added or change.parameter == "images.init":
            continue
        value = "CHANGED" if change.parameter == "images.main" else f"{shown(change.old)} → {shown(change.new)}"
        yield Line(label=title_of(change), value=value)
    if added:
        plural = "s" if len(added) > 1 else ""
        yield Line(label="vLLM args", value=f"+{len(added)} additional argument{plural}")
