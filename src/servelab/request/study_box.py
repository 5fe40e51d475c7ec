"""The last box of a study: what runs, as the study itself says it."""

from __future__ import annotations

from collections.abc import Iterator

from servelab.request.lines import goal_lines, length_lines
from servelab.request.reply import Box, Line, Section
from servelab.request.settle import Settled
from servelab.spec.load import Load
from servelab.spec.space import Parameter
from servelab.spec.study import Study

TITLES = {"vllm": "vLLM", "sglang": "SGLang", "trtllm": "TensorRT-LLM", "llamacpp": "llama.cpp"}


def study_box(settled: Settled, study: Study) -> Box:
    """Everything that a yes writes, and ``servelab run`` then does."""
    core = [Line(label="Experiment ID", value=study.name), Line(label="Model", value=study.model.id)]
    core += [Line(label="Namespace", value=settled.namespace)] if settled.namespace else []
    core.append(Line(label="Platform", value=study.platform.name))
    resources = study.engine.resources
    if resources.accelerators:
        core.append(Line(label="Accelerators", value=f"{resources.accelerators} x {resources.accelerator}"))
    workload = [Line(label="Type", value=study.workload.name), *_load(study.load)]
    workload += length_lines(settled.numbers) if settled.numbers else ()
    engine = [Line(label=name, value=str(value)) for name, value in study.engine.arguments.items()]
    sections = [
        Section(title="CORE SETTINGS", lines=tuple(core)),
        Section(title="WORKLOAD", lines=tuple(workload)),
        Section(title=f"{TITLES.get(study.engine.name, study.engine.name)} ENGINE", lines=tuple(engine)),
        Section(title="WHAT CHANGES", lines=tuple(_changing(study))),
        Section(title="GOAL", lines=tuple(goal_lines(settled, study))),
    ]
    shown = tuple(section for section in sections if section.lines)
    return Box(title=f"STUDY ({settled.intent.value}): {study.name}", sections=shown, final=True)


def _load(load: Load) -> Iterator[Line]:
    levels = f"a sweep of {load.sweep} levels" if load.sweep else ", ".join(point.label for point in load.points)
    yield Line(label="Load", value=levels)
    lasting = [f"{load.requests} requests"] if load.requests else []
    lasting += [f"{load.seconds:g} s"] if load.seconds else []
    yield Line(label="Each", value=" or ".join(lasting))


def _changing(study: Study) -> Iterator[Line]:
    """The levels of each factor, or the ranges that are searched."""
    if study.space is not None:
        for name, parameter in study.space.parameters.items():
            yield Line(label=name, value=_range(parameter))
        return
    for name in study.changed:
        levels = dict.fromkeys(treatment[name] for treatment in study.design if name in treatment)
        yield Line(label=name, value=f"[{', '.join(map(str, levels))}]")


def _range(parameter: Parameter) -> str:
    if parameter.type == "categorical":
        return f"[{', '.join(map(str, parameter.choices))}]"
    return f"{parameter.low:g} to {parameter.high:g}"
