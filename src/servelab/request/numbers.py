"""All numbers of a workload: what was said, on top of a preset, of the values file, or of the defaults."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from servelab.catalog.workloads import Preset
from servelab.request.said import Lengths, Profile
from servelab.spec.base import Spec

Number = Annotated[PositiveInt | PositiveFloat, Field(union_mode="left_to_right")]
RateType = Literal["sweep", "constant", "poisson", "synchronous", "throughput", "concurrent"]

REQUESTS = 50
RATE = 12
SEED = 42


class Numbers(Spec):
    """A workload and its load in full; lengths in tokens.

    ``rate`` is in requests per second, or the number of levels of a sweep; ``concurrency`` is the streams in flight.
    """

    prompt_tokens: Number
    prompt_tokens_stdev: NonNegativeInt | NonNegativeFloat = 0
    prompt_tokens_min: PositiveInt = 1
    prompt_tokens_max: PositiveInt
    output_tokens: Number
    output_tokens_stdev: NonNegativeInt | NonNegativeFloat = 0
    output_tokens_min: PositiveInt = 1
    output_tokens_max: PositiveInt
    prefix_tokens: NonNegativeInt = 0
    max_requests: PositiveInt = REQUESTS
    rate: Number | tuple[Number, ...] = RATE
    rate_type: RateType = "sweep"
    concurrency: tuple[PositiveInt, ...] = ()
    random_seed: NonNegativeInt = SEED

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for kind in ("prompt", "output"):
            low, high = getattr(self, f"{kind}_tokens_min"), getattr(self, f"{kind}_tokens_max")
            if low > high:
                raise ValueError(f"{kind} lengths have a minimum of {low} above their maximum of {high}")
        return self

    @property
    def longest(self) -> int:
        """The longest request in tokens: prefix, prompt and output."""
        return self.prefix_tokens + self.prompt_tokens_max + self.output_tokens_max

    @property
    def rates(self) -> tuple[int | float, ...]:
        """The rate, or all of them."""
        return self.rate if isinstance(self.rate, tuple) else (self.rate,)

    @property
    def levels(self) -> tuple[int | float, ...]:
        """The streams in flight when concurrent, else the rates."""
        return self.concurrency or self.rates

    @property
    def plain(self) -> dict[str, Any]:
        """The numbers as a values file holds them: flat, where several rates or concurrencies are the ``rate``."""
        plain = self.model_dump(mode="json", exclude={"concurrency"})
        text = ",".join(str(level) for level in self.levels)
        return {**plain, "rate": self.levels[0] if len(self.levels) == 1 else text}


def preset_numbers(preset: Preset) -> Numbers:
    """The numbers of a preset of the catalog."""
    return Numbers.model_validate(
        {
            **_lengths("prompt", preset.prompt),
            **_lengths("output", preset.output),
            "prefix_tokens": preset.prefix,
            "max_requests": preset.requests,
            "rate": whole(preset.rate),
            "rate_type": preset.rate_type,
            "random_seed": preset.seed,
        }
    )


def custom_numbers(said: Profile) -> Numbers | None:
    """The numbers of a workload of one's own: stdev 0, min 1, max twice the mean; None while a mean is missing."""
    if said.prompt.mean is None or said.output.mean is None:
        return None
    defaults = Numbers(
        prompt_tokens=whole(said.prompt.mean),
        prompt_tokens_max=_highest(said.prompt),
        output_tokens=whole(said.output.mean),
        output_tokens_max=_highest(said.output),
    )
    return adjusted(defaults, said)


def adjusted(numbers: Numbers, said: Profile) -> Numbers:
    """The numbers with what was said in their place."""
    found: dict[str, Any] = {
        **_lengths("prompt", said.prompt),
        **_lengths("output", said.output),
        "prefix_tokens": said.prefix,
    }
    found |= {"max_requests": said.max_requests, "rate_type": said.rate_type}
    if said.concurrency:
        found |= {"concurrency": said.concurrency, "rate_type": "concurrent"}
    elif said.rates:
        # A sweep finds its own rates: several can only mean one level each.
        several = {"rate_type": said.rate_type or "constant"} if len(said.rates) > 1 else {}
        found |= {"rate": _one_or_all(said.rates)} | several
    return Numbers.model_validate({**numbers.model_dump(), **{k: v for k, v in found.items() if v is not None}})


def whole(value: float) -> int | float:
    """12 for 12.0; what has a fraction stays as it is."""
    return int(value) if value == int(value) else value


def _lengths(kind: str, lengths: Lengths | object) -> dict[str, int | float | None]:
    names = {"mean": f"{kind}_tokens"} | {part: f"{kind}_tokens_{part}" for part in ("stdev", "min", "max")}
    values = {name: getattr(lengths, part) for part, name in names.items()}
    return {name: value if value is None else whole(value) for name, value in values.items()}


def _highest(said: Lengths) -> int:
    assert said.mean is not None  # its caller has asked
    return max(round(2 * said.mean), 1)


def _one_or_all(values: tuple[float, ...]) -> int | float | tuple[int | float, ...]:
    found = tuple(whole(value) for value in values)
    return found[0] if len(found) == 1 else found
