"""What a prediction is asked for, and the deployment that it means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field, ValidationError

from servelab.perf.deployment import Batching, Deployment, Models
from servelab.perf.instant import Bounds
from servelab.perf.parameters import Parameters
from servelab.perf.predict import Effort, Price
from servelab.perf.tally import TOLD
from servelab.spec.base import Spec
from servelab.spec.errors import DocumentError
from servelab.spec.goal import Constraint
from servelab.spec.workload import Workload

LONGEST = 1_000_000  # tokens of a prompt or an answer
MEANS = {"ttft_mean": "ttft", "itl_mean": "itl", "e2e_mean": "e2e"}
"""What the closed form can keep."""


class Asked(Spec):
    """Requests at a rate, the engine's limits, an SLO, and a price; what is not said is as the coefficients have it."""

    rate: float = Field(gt=0, le=1e6, description="requests/s, arriving at random (Poisson)")
    prompt_tokens: float | None = Field(default=None, ge=1, le=LONGEST)
    output_tokens: float | None = Field(default=None, ge=1, le=LONGEST)
    max_num_seqs: int = Field(default=256, ge=1, le=2048, description="most requests in a batch")
    max_num_batched_tokens: int = Field(default=8192, ge=1, le=1 << 20, description="most tokens in a step")
    kv_tokens: int | None = Field(default=None, ge=1, le=1 << 32, description="that the KV cache holds")
    slo: tuple[Constraint, ...] = Field(default=(), max_length=12, description="bounds to keep, as ttft_p95 <= 500ms")
    accelerators: int = Field(default=1, ge=1, le=4096, description="of a replica")
    accelerator_hour_cost: float | None = Field(default=None, ge=0, le=1e6)

    def deployment(self, parameters: Parameters) -> Deployment:
        """The replica that is predicted.

        Raises:
            DocumentError: the lengths of the requests are not known.
        """
        batching = Batching(self.max_num_seqs, self.max_num_batched_tokens, self.kv_tokens)
        workload = requests_of(parameters, self.prompt_tokens, self.output_tokens)
        return Deployment(Models.of(parameters), workload, batching)

    @property
    def price(self) -> Price:
        """Of a replica."""
        return Price(self.accelerators, self.accelerator_hour_cost)

    @property
    def bounds(self) -> Bounds:
        """The SLO for the closed form.

        Raises:
            DocumentError: it has a bound on what the closed form does not know.
        """
        wrong = [str(one) for one in self.slo if one.metric not in MEANS or one.max is None]
        if wrong:
            raise DocumentError(
                tuple(f"{one}: the closed form knows means only" for one in wrong),
                f"Bound {', '.join(MEANS)}, or simulate.",
            )
        return Bounds(**{MEANS[one.metric]: one.max for one in self.slo})


class Simulated(Asked):
    """The same for the simulator, and how much it simulates."""

    requests: int = Field(default=4000, ge=100, description="at each rate")
    draws: int = Field(default=30, ge=0, description="of the coefficients, for the intervals")
    seed: int = Field(default=0, ge=0, le=2**31)

    @property
    def effort(self) -> Effort:
        """For ``predict``."""
        return Effort(self.requests, self.draws, self.seed)


class Brief(Simulated):
    """As much of it as a page that others use too simulates."""

    requests: int = Field(default=4000, ge=100, le=20_000, description="at each rate")
    draws: int = Field(default=30, ge=0, le=100, description="of the coefficients, for the intervals")


def asked_by(options: Mapping[str, Any]) -> Simulated:
    """What options of a command ask for; None is not said.

    Raises:
        DocumentError: a value makes no sense.
    """
    try:
        return Simulated.model_validate({name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        problems = (f"{one['loc'][0]} is {one['input']}: {one['msg'].lower()}" for one in error.errors())
        raise DocumentError(tuple(str(problem).replace("_", "-") for problem in problems)) from None


def requests_of(
    parameters: Parameters, prompt: float | None, output: float | None, known: Workload | None = None
) -> Workload:
    """The requests: of these lengths, else those of ``known``, else those that the coefficients were fitted to.

    Raises:
        DocumentError: nothing says how long they are.
    """
    prompt = prompt or (None if known else parameters.workload.prompt_tokens)
    output = output or (None if known else parameters.workload.output_tokens)
    if known is None and (prompt is None or output is None):
        raise DocumentError(
            ("the coefficients do not say of which requests they are",),
            "Give the tokens of prompts and answers: --prompt-tokens and --output-tokens, or --workload with a preset.",
        )
    lengths = {name: value for name, value in (("prompt", prompt), ("output", output)) if value is not None}
    return Workload.model_validate({**(known.model_dump() if known else {}), **lengths})


def read_slo(text: str) -> Constraint:
    """A bound on what is predicted, as ``ttft_p95=500ms``.

    Raises:
        DocumentError: it is none.
    """
    name, _, bound = text.partition("=")
    written = text if "<" in name or ">" in name else f"{name} <= {bound}"
    try:
        found = Constraint.model_validate(written)
    except ValidationError as error:
        raise DocumentError((f"{text}: {error.errors()[0]['msg']}",), "Write it as ttft_p95=500ms.") from None
    if faults := tuple(untold((found,))):
        raise DocumentError(faults, f"Known are: {', '.join(TOLD)}.")
    return found


def untold(slo: tuple[Constraint, ...]) -> Iterator[str]:
    """A sentence for each bound that no prediction tells of."""
    yield from (f"{one}: {one.metric} is not predicted" for one in slo if one.metric not in TOLD)
