"""A new experiment from one that failed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from servelab.spec.base import Value
from servelab.spec.errors import DocumentError
from servelab.tekton.changes import Change
from servelab.tekton.collision import next_free
from servelab.tekton.diagnosis import Diagnosis
from servelab.tekton.experiment import Experiment
from servelab.tekton.fixes import Option


def chosen_option(diagnosis: Diagnosis, number: int) -> Option:
    """The option with this number, counted from 1.

    Raises:
        DocumentError: there is none.
    """
    if not 1 <= number <= len(diagnosis.options):
        known = "; ".join(f"{index} {one.text}" for index, one in enumerate(diagnosis.options, start=1))
        raise DocumentError((f"there is no fix {number}",), f"There are: {known or 'none'}.")
    return diagnosis.options[number - 1]


def revised(
    experiment: Experiment, trial: str, option: Option | None, given: Mapping[str, Value], taken: Collection[str]
) -> tuple[Experiment, tuple[Change, ...]]:
    """The experiment with an option's changes and those the person gave, under the next free id; and all its changes.

    Raises:
        DocumentError: a value that the option asks for is not given, or the values have no place for a parameter.
    """
    missing = [name for name in (option.asks if option else ()) if name not in given]
    if missing:
        raise DocumentError((f"say which {missing[0]}: --set {missing[0]}=VALUE",))
    changes = _changes(experiment.parameters(trial), option.changes if option else (), given)
    return experiment.changed(changes).renamed(next_free(experiment.name, taken)), changes


def _changes(known: Mapping[str, Value], proposed: Sequence[Change], given: Mapping[str, Value]) -> tuple[Change, ...]:
    kept = [change for change in proposed if change.parameter not in given]
    return (*kept, *(Change(name, known.get(name), value) for name, value in given.items()))
