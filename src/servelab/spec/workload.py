"""What clients ask for."""

from __future__ import annotations

import json
import math
import struct
from hashlib import blake2b
from statistics import NormalDist
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    NonNegativeInt,
    PositiveInt,
    model_validator,
)

from servelab.spec.base import Spec

LOGNORMAL_TAIL = 3.0  # standard deviations of the logarithm that a lognormal length may be above its median
LONGEST = 1e9  # tokens; beyond it is a slip, and numbers no longer fit
_NORMAL = NormalDist()

RESERVED = ("model", "prompt", "messages", "stream", "max_tokens", "n")
"""Request fields that the workload itself decides."""


def _may_be_left_out(*names: str) -> ConfigDict:
    """Of fields that a validator or the reader of a study fills in: the JSON Schema does not require them."""

    def change(schema: dict[str, Any]) -> None:
        schema["required"] = [name for name in schema.get("required", ()) if name not in names]

    return ConfigDict(json_schema_extra=change)


class Tokens(Spec):
    """A length distribution in tokens, rounded and clipped to [min, max].

    ``mean`` and ``stdev`` are of the lengths themselves, before clipping, for the lognormal too; a uniform
    distribution is given by ``min`` and ``max``.
    """

    model_config = _may_be_left_out("mean")

    distribution: Literal["normal", "lognormal", "uniform", "fixed"] = "normal"
    mean: float = Field(gt=0, le=LONGEST)
    stdev: float = Field(default=0, ge=0, le=LONGEST)
    min: PositiveInt = 1
    max: PositiveInt | None = Field(
        default=None, description="default: twice the mean; lognormal: three sigma above the median"
    )

    @property
    def upper(self) -> int:
        """The longest length that can occur, in tokens."""
        if self.max is not None:
            return self.max
        highest = 2 * self.mean
        if self.distribution == "lognormal":
            mu, sigma = self.logarithm
            highest = math.exp(mu + LOGNORMAL_TAIL * sigma)
        return max(self.min, round(highest))

    @property
    def logarithm(self) -> tuple[float, float]:
        """Mean and standard deviation of the logarithm of a lognormal length."""
        variance = math.log1p((self.stdev / self.mean) ** 2)
        return math.log(self.mean) - variance / 2, math.sqrt(variance)

    @property
    def fixed(self) -> bool:
        """Whether all lengths are the same."""
        return self.distribution != "uniform" and self.stdev == 0

    def quantile(self, share: float) -> int:
        """The length in tokens that a ``share`` (within 0 and 1) of the requests stay below: of chance, a length."""
        if self.distribution == "uniform":
            return min(self.upper, self.min + int(share * (self.upper - self.min + 1)))
        if self.fixed:
            return min(self.upper, max(self.min, round(self.mean)))
        if self.distribution == "lognormal":
            mu, sigma = self.logarithm
            drawn = math.exp(mu + sigma * _NORMAL.inv_cdf(share))
        else:
            drawn = self.mean + self.stdev * _NORMAL.inv_cdf(share)
        return min(self.upper, max(self.min, round(drawn)))

    @model_validator(mode="before")
    @classmethod
    def _mean_of_its_kind(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        low, high, kind = raw.get("min"), raw.get("max"), raw.get("distribution")
        if kind == "uniform" and "mean" not in raw:
            if not isinstance(low, int) or not isinstance(high, int):
                raise ValueError("a uniform distribution is given by min and max")
            return {**raw, "mean": (low + high) / 2}
        if kind == "fixed" and isinstance(mean := raw.get("mean"), int | float) and not isinstance(mean, bool):
            whole = max(1, round(mean))
            return {"min": whole, "max": whole, **raw}
        return raw

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.min > self.upper:
            raise ValueError(f"min {self.min} is above max {self.upper}")
        if self.distribution in ("uniform", "fixed") and self.stdev:
            raise ValueError(f"a {self.distribution} distribution has no stdev of its own: leave it out")
        if self.distribution == "uniform" and (self.max is None or self.mean != (self.min + self.max) / 2):
            raise ValueError("a uniform distribution is given by min and max: leave the mean out")
        if self.distribution == "fixed" and self.min != self.upper:
            raise ValueError("a fixed length has no min and max of its own: leave them out")
        if self.distribution == "lognormal" and not self.stdev:
            raise ValueError("a lognormal distribution needs a stdev; write a plain number for a fixed length")
        return self


def _tokens(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {"distribution": "fixed", "mean": value}
    return value


TokenCount = Annotated[Tokens, BeforeValidator(_tokens)]
"""A distribution, or a plain number for a fixed length."""


class SharedPrefix(Spec):
    """Leading tokens that requests share, so that a prefix cache can serve them."""

    tokens: NonNegativeInt
    groups: PositiveInt = Field(default=1, description="number of different prefixes")


class Columns(Spec):
    """Names of a trace's columns (CSV) or fields (JSONL); the timestamp in seconds, or as date and time."""

    timestamp: str = "timestamp"
    input: str = "input"
    output: str = "output"


class Trace(Spec):
    """A recorded trace of requests: when each came, and its lengths; prompts are made up to these lengths.

    Requests without output are left out. In a ``mooncake`` trace, requests share the 512-token blocks that
    ``hash_ids`` name.
    """

    path: str = Field(min_length=1, description="CSV or JSONL; relative to the study's file")
    format: Literal["mooncake", "azure", "burstgpt", "columns"]
    columns: Columns = Field(default=Columns(), description="for the format `columns`")
    limit: PositiveInt = Field(default=100_000, description="rows that are read, from the first on")

    @model_validator(mode="after")
    def _columns_belong(self) -> Self:
        if self.format != "columns" and "columns" in self.model_fields_set and self.columns != Columns():
            raise ValueError(f"the format {self.format} knows its columns: leave them out, or write `format: columns`")
        return self


def _extra(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    taken = [name for name in value if name in RESERVED]
    if taken:
        raise ValueError(f"the workload itself decides {' and '.join(taken)}: leave it out")
    json.dumps(value, allow_nan=False)  # says which number JSON does not know
    return value


class Workload(Spec):
    """The requests: lengths, shared prefix, API and seed. Prompts are unique beyond the prefix.

    With a ``trace`` or ``dataset``, what it holds decides; ``prompt`` and ``output`` then sum it up (filled in when
    the study is read), and ``output`` is the length where a line of the data set names none.
    """

    model_config = _may_be_left_out("prompt", "output")

    name: str = "custom"
    prompt: TokenCount
    output: TokenCount
    prefix: SharedPrefix | None = None
    api: Literal["chat", "completions"] = "completions"
    turns: PositiveInt = 1
    dataset: str | None = Field(
        default=None,
        min_length=1,
        description="a JSONL file, relative to the study's: `prompt` or `messages`, perhaps `output_tokens`",
    )
    trace: Trace | None = None
    extra: Annotated[dict[str, JsonValue], AfterValidator(_extra)] = Field(
        default_factory=dict, description="further fields of each request, as {temperature: 0.7}; null leaves one out"
    )
    seed: int = 42

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.trace and self.dataset:
            raise ValueError("give only one of trace and dataset")
        if self.prefix and (self.trace or self.dataset):
            raise ValueError(f"a {'trace' if self.trace else 'data set'} has its own prompts: leave the prefix out")
        return self

    def lengths(self, seed: int, number: int) -> tuple[int, int]:
        """Tokens of a request's prompt, without the shared prefix, and of its answer; warm-up has negative numbers."""
        # Ten times faster than a generator of random numbers that is seeded first.
        drawn = blake2b(f"{self.seed}/{seed}/{number}".encode(), digest_size=16).digest()
        prompt, output = (((bits >> 11) + 0.5) / 2**53 for bits in struct.unpack("QQ", drawn))
        return self.prompt.quantile(prompt), self.output.quantile(output)

    @property
    def fixed(self) -> bool:
        """Whether all requests are of the same lengths."""
        return self.prompt.fixed and self.output.fixed

    @property
    def longest(self) -> int:
        """The longest request in tokens: prefix, prompt and output."""
        return (self.prefix.tokens if self.prefix else 0) + self.prompt.upper + self.output.upper
