"""Performance models by name.

The same letters mean different things in different models, so no coefficient goes anywhere without its model's name.
All are in seconds; ``batch`` is the number of requests that the engine runs at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

S = "s"
S_PER_REQUEST = "s/request"
S_PER_TOKEN = "s/token"  # noqa: S105 - a unit


@dataclass(frozen=True)
class Lengths:
    """Mean lengths of the requests, in tokens."""

    prompt: float
    output: float


class PerformanceModel(Protocol):
    """A named formula and its coefficients, which are the fields of a frozen dataclass."""

    name: ClassVar[str]
    units: ClassVar[Mapping[str, str]]
    """Coefficient -> unit, in the order of the fields."""


class DecodeModel(PerformanceModel, Protocol):
    """Tells the inter-token latency."""

    def itl(self, batch: float, lengths: Lengths) -> float:
        """Mean inter-token latency in seconds."""
        ...


class PrefillModel(PerformanceModel, Protocol):
    """Tells the time to the first token, without waiting for a place in the batch."""

    def ttft(self, batch: float, lengths: Lengths) -> float:
        """Mean time to first token in seconds."""
        ...


@dataclass(frozen=True)
class LinearBatch:
    """``ITL = alpha + beta * batch``.

    Source: parameter estimation of the llm-d Workload Variant Autoscaler, ``modelProfile...decodeParms`` of its CRD
    from 2025-09 to 2026-01 (there in ms).
    """

    name: ClassVar[str] = "linear-batch"
    units: ClassVar[Mapping[str, str]] = {"alpha": S, "beta": S_PER_REQUEST}
    alpha: float
    beta: float

    def itl(self, batch: float, lengths: Lengths) -> float:
        """Mean inter-token latency in seconds, whatever the lengths."""
        del lengths
        return self.alpha + self.beta * batch


@dataclass(frozen=True)
class KneeBatch:
    """``ITL = alpha + beta * batch + bend * max(0, batch - knee)``: two lines that meet at ``knee`` requests.

    Up to the knee a step is bound by reading the weights, above it by computing (roofline: Williams et al., CACM 2009).
    """

    name: ClassVar[str] = "knee-batch"
    units: ClassVar[Mapping[str, str]] = {"alpha": S, "beta": S_PER_REQUEST, "bend": S_PER_REQUEST, "knee": "request"}
    alpha: float
    beta: float
    bend: float
    knee: float

    def itl(self, batch: float, lengths: Lengths) -> float:
        """Mean inter-token latency in seconds, whatever the lengths."""
        del lengths
        return self.alpha + self.beta * batch + self.bend * max(0.0, batch - self.knee)


@dataclass(frozen=True)
class SaturatingBatch:
    """``ITL = alpha + rise * batch / (half + batch)``: it nears ``alpha + rise``, half the way up at ``half`` requests.

    The hyperbola of Michaelis and Menten, for engines whose step stops growing.
    """

    name: ClassVar[str] = "saturating-batch"
    units: ClassVar[Mapping[str, str]] = {"alpha": S, "rise": S, "half": "request"}
    alpha: float
    rise: float
    half: float

    def itl(self, batch: float, lengths: Lengths) -> float:
        """Mean inter-token latency in seconds, whatever the lengths."""
        del lengths
        return self.alpha + self.rise * batch / (self.half + batch)


@dataclass(frozen=True)
class LinearPrefill:
    """``TTFT = gamma + delta * prompt tokens * batch``: the partner of ``linear-batch``.

    Source: ``modelProfile...prefillParms`` of the llm-d Workload Variant Autoscaler's CRD from 2025-09 to 2026-01
    (there in ms). ``batch`` counts the requests whose prompts are computed together.
    """

    name: ClassVar[str] = "linear-prefill"
    units: ClassVar[Mapping[str, str]] = {"gamma": S, "delta": "s/(token request)"}
    gamma: float
    delta: float

    def ttft(self, batch: float, lengths: Lengths) -> float:
        """Mean time to first token in seconds."""
        return self.gamma + self.delta * lengths.prompt * batch


@dataclass(frozen=True)
class Tokenwise:
    """A step of ``batch`` requests takes ``alpha + batch * (beta * computed + gamma * read)``.

    ``computed`` and ``read`` are the tokens that a request has computed and reads from the cache in a step on average:
    ``(prompt + output) / (output + 1)`` and ``prompt + output / 2``. A prompt adds ``(beta + gamma) * prompt`` to its
    step, a token ``beta + gamma * (prompt + (output + 1) / 2)``. Its letters are not those of ``linear-batch``.

    Source: the queueing-model analyzer of the llm-d Workload Variant Autoscaler since 2026 (pkg/analyzer and
    docs/user-guide, there in ms), which learns them by a Kalman filter.
    """

    name: ClassVar[str] = "tokenwise"
    units: ClassVar[Mapping[str, str]] = {"alpha": S, "beta": S_PER_TOKEN, "gamma": S_PER_TOKEN}
    alpha: float
    beta: float
    gamma: float

    def step(self, batch: float, lengths: Lengths) -> float:
        """Seconds of a step on average."""
        computed = (lengths.prompt + lengths.output) / (lengths.output + 1)
        read = lengths.prompt + lengths.output / 2
        return self.alpha + batch * (self.beta * computed + self.gamma * read)

    def itl(self, batch: float, lengths: Lengths) -> float:
        """Mean inter-token latency in seconds."""
        own = self.beta + self.gamma * (lengths.prompt + (lengths.output + 1) / 2)
        return self.step(batch, lengths) + own

    def ttft(self, batch: float, lengths: Lengths) -> float:
        """Mean time to first token in seconds, without waiting."""
        return self.step(batch, lengths) + (self.beta + self.gamma) * lengths.prompt


@dataclass(frozen=True)
class StepTime:
    """A step takes ``base + prefill * prompt tokens + decode * sequences + context * cached tokens read``.

    Source: the step of the simulated engine (engines/simulated/profiles.yaml); the form of Vidur and of vLLM's own
    roofline. A mean request reads ``prompt + output / 2`` cached tokens per step.
    """

    name: ClassVar[str] = "step-time"
    units: ClassVar[Mapping[str, str]] = {
        "base": S,
        "prefill": S_PER_TOKEN,
        "decode": S_PER_REQUEST,
        "context": S_PER_TOKEN,
    }
    base: float
    prefill: float
    decode: float
    context: float

    def step(self, prompt_tokens: float, sequences: float, cached_tokens: float) -> float:
        """Seconds of a step that computes this much."""
        return self.base + self.prefill * prompt_tokens + self.decode * sequences + self.context * cached_tokens

    def itl(self, batch: float, lengths: Lengths) -> float:
        """Mean inter-token latency in seconds at a steady batch: each step, ``batch / output`` prompts join."""
        joining = batch / lengths.output * lengths.prompt
        return self.step(joining, batch, batch * (lengths.prompt + lengths.output / 2))

    def ttft(self, batch: float, lengths: Lengths) -> float:
        """Seconds of the step in which a prompt joins ``batch - 1`` others."""
        others = max(0.0, batch - 1)
        return self.step(lengths.prompt, others, lengths.prompt + others * (lengths.prompt + lengths.output / 2))


@dataclass(frozen=True)
class BlisStep:
    """What a step of BLIS is made of, in seconds as the roofline of model and machine has it, and in counts."""

    prefill_compute: float
    prefill_kv: float
    decode_compute: float
    decode_kv: float
    weights: float
    tensor_parallel: float
    layers: int
    batch: int
    moe_layers: int = 0
    dispatch: float = 0.0


@dataclass(frozen=True)
class Blis:
    """The "trained physics" coefficients of BLIS (inference-sim): one global set, which corrects a roofline.

    Source: inference-sim at f90a1e3a6787, defaults.yaml and sim/latency/trained_physics_model.go, with three alpha and
    eleven beta coefficients; earlier versions had tables per model, which are gone. ``beta1a`` to ``beta4`` and
    ``beta11`` have no dimension; what is in microseconds there is in seconds here. BLIS fits them itself, from traces.
    """

    name: ClassVar[str] = "blis"
    version: ClassVar[str] = "f90a1e3a6787"
    units: ClassVar[Mapping[str, str]] = {
        "alpha0": "s/request",
        "alpha1": "s/request",
        "alpha2": S_PER_TOKEN,
        "beta1a": "1",
        "beta2a": "1",
        "beta3": "1",
        "beta4": "1",
        "beta5": "s/layer",
        "beta6": "s/request",
        "beta7": "s/step",
        "beta8": "s/layer",
        "beta1b": "1",
        "beta2b": "1",
        "beta11": "1",
    }
    alpha0: float
    alpha1: float
    alpha2: float
    beta1a: float
    beta2a: float
    beta3: float
    beta4: float
    beta5: float
    beta6: float
    beta7: float
    beta8: float
    beta1b: float
    beta2b: float
    beta11: float

    def step(self, of: BlisStep) -> float:
        """Seconds of a step."""
        terms = (
            self.beta1a * of.prefill_compute,
            self.beta1b * of.prefill_kv,
            self.beta2a * of.decode_compute,
            self.beta2b * of.decode_kv,
            self.beta3 * of.weights,
            self.beta4 * of.tensor_parallel,
            self.beta5 * of.layers,
            self.beta6 * of.batch,
            self.beta7,
            self.beta8 * of.moe_layers,
            self.beta11 * of.dispatch,
        )
        return math.fsum(terms)

    def request(self, output_tokens: float) -> float:
        """Seconds that a request spends outside of steps: before the queue, after decoding, and for each token."""
        return self.alpha0 + self.alpha1 + self.alpha2 * output_tokens


MODELS: Mapping[str, type[PerformanceModel]] = {
    kind.name: kind for kind in (LinearBatch, KneeBatch, SaturatingBatch, LinearPrefill, Tokenwise, StepTime, Blis)
}
