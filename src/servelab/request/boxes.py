"""The boxes of a dialog: what was understood, what it changes, the engine, and all of it before the yes."""

from __future__ import annotations

from collections.abc import Iterator

from servelab.catalog.engines import engine_arguments
from servelab.catalog.workloads import presets
from servelab.request.facts import Facts
from servelab.request.match import Category, Change, flag_text, given_args
from servelab.request.numbers import Numbers
from servelab.request.reply import Box, Line, Section, Table
from servelab.request.said import Intent, Understanding
from servelab.request.settle import AUTOMATIC, Settled
from servelab.spec.base import Value

SIGMA = "\N{GREEK SMALL LETTER SIGMA}"
BY_MODEL = "understood by the model"

TITLES = {
    "tensor_parallelism": "tensorParallelism",
    "max_model_len": "MAX_MODEL_LEN",
    "max_num_batched_tokens": "MAX_NUM_BATCHED_TOKENS",
    "max_num_seqs": "MAX_NUM_SEQS",
    "workload": "Workload",
    "images.main": "vLLM image",
    "images.init": "vLLM init image",
}
"""Parameter -> what a values file calls it."""

LIMIT_FLAGS = ("max_model_len", "max_num_batched_tokens", "max_num_seqs")


def detected(settled: Settled, understanding: Understanding) -> Box:
    """What was taken from the words so far."""
    words, request = understanding.words, settled.request
    lines = [Line(label="Model", value=settled.model or "(open)", note=_mark("model", understanding))]
    matched = words.get("workload", "")
    same = request.workload is None or matched.lower() in ("", settled.workload)
    origin = "from values.yaml" if request.workload is None else "" if same else f'matched from "{matched}"'
    lines.append(Line(label="Workload", value=settled.workload, note=origin or _mark("workload", understanding)))
    sizes = _listed(settled.tensor_parallelism)
    default = "" if request.tensor_parallelism else "from values.yaml"
    if settled.pipeline or request.tensor_parallelism:
        lines.append(
            Line(label="Tensor Parallel", value=sizes, note=default or _mark("tensor_parallelism", understanding))
        )
    if settled.namespace:
        origin = "" if request.namespace else "from the kubeconfig's context"
        lines.append(Line(label="Namespace", value=settled.namespace, note=origin))
    if settled.intent is not Intent.COLLECT:
        lines.append(Line(label="Purpose", value=settled.intent.value, note=_mark("intent", understanding)))
    lines += [Line(label=flag.lstrip("-"), value=_listed(levels)) for flag, levels in settled.sweep.items()]
    lines += goal_lines(settled)
    custom = [Line(value="Custom image requested")] if request.custom_image or request.images.main else []
    custom += [Line(value=spoken(f, v), note=_mark(f, understanding)) for f, v in settled.engine_args.items()]
    sections = [Section(lines=tuple(lines))]
    if custom:
        sections.append(Section(title="vLLM customization detected", lines=tuple(custom)))
    return Box(title="DETECTED PARAMETERS", sections=tuple(sections))


def workload_table() -> Table:
    """The presets to choose from."""
    rows = [(n, p.description, f"{p.prompt.mean:g}", f"{p.output.mean:g}") for n, p in presets().items()]
    return Table(title="Workload presets", columns=("preset", "what", "prompt", "output"), rows=tuple(rows))


def custom_workload(settled: Settled, numbers: Numbers) -> Box:
    """The numbers of a workload of one's own, to be adjusted."""
    said = settled.request.profile
    lines = [
        Line(label="Rate Type", value=numbers.rate_type),
        Line(label="Max Requests", value=str(numbers.max_requests), note="" if said.max_requests else "default"),
        Line(label="Rate", value=_listed(numbers.rates, bare=True), note="" if said.rates else "default"),
    ]
    for kind in ("prompt", "output"):
        stdev = getattr(numbers, f"{kind}_tokens_stdev")
        low, high = getattr(numbers, f"{kind}_tokens_min"), getattr(numbers, f"{kind}_tokens_max")
        lines += [
            Line(label=f"{kind.title()} Tokens", value=f"{getattr(numbers, f'{kind}_tokens'):g}", note="mean"),
            Line(label="  Standard Dev", value=f"{stdev:g}", note="" if stdev else "no variation - adjust?"),
            Line(label="  Min/Max", value=f"{low} / {high}"),
        ]
    prefix = numbers.prefix_tokens
    lines.append(Line(label="Prefix Tokens", value=str(prefix), note="" if prefix else "no prefix caching"))
    return Box(title="CUSTOM WORKLOAD CONFIGURATION", sections=(Section(lines=tuple(lines)),))


