"""All numbers of a workload: what was said, on top of a preset, of the values file, or of the defaults."""

from __future__ import annotations

from typing import Literal

from servelab.catalog.workloads import Preset
from servelab.request.said import Lengths, Profile
from servelab.spec.base import Spec

Number = int | float
RateType = Literal["sweep", "constant", "poisson", "synchronous", "throughput", "concurrent"]

REQUESTS = 50
RATE = 12
SEED = 42


class Numbers(Spec):
    """A workload and its load in full; lengths in tokens.

    ``rate`` is in requests per second, or the number of levels of a sweep, or the streams in flight when concurrent.
    """

    prompt_tokens: Number
    prompt_tokens_stdev: Number = 0
    prompt_tokens_min: int = 1
    prompt_tokens_max: int
    output_tokens: Number
    output_tokens_stdev: Number = 0
    output_tokens_min: int = 1
    output_tokens_max: int
    prefix_tokens: int = 0
    max_requests: int = REQUESTS
    rate: Number | tuple[Number, ...] = RATE
    rate_type: RateType = "sweep"
    random_seed: int = SEED

    @property
    def longest(self) -> int:
        """The longest request in tokens: prefix, prompt and output."""
        return self.prefix_tokens + self.prompt_tokens_max + self.output_tokens_max

    @property
    def rates(self) -> tuple[Number, ...]:
        """The rate, or all of them."""
        return self.rate if isinstance(self.rate, tuple) else (self.rate,)


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
    found = {**_lengths("prompt", said.prompt), **_lengths("output", said.output), "prefix_tokens": said.prefix}
    found |= {"max_requests": said.max_requests, "rate_type": said.rate_type}
    if said.concurrency:
        found |= {"rate": _one_or_all(said.concurrency), "rate_type": "concurrent"}
    elif said.rates:
        # A sweep finds its own rates: several can only mean one level each.
        several = {"rate_type": said.rate_type or "constant"} if len(said.rates) > 1 else {}
        found |= {"rate": _one_or_all(said.rates)} | several
    return Numbers.model_validate({**numbers.model_dump(), **{k: v for k, v in found.items() if v is not None}})


def whole(value: float) -> Number:
    """12 for 12.0; what has a fraction stays as it is."""
    return int(value) if value == int(value) else value


def _lengths(kind: str, lengths: Lengths | object) -> dict[str, Number | None]:
    names = {"mean": f"{kind}_tokens"} | {part: f"{kind}_tokens_{part}" for part in ("stdev", "min", "max")}
    values = {name: getattr(lengths, part) for part, name in names.items()}
    return {name: value if value is None else whole(value) for name, value in values.items()}


def _highest(said: Lengths) -> int:
    assert said.mean is not None  # its caller has asked
    return max(round(2 * said.mean), 1)


def _one_or_all(values: tuple[float, ...]) -> Number | tuple[Number, ...]:
    found = tuple(whole(value) for value in values)
    return found[0] if len(found) == 1 else found
