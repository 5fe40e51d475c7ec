"""What harnesses can be told, of that which not all of them can."""

from __future__ import annotations

import os
from dataclasses import dataclass

from servelab.harnesses.builtin.task import API_KEY
from servelab.harnesses.external.lengths import fixed
from servelab.spec.errors import MeasureError
from servelab.spec.load import LoadKind, LoadPoint
from servelab.spec.study import Study
from servelab.spec.workload import Workload

RATES: tuple[LoadKind, ...] = ("constant", "poisson")
"""Open loops that most can be told."""

_LOADS = {
    "constant": "a constant request rate",
    "poisson": "Poisson arrivals",
    "gamma": "gamma arrivals",
    "replay": "the replay of a trace",
}


@dataclass(frozen=True)
class Abilities:
    """What one harness can be told; the rest of a workload and a load all of them can."""

    apis: tuple[str, ...] = ("chat", "completions")
    rates: tuple[LoadKind, ...] = RATES
    lengths: tuple[str, ...] = ("normal",)
    """Distributions of lengths, besides fixed ones."""
    prefixes: int | None = None
    """Most different shared prefixes; None where there is no limit."""
    turns: bool = False
    extra: bool = True
    """Further fields of a request."""
    timeout: bool = True
    """Whether it takes a time after which a request is given up."""
    key: bool = False
    """Whether it takes the endpoint's key in the environment, not on its command line or in a file only."""

    def check(self, harness: str, workload: Workload, load: LoadPoint) -> None:
        """See that ``harness`` can be told all of a measurement.

        Raises:
            MeasureError: it cannot; with the part that it cannot be told.
        """
        self._check_source(harness, workload)
        self._check_lengths(harness, workload)
        self._check_load(harness, load)
        if api_key() is not None and not self.key:
            raise refuse(
                harness,
                "an API key that is on no command line and in no file",
                "Unset SERVELAB_API_KEY, or use another harness.",
            )

    def _check_source(self, harness: str, workload: Workload) -> None:
        if workload.api not in self.apis:
            raise refuse(harness, f"the {workload.api} API", f"Set workload.api: {self.apis[0]}.")
        if workload.dataset or workload.trace:
            raise refuse(harness, f"{'a data set' if workload.dataset else 'a trace'} through servelab yet")
        if workload.turns > 1 and not self.turns:
            raise refuse(harness, "several turns through servelab yet")
        if workload.extra and not self.extra:
            raise refuse(harness, "further request fields", "Leave workload.extra out, or use another harness.")
        left_out = [name for name, value in workload.extra.items() if value is None]
        if left_out:
            raise refuse(harness, f"leaving a request field out ({', '.join(left_out)})")
        prefix = workload.prefix
        if prefix and prefix.tokens and self.prefixes is not None and prefix.groups > self.prefixes:
            raise refuse(harness, "several shared prefixes", "Set workload.prefix.groups: 1, or use another harness.")

    def _check_lengths(self, harness: str, workload: Workload) -> None:
        for tokens in (workload.prompt, workload.output):
            if fixed(tokens) is None and tokens.distribution not in self.lengths:
                kind = f"{tokens.distribution}{'ly' if tokens.distribution == 'normal' else ''} distributed lengths"
                raise refuse(harness, kind, "Give fixed lengths, or use another harness.")

    def _check_load(self, harness: str, load: LoadPoint) -> None:
        if load.open_loop and load.kind not in self.rates:
            raise refuse(harness, _LOADS[load.kind], "Use another load, or another harness.")
        if load.start is not None:
            raise refuse(harness, "a rate that changes through servelab yet", "Use load.rate, or another harness.")


def levels(harness: str, study: Study) -> tuple[LoadPoint, ...]:
    """A load of each kind that a study will put on its engines.

    Raises:
        MeasureError: its levels depend on what no harness but ours tells.
    """
    if study.load.saturation:
        raise refuse(
            harness,
            "a saturation search, whose steps depend on whether the client was fit, which it does not tell",
            "Use the harness builtin, or load.rate.",
        )
    return study.load.kinds


def api_key() -> str | None:
    """The key of the endpoint, from our environment."""
    return os.environ.get(API_KEY)


def refuse(harness: str, what: str, remedy: str = "Leave it out, or use another harness.") -> MeasureError:
    """The error for what a harness cannot be told."""
    return MeasureError(f"{harness} cannot do {what}", remedy)