def comparison(settled: Settled) -> Box:
    """What of the request the values file has, what is filtered, and what is overridden."""
    titles = {
        Category.MATCH: ("MATCHES (no changes needed)", "good"),
        Category.SUBSET: ("SUBSET (will filter)", "note"),
        Category.OVERRIDE: ("OVERRIDES (will be modified)", "warning"),
    }
    sections = []
    for category, (title, tone) in titles.items():
        lines = tuple(_compared(change, settled) for change in settled.changes if change.category is category)
        if lines:
            sections.append(Section(title=title, lines=lines, tone=tone))
    return Box(title="PARAMETER MATCHING RESULTS", sections=tuple(sections))


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


def final_box(settled: Settled) -> Box:
    """Everything that a yes starts."""
    request, numbers = settled.request, settled.numbers
    core = [
        Line(label="Experiment ID", value=settled.experiment_id or "-"),
        *([Line(label="Namespace", value=settled.namespace)] if settled.namespace else []),
        Line(label="Model", value=settled.model or "-"),
    ]
    engine = [
        Line(label="Image", value=settled.images.main or "-"),
        Line(label="Tensor Parallel", value=_listed(settled.tensor_parallelism, bare=True)),
        Line(label="Max Model Len", value=str(settled.limits["max_model_len"])),
        Line(label="Max Batch Tokens", value=str(settled.limits["max_num_batched_tokens"])),
        Line(label="Max Num Seqs", value=str(settled.limits["max_num_seqs"])),
    ]
    engine = engine if settled.pipeline else _study_engine(settled)
    for index, (flag, value) in enumerate(settled.engine_args.items()):
        engine.append(Line(label="" if index else "Additional Args", value=spoken(flag, value)))
    engine += [Line(label=flag.lstrip("-"), value=_listed(levels)) for flag, levels in settled.sweep.items()]
    sections = [
        Section(title="CORE SETTINGS", lines=tuple(core)),
        Section(title="WORKLOAD", lines=tuple(_workload_lines(settled, numbers)) if numbers else ()),
        Section(title=f"{(request.engine or 'vLLM')} ENGINE", lines=tuple(engine)),
        Section(title="GOAL", lines=tuple(goal_lines(settled))),
        Section(title="CHANGES FROM values.yaml", lines=tuple(_summed(settled)) if settled.pipeline else ()),
    ]
    kind = "BLIS EXPERIMENT" if settled.pipeline else f"STUDY ({settled.intent.value})"
    shown = tuple(section for section in sections if section.lines)
    return Box(title=f"{kind}: {settled.experiment_id}", sections=shown, final=True)


def short_box(settled: Settled) -> Box:
    """The final box where nothing of the values file changes."""
    said = settled.request.tensor_parallelism
    sizes = _listed(said or settled.tensor_parallelism)
    lines = (
        Line(label="Experiment", value=settled.experiment_id or "-"),
        Line(label="Model", value=settled.model or "-"),
        Line(label="Namespace", value=settled.namespace or "-"),
        Line(label="Workload", value=settled.workload, note="already configured"),
        Line(label="TP", value=sizes, note="" if said else "using values.yaml default"),
        Line(label="vLLM", value=settled.images.main or "-", note="default"),
    )
    return Box(title="", sections=(Section(lines=lines),), final=True)


