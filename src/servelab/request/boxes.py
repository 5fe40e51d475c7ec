"""The first boxes of a dialog: what was understood, and what it changes."""

from __future__ import annotations

from servelab.catalog.workloads import presets
from servelab.request.lines import download, goal_lines, listed, mark, shown, spoken, title_of
from servelab.request.match import Category, Change
from servelab.request.numbers import Numbers
from servelab.request.reply import Box, Line, Section, Table
from servelab.request.said import Intent, Understanding
from servelab.request.settle import Settled


def detected(settled: Settled, understanding: Understanding) -> Box:
    """What was taken from the words so far."""
    words, request = understanding.words, settled.request
    lines = [Line(label="Model", value=settled.model or "(open)", note=mark("model", understanding))]
    matched = words.get("workload", "")
    same = request.workload is None or not matched or settled.workload in matched.lower()
    origin = "from values.yaml" if request.workload is None else "" if same else f'matched from "{matched}"'
    lines.append(Line(label="Workload", value=settled.workload, note=origin or mark("workload", understanding)))
    sizes = listed(settled.tensor_parallelism)
    default = "" if request.tensor_parallelism else "from values.yaml"
    if settled.pipeline or request.tensor_parallelism:
        lines.append(
            Line(label="Tensor Parallel", value=sizes, note=default or mark("tensor_parallelism", understanding))
        )
    if request.accelerator:
        lines.append(Line(label="Accelerator", value=request.accelerator, note=mark("accelerator", understanding)))
    if settled.namespace:
        origin = "" if request.namespace else "from the kubeconfig's context"
        lines.append(Line(label="Namespace", value=settled.namespace, note=origin))
    if settled.intent is not Intent.COLLECT:
        lines.append(Line(label="Purpose", value=settled.intent.value, note=mark("intent", understanding)))
    lines += [Line(label=flag.lstrip("-"), value=listed(levels)) for flag, levels in settled.sweep.items()]
    lines += goal_lines(settled)
    custom = [Line(value="Custom image requested")] if request.custom_image or request.images.main else []
    custom += [Line(value=f"{feature.capitalize()} mentioned") for feature in dict.fromkeys(request.features.values())]
    custom += [Line(value=spoken(f, v), note=mark(f, understanding)) for f, v in settled.engine_args.items()]
    sections = [Section(lines=tuple(lines))]
    if (size := download(settled)) is not None:
        sections.append(Section(title="MODEL SIZE WARNING", lines=(Line(value=size),), tone="warning"))
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
        Line(label="Rate", value=listed(numbers.rates, bare=True), note="" if said.rates else "default"),
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


def _compared(change: Change, settled: Settled) -> Line:
    title, new = title_of(change), shown(change.new)
    if change.parameter.startswith("--"):
        was = "new argument" if change.old is None else f"was: {spoken(change.parameter, change.old)}"
        return Line(label="Additional vLLM args", value=spoken(change.parameter, change.new), note=was)
    if change.category is Category.MATCH:
        asked = settled.request.tensor_parallelism if change.parameter == "tensor_parallelism" else ()
        note = f"{listed(asked, bare=True)} is in {new}" if asked and list(asked) != change.new else "using default"
        return Line(label=title, value=new, note="already configured" if change.parameter == "workload" else note)
    note = f"from available {shown(change.old)}" if change.category is Category.SUBSET else f"was: {shown(change.old)}"
    return Line(label=title, value=new, note=note)
