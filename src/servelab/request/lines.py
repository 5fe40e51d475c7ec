"""The lines that boxes are made of."""

from __future__ import annotations

from collections.abc import Iterator

from servelab.catalog.models import find_model
from servelab.lab.steps import planned_trials
from servelab.request.match import Change, flag_text
from servelab.request.numbers import Numbers
from servelab.request.reply import Line
from servelab.request.said import Understanding
from servelab.request.settle import Settled
from servelab.spec.base import Value
from servelab.spec.budget import Budget
from servelab.spec.study import Study

LARGE = 50.0  # GB of weights: the download is worth a warning

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


def goal_lines(settled: Settled, study: Study | None = None) -> list[Line]:
    """What is optimised, what must be kept, and what it may cost: as said, or as the study holds it."""
    request = settled.request
    lines = [Line(label="Objective", value=str(request.objective))] if request.objective else []
    lines += [Line(label="SLO", value=str(constraint)) for constraint in request.constraints]
    if request.budget is not None:
        lines.append(Line(label="Budget", value=", ".join(_spent(request.budget, study))))
    return lines


def _spent(budget: Budget, study: Study | None) -> Iterator[str]:
    """What was said of the budget; of a study also how many trials there are."""
    said = budget.trials if "trials" in budget.model_fields_set else None
    trials = planned_trials(study) if study else said
    yield from [f"at most {trials} trials"] if trials else []
    yield from [f"at most {budget.wall_time / 60:g} minutes"] if budget.wall_time else []
    yield from [f"at most {budget.accelerator_minutes:g} accelerator minutes"] if budget.accelerator_minutes else []
    yield from [f"each level measured {budget.repeats} times"] if budget.repeats > 1 else []
    yield from [f"{budget.parallel} trials at the same time"] if budget.parallel > 1 else []


def download(settled: Settled) -> str | None:
    """How long the pipeline may download the model, where it is large; None where it is not, or not known."""
    model = find_model(settled.model) if settled.model and settled.pipeline else None
    if model is None or model.size < LARGE:
        return None
    low, high = model.download
    return (
        f"This is a {model.size:.0f}GB model. If it is not cached on model-pvc yet, the download-model task will take "
        f"{low}-{high} minutes."
    )


def length_lines(numbers: Numbers) -> Iterator[Line]:
    """The lengths of prompt, output and prefix, in tokens."""
    for kind in ("prompt", "output"):
        mean, stdev = getattr(numbers, f"{kind}_tokens"), getattr(numbers, f"{kind}_tokens_stdev")
        low, high = getattr(numbers, f"{kind}_tokens_min"), getattr(numbers, f"{kind}_tokens_max")
        yield Line(label=f"{kind.title()} Tokens", value=f"{mean:g} ({SIGMA}={stdev:g}, range: {low}-{high})")
    yield Line(label="Prefix Tokens", value=str(numbers.prefix_tokens))


def spoken(flag: str, value: Value) -> str:
    """An engine argument as people write it: ``--dtype bfloat16``."""
    return flag_text(flag, value).replace("=", " ", 1)


def mark(field: str, understanding: Understanding) -> str:
    """Whether the language model understood a field, for people."""
    return BY_MODEL if field in understanding.by_model else ""


def listed(values: tuple[Value, ...], bare: bool = False) -> str:
    """Values in a row, in brackets unless ``bare``."""
    text = ", ".join(str(value) for value in values)
    return text if bare else f"[{text}]"


def title_of(change: Change) -> str:
    """What a values file calls the parameter of a change."""
    name = change.parameter
    return TITLES.get(name, name.removeprefix("workload_profile."))


def shown(value: object) -> str:
    """A value of a values file, lists in brackets."""
    return f"[{', '.join(str(one) for one in value)}]" if isinstance(value, list | tuple) else str(value)
