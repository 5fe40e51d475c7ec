"""What a request changes in a values file: each parameter matches, takes a part of what is there, or overrides it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from servelab.request.numbers import Numbers
from servelab.request.said import Images
from servelab.request.values import CONTAINER, INIT, LOAD, PROFILE, TREATMENTS, WORKLOAD, Values
from servelab.spec.base import Spec, Value

LIMITS = {
    "max_model_len": "stack.MAX_MODEL_LEN",
    "max_num_batched_tokens": "stack.MAX_NUM_BATCHED_TOKENS",
    "max_num_seqs": "stack.MAX_NUM_SEQS",
}
"""Limit of the engine -> its place in the values file."""


class Category(StrEnum):
    """How a value that was asked for stands to the values file."""

    MATCH = "MATCH"  # it is there: nothing changes
    SUBSET = "SUBSET"  # it is a part of the list there: the list is filtered
    OVERRIDE = "OVERRIDE"  # it differs: a merged copy holds it


class Change(Spec):
    """One parameter, compared: its value in the file (``old``), and in the copy (``new``)."""

    parameter: str
    category: Category
    old: Any
    new: Any
    path: str

    @property
    def changed(self) -> bool:
        """Whether the copy differs from the file here."""
        return self.category is not Category.MATCH


class Wanted(Spec):
    """What is to run, in full, and which tensor parallelisms were asked for (none: those of the values file)."""

    tensor_parallelism: tuple[int, ...]
    only: bool
    limits: dict[str, int]
    workload: str
    numbers: Numbers | None
    images: Images
    engine_args: dict[str, Value]


def match(wanted: Wanted, values: Values) -> tuple[Change, ...]:
    """Compare each parameter with the values file; tensor parallelism first.

    One of several tensor parallelisms of the file is a MATCH as long as nothing else needs a copy of the file, since
    fewer changes are better, and a SUBSET when a copy is written anyway or only that one was asked for.
    """
    others = (*_limits(wanted, values), *_workload(wanted, values), *_images(wanted, values), *_args(wanted, values))
    return (_parallelism(wanted, values, any(change.changed for change in others)), *others)


def flag_text(flag: str, value: Value) -> str:
    """One engine argument as the command line takes it: ``--dtype=bfloat16``, ``--enforce-eager``."""
    if value is True:
        return flag
    return f"--no-{flag.removeprefix('--')}" if value is False else f"{flag}={value}"


def _parallelism(wanted: Wanted, values: Values, copied: bool) -> Change:
    there, asked = values.tensor_parallelism, wanted.tensor_parallelism
    category, new = Category.MATCH, there
    if asked and not set(asked) <= set(there):
        category, new = Category.OVERRIDE, asked
    elif asked and set(asked) < set(there) and (wanted.only or copied):
        category, new = Category.SUBSET, asked
    return Change(parameter="tensor_parallelism", category=category, old=list(there), new=list(new), path=TREATMENTS)


def _limits(wanted: Wanted, values: Values) -> Iterator[Change]:
    for name, path in LIMITS.items():
        yield _compared(name, getattr(values, name), wanted.limits[name], path)


def _workload(wanted: Wanted, values: Values) -> Iterator[Change]:
    yield _compared("workload", values.workload, wanted.workload, WORKLOAD)
    if wanted.numbers is None or wanted.workload != values.workload:
        return
    there = values.numbers.plain
    for name, new in wanted.numbers.plain.items():
        if there[name] != new:
            yield _compared(f"workload_profile.{name}", there[name], new, number_path(name))


def number_path(name: str) -> str:
    """Where a number of the workload stands in a values file."""
    return f"{PROFILE}.{name}" if name in LOAD else f"{PROFILE}.data.{name}"


def _images(wanted: Wanted, values: Values) -> Iterator[Change]:
    yield _compared("images.main", values.image, wanted.images.main, f"{CONTAINER}.image")
    if values.init_image is not None:
        yield _compared("images.init", values.init_image, wanted.images.init, f"{INIT}.image")


def _args(wanted: Wanted, values: Values) -> Iterator[Change]:
    there = given_args(values)
    for flag, value in wanted.engine_args.items():
        yield _compared(flag, there.get(flag), value, f"{CONTAINER}.args")


def given_args(values: Values) -> Mapping[str, Value]:
    """The engine arguments that the values file gives its container, by flag; True where a flag has no value."""
    found: dict[str, Value] = {}
    waiting: str | None = None
    for part in values.args:
        if part.startswith("--"):
            flag, equals, value = part.partition("=")
            found[flag] = plain_value(value) if equals else True
            waiting = None if equals else flag
        elif waiting is not None:
            found[waiting], waiting = plain_value(part), None
    return found


def plain_value(text: str) -> Value:
    """A number where the text is one, else the text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _compared(parameter: str, old: Any, new: Any, path: str) -> Change:
    same = old == new and isinstance(old, bool) == isinstance(new, bool)
    category = Category.MATCH if same else Category.OVERRIDE
    return Change(parameter=parameter, category=category, old=old, new=new, path=path)