def goal_lines(settled: Settled) -> list[Line]:
    """What is optimised, what must be kept, and what it may cost."""
    request = settled.request
    lines = [Line(label="Objective", value=str(request.objective))] if request.objective else []
    lines += [Line(label="SLO", value=str(constraint)) for constraint in request.constraints]
    if request.budget is not None:
        spent = [f"{request.budget.trials} trials"]
        spent += [f"{request.budget.wall_time / 60:g} minutes"] if request.budget.wall_time else []
        lines.append(Line(label="Budget", value="at most " + ", ".join(spent)))
    return lines


def spoken(flag: str, value: Value) -> str:
    """An engine argument as people write it: ``--dtype bfloat16``."""
    return flag_text(flag, value).replace("=", " ", 1)


def _mark(field: str, understanding: Understanding) -> str:
    return BY_MODEL if field in understanding.by_model else ""


def _listed(values: tuple[Value, ...], bare: bool = False) -> str:
    text = ", ".join(str(value) for value in values)
    return text if bare else f"[{text}]"


def _title(change: Change) -> str:
    name = change.parameter
    return TITLES.get(name, name.removeprefix("workload_profile."))


def _shown(value: object) -> str:
    return f"[{', '.join(str(one) for one in value)}]" if isinstance(value, list | tuple) else str(value)


def _compared(change: Change, settled: Settled) -> Line:
    title, new = _title(change), _shown(change.new)
    if change.parameter.startswith("--"):
        was = "new argument" if change.old is None else f"was: {spoken(change.parameter, change.old)}"
        return Line(label="Additional vLLM args", value=spoken(change.parameter, change.new), note=was)
    if change.category is Category.MATCH:
        asked = settled.request.tensor_parallelism if change.parameter == "tensor_parallelism" else ()
        note = f"{_listed(asked, bare=True)} is in {new}" if asked and list(asked) != change.new else "using default"
        return Line(label=title, value=new, note="already configured" if change.parameter == "workload" else note)
    note = (
        f"from available {_shown(change.old)}" if change.category is Category.SUBSET else f"was: {_shown(change.old)}"
    )
    return Line(label=title, value=new, note=note)


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


def _workload_lines(settled: Settled, numbers: Numbers) -> Iterator[Line]:
    yield Line(label="Type", value=settled.workload)
    yield Line(label="Max Requests", value=str(numbers.max_requests))
    rate = f"{_listed(numbers.rates, bare=True)} ({numbers.rate_type})"
    if numbers.concurrency:
        rate = f"{_listed(numbers.concurrency, bare=True)} at once"
    yield Line(label="Rate", value=rate)
    for kind in ("prompt", "output"):
        mean, stdev = getattr(numbers, f"{kind}_tokens"), getattr(numbers, f"{kind}_tokens_stdev")
        low, high = getattr(numbers, f"{kind}_tokens_min"), getattr(numbers, f"{kind}_tokens_max")
        yield Line(label=f"{kind.title()} Tokens", value=f"{mean:g} ({SIGMA}={stdev:g}, range: {low}-{high})")
    yield Line(label="Prefix Tokens", value=str(numbers.prefix_tokens))


def _study_engine(settled: Settled) -> list[Line]:
    """Of a study, only what was said: the rest is the engine's own, or what is searched."""
    request = settled.request
    lines = [Line(label="Tensor Parallel", value=_listed(request.tensor_parallelism, bare=True))]
    lines = lines if request.tensor_parallelism else []
    said = [name for name in LIMIT_FLAGS if getattr(request, name) is not None or name == "max_model_len"]
    return lines + [Line(label=name.replace("_", " ").title(), value=str(settled.limits[name])) for name in said]


def _summed(settled: Settled) -> Iterator[Line]:
    """The changes in as few words as the yes needs."""
    added = [change for change in settled.changed if change.parameter.startswith("--")]
    for change in settled.changed:
        if change in added or change.parameter == "images.init":
            continue
        value = "CHANGED" if change.parameter == "images.main" else f"{_shown(change.old)} → {_shown(change.new)}"
        yield Line(label=_title(change), value=value)
    if added:
        plural = "s" if len(added) > 1 else ""
        yield Line(label="vLLM args", value=f"+{len(added)} additional argument{plural}")
