"""Check a study against what is known of its engine and model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from servelab.catalog.engines import SIMULATION, Argument, Relation, find_engine
from servelab.catalog.fit import misfit, uneven_heads
from servelab.catalog.models import find_model
from servelab.catalog.nearest import mistyped
from servelab.spec.base import Value
from servelab.spec.samples import too_few
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
    problems = [*_lengths(study), *_memory(study), *_samples(study)]
    if known is None:
        return problems
    for path, name, values in _settings(study):
        argument = known.arguments.get(name)
        if argument is None and study.simulated and name in SIMULATION:
            continue
        if argument is None:
            meant = mistyped(name, known.arguments)
            hint = f", did you mean `{meant}`?" if meant else "; it is passed on as it is"
            what = f"{known.title} has no argument `{name}` that servelab knows{hint}"
            problems.append(Problem(path, what, fatal=meant is not None))
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
    """Requirements and conflicts among the arguments of each configuration that is known beforehand."""
    fixed = study.engine.arguments
    told: set[str] = set()
    # In a space the sampler may combine values at will, so there only what stays fixed is judged.
    for row in study.design or ({},):
        for name, value in {**fixed, **row}.items():
            for relation, wanted in _related(known.get(name)):
                other = {**fixed, **row}.get(relation.argument, _default(known, relation.argument))
                free = relation.argument in study.changed and relation.argument not in row
                if free or other is None or not relation.applies(value) or (other in relation.values) == wanted:
                    continue
                verb = "needs" if wanted else "does not go with"
                choices = " or ".join(str(v) for v in relation.values)
                what = f"`{name}: {value}` {verb} `{relation.argument}: {choices}`: {relation.why}"
                if what not in told:
                    told.add(what)
                    yield Problem(_place(study, name), what, True)


def _place(study: Study, name: str) -> Path:
    if name in study.engine.arguments:
        return ("engine", "arguments", name)
    return ("factors", name) if name in study.factors else ("treatments",)


def _related(argument: Argument | None) -> list[tuple[Relation, bool]]:
    if argument is None:
        return []
    return [(r, True) for r in argument.requires] + [(r, False) for r in argument.conflicts]


def _default(known: Mapping[str, Argument], name: str) -> Value | None:
    return known[name].default if name in known else None


def _lengths(study: Study) -> Iterator[Problem]:
    """Requests longer than the engine or the model can take."""
    longest = study.workload.longest
    about = "about " if study.workload.dataset else ""  # its tokens are estimated from the text
    limits = [
        (f"`{name}` of the engine", value)
        for name in CONTEXT
        # -1 lets vLLM choose.
        if isinstance(value := study.engine.arguments.get(name), int) and not isinstance(value, bool) and value > 0
    ]
    model = find_model(study.model.id)
    if model is not None:
        limits.append((f"the context of {model.id}", model.context))
    for what, limit in limits:
        if longest > limit:
            yield Problem(
                ("workload",),
                f"the longest request has {about}{longest} tokens, {what} is {limit}: shorten it, or raise it",
                not about,
            )


def _samples(study: Study) -> Iterator[Problem]:
    """Percentiles that the load's requests cannot tell."""
    if study.load.requests is not None:
        goals = [goal.metric for goal in study.goals]
        yield from (Problem(("load", "requests"), what, False) for what in too_few(goals, study.load.requests))


def _memory(study: Study) -> Iterator[Problem]:
    """Models that no configuration of the study can hold or divide."""
    if (why := misfit(study)) is not None:
        yield Problem(("engine", "resources"), why, True)
    if (why := uneven_heads(study)) is not None:
        yield Problem(("model",), why, True)
