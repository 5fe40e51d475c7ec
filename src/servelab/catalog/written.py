"""Write a study as a person would: short forms, and nothing that goes without saying."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from servelab.catalog.models import known_models
from servelab.catalog.study import default_parameters
from servelab.spec.goal import Constraint, Objective
from servelab.spec.metrics import metric
from servelab.spec.study import Study

WIDTH = 96  # columns that a list or a mapping of plain values may take in one line

SWITCHES = ("on", "off", "yes", "no", "y", "n")
"""Words that older YAML takes for true and false."""


def study_document(study: Study) -> dict[str, Any]:
    """The study as plain data in its short forms; reading it gives the same study again."""
    found = full_document(study)
    for name in ("engine", "platform", "harness", "sampler"):
        if name in found and set(found[name]) == {"name"}:
            found[name] = found[name]["name"]
    if set(found["model"]) == {"id"}:
        found["model"] = short_name(study.model.id)
    lengths = found["workload"]
    lengths |= {kind: lengths[kind]["mean"] for kind in ("prompt", "output") if is_plain_length(lengths[kind])}
    parameters = found.get("space", {}).get("parameters", {})
    parameters |= {name: one["choices"] for name, one in parameters.items() if set(one) == {"choices"}}
    if study.objectives:
        found["objectives"] = [_objective(objective) for objective in study.objectives]
    if study.constraints:
        found["constraints"] = [_constraint(constraint) for constraint in study.constraints]
    return found


def full_document(study: Study) -> dict[str, Any]:
    """The study as plain data with every field under its own name, without defaults and what the catalog fills in."""
    found = study.model_dump(mode="json", exclude_defaults=True)
    found |= {name: _whole(found[name]) for name in ("workload", "load", "budget") if name in found}
    usual = default_parameters(study)
    baseline = {name: value for name, value in study.baseline.items() if usual.get(name) != value}
    found.pop("baseline", None)
    return found | ({"baseline": baseline} if baseline else {})


def is_plain_length(tokens: Mapping[str, Any]) -> bool:
    """Whether a distribution is a fixed length that its mean alone says."""
    whole = max(1, round(tokens["mean"]))
    return tokens.get("distribution") == "fixed" and tokens.get("min", 1) == tokens.get("max") == whole


def document_text(document: dict[str, Any]) -> str:
    """Plain data as YAML in its own order: what is short stands in one line."""
    yaml = YAML(typ="rt", pure=True)
    yaml.width = 4096
    stream = StringIO()
    yaml.dump({name: _laid_out(value, len(name)) for name, value in document.items()}, stream)
    return stream.getvalue()


def study_text(study: Study) -> str:
    """The study as YAML in its short forms."""
    return document_text(study_document(study))


def short_name(model: str) -> str:
    """The name by which the catalog knows a model, or else its id."""
    return next((name for name, known in known_models().items() if known.id == model), model)


def _objective(objective: Objective) -> Any:
    if objective.score is not None:
        return objective.model_dump(mode="json", exclude_defaults=True)
    return _sentence(objective, str(objective))


def _constraint(constraint: Constraint) -> Any:
    scale, unit = (1000, "ms") if metric(constraint.metric).unit == "s" else (1, "")
    sign = "<=" if constraint.max is not None else ">="
    at = f" at {constraint.at:g}" if constraint.at is not None else ""
    return _sentence(constraint, f"{constraint.metric} {sign} {constraint.bound * scale:.10g}{unit}{at}")


def _sentence(goal: Objective | Constraint, short: str) -> Any:
    """The goal in a sentence, where that says exactly the same; none holds a number with an exponent."""
    same = "e+" not in short and "e-" not in short and type(goal).model_validate(short) == goal
    return short if same else goal.model_dump(mode="json", exclude_defaults=True)


def _whole(value: Any) -> Any:
    """Whole numbers without a point."""
    if isinstance(value, dict):
        return {name: _whole(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_whole(part) for part in value]
    return int(value) if isinstance(value, float) and value == int(value) else value


def _laid_out(value: Any, before: int) -> Any:
    """The value with its plain lists and mappings in one line each, where they are short enough."""
    if not isinstance(value, dict | list):
        return DoubleQuotedScalarString(value) if str(value).lower() in SWITCHES else value
    if isinstance(value, dict):
        laid: Any = {name: _laid_out(part, before + len(name)) for name, part in value.items()}
    else:
        laid = [_laid_out(part, before) for part in value]
    parts = value.values() if isinstance(value, dict) else value
    plain = not any(isinstance(part, dict | list) for part in parts)
    if plain and before + len(str(value)) <= WIDTH:
        flat = CommentedMap(laid) if isinstance(laid, dict) else CommentedSeq(laid)
        flat.fa.set_flow_style()
        return flat
    return laid
