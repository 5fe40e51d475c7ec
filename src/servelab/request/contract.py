"""An experiment as one JSON object, for programs that ask."""

from __future__ import annotations

from typing import Any

from servelab.request.facts import Facts
from servelab.request.feasible import doubts
from servelab.request.said import Profile, Understanding
from servelab.request.settle import Settled
from servelab.request.study import make_study
from servelab.spec.goal import Constraint
from servelab.spec.metrics import metric

MISSING = 2  # exit code where something must be asked


def contract(settled: Settled, facts: Facts, understanding: Understanding) -> dict[str, Any]:
    """Every field of the experiment; null where nothing was said and nothing is usual.

    ``study`` is null while something is missing or ambiguous. Latencies are in seconds.
    """
    missing = [question.parameter for question in settled.questions if question.kind == "missing"]
    choices = [question for question in settled.questions if question.kind == "ambiguous"]
    warnings = [*settled.warnings, *(doubt.text for doubt in doubts(settled, facts))]
    warnings += [f"nothing was made of {piece!r}" for piece in understanding.leftover]
    asked = settled.request
    return {
        "intent": settled.intent.value,
        "model": settled.model,
        "namespace": settled.namespace,
        "experiment_id": settled.experiment_id,
        "workload": settled.workload,
        "workload_profile": _profile(settled),
        "tensor_parallelism": list(settled.tensor_parallelism),
        **settled.limits,
        "images": settled.images.model_dump(),
        "engine": asked.engine or "vllm",
        "platform": asked.platform,
        "accelerator": asked.accelerator,
        "engine_args": settled.engine_args,
        "sweep": {name: list(levels) for name, levels in settled.sweep.items()},
        "objective": None if asked.objective is None else asked.objective.model_dump(exclude_none=True),
        "constraints": [_constraint(constraint) for constraint in asked.constraints],
        "budget": None if asked.budget is None else asked.budget.model_dump(exclude_unset=True),
        "changes": [change.model_dump(mode="json") for change in settled.changes],
        "missing": missing,
        "ambiguous": [
            {
                "parameter": question.parameter,
                "options": [option.value for option in question.options],
                "question": question.text,
            }
            for question in choices
        ],
        "warnings": warnings,
        "by_model": list(understanding.by_model),
        "study": make_study(settled, facts).model_dump(mode="json", exclude_defaults=True)
        if settled.complete
        else None,
    }


def _profile(settled: Settled) -> dict[str, Any]:
    """All numbers of the workload, or those that were said while some are missing."""
    numbers = settled.numbers
    if numbers is None:
        return _said(settled.request.profile)
    return {
        **numbers.model_dump(mode="json"),
        "rate": list(numbers.levels) if len(numbers.levels) > 1 else numbers.levels[0],
    }


def _said(profile: Profile) -> dict[str, Any]:
    names = {"mean": "", "stdev": "_stdev", "min": "_min", "max": "_max"}
    found: dict[str, Any] = {
        f"{kind}_tokens{ending}": getattr(getattr(profile, kind), part)
        for kind in ("prompt", "output")
        for part, ending in names.items()
    }
    return found | {"prefix_tokens": profile.prefix, "max_requests": profile.max_requests}


def _constraint(constraint: Constraint) -> dict[str, Any]:
    sign = "<=" if constraint.max is not None else ">="
    return {"metric": constraint.metric, "op": sign, "value": constraint.bound, "unit": metric(constraint.metric).unit}
