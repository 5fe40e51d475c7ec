"""Check a study against what is known of its engine and model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from servelab.catalog.engines import Argument, Relation, find_engine
from servelab.catalog.models import find_model
from servelab.catalog.nearest import suggestion
from servelab.spec.base import Value
from servelab.spec.study import Study

CONTEXT = ("max_model_len", "context_length", "max_seq_len")
"""Arguments that bound the length of a request, by engine."""

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """Something that is wrong, or only strange (not ``fatal``), at ``path`` of the study's document."""

    path: Path
    message: str
    fatal: bool

    def __str__(self) -> str:
        return f"{'.'.join(str(part) for part in self.path)}: {self.message}"


def check_study(study: Study) -> list[Problem]:
    """All problems of a study; nothing is known of a plug-in engine, and nothing is said."""
    known = find_engine(study.engine.name)
    problems = list(_lengths(study))
    if known is None:
        return problems
    for path, name, values in _settings(study):
        argument = known.arguments.get(name)
        if argument is None:
            hint = suggestion(name, known.arguments) or "; it is passed on as it is"
            near = hint.startswith(", did")
            problems.append(Problem(path, f"{known.title} has no argument `{name}` that servelab knows{hint}", near))
            continue
        faults = [fault for value in values if (fault := argument.fault(value))]
        problems += [Problem(path, f"`{name}` {fault}", True) for fault in faults[:1]]
    problems += _relations(study, known.arguments)
    return problems


def _settings(study: Study) -> Iterator[tuple[Path, str, tuple[Value, ...]]]:
    """Each argument that the study sets, where, and to which values."""
    for name, value in study.engine.arguments.items():
        yield ("engine", "arguments", name), name, (value,)
    for name, value in study.baseline.items():
        yield ("baseline", name), name, (value,)
    if study.space is not None:
        for name, parameter in study.space.parameters.items():
            bounds = parameter.choices if parameter.type == "categorical" else (parameter.low, parameter.high)
            yield ("space", "parameters", name), name, bounds
    for name, levels in study.factors.items():
        yield ("factors", name), name, levels
    for index, treatment in enumerate(study.treatments):
        for name, value in treatment.items():
            yield ("treatments", index, name), name, (value,)


def _relations(study: Study, known: Mapping[str, Argument]) -> Iterator[Problem]:
    """Requirements and conflicts among the arguments that stay fixed."""
    fixed = study.engine.arguments
    changed = set(study.changed)
    for name, value in fixed.items():
        argument = known.get(name)
        for relation, wanted in _related(argument):
            if relation.argument in changed or not relation.applies(value):
                continue
            other = fixed.get(relation.argument, _default(known, relation.argument))
            if other is not None and (other in relation.values) != wanted:
                verb = "needs" if wanted else "does not go with"
                choices = " or ".join(str(v) for v in relation.values)
                yield Problem(
                    ("engine", "arguments", name),
                    f"`{name}: {value}` {verb} `{relation.argument}: {choices}`: {relation.why}",
                    True,
                )


def _related(argument: Argument | None) -> list[tuple[Relation, bool]]:
    if argument is None:
        return []
    return [(r, True) for r in argument.requires] + [(r, False) for r in argument.conflicts]


def _default(known: Mapping[str, Argument], name: str) -> Value | None:
    return known[name].default if name in known else None


def _lengths(study: Study) -> Iterator[Problem]:
    """Requests longer than the engine or the model can take."""
    longest = study.workload.longest
    limits = [
        (f"`{name}` of the engine", value)
        for name in CONTEXT
        if isinstance(value := study.engine.arguments.get(name), int) and not isinstance(value, bool)
    ]
    model = find_model(study.model.id)
    if model is not None:
        limits.append((f"the context of {model.id}", model.context))
    for what, limit in limits:
        if longest > limit:
            yield Problem(
                ("workload",),
                f"the longest request has {longest} tokens, {what} is {limit}: shorten it, or raise it",
                True,
            )
