"""A deployment to predict: fitted coefficients, the requests, and the engine's limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np

from servelab.batching.scheduler import Limits
from servelab.perf.models import DecodeModel, Lengths, PerformanceModel, PrefillModel
from servelab.perf.parameters import Parameters
from servelab.perf.queue import Queue
from servelab.perf.simulator import Engine, Simulator, roomy
from servelab.perf.steps import requested
from servelab.perf.tally import Tally
from servelab.spec.errors import ServelabError
from servelab.spec.load import LoadPoint
from servelab.spec.workload import Workload

WARMUP = 0.1  # of the requests: an engine that starts empty is not yet the one in equilibrium
OVERFLOW = 0.05  # share of the requests that wait at the end: the queue grows


class NotPredictableError(ServelabError):
    """Parameters or limits that say too little for a prediction."""

    exit_code = 2


@dataclass(frozen=True)
class Batching:
    """The engine's limits; a cache of ``kv_tokens`` None never gets full."""

    max_num_seqs: int = 256
    max_num_batched_tokens: int = 8192
    kv_tokens: int | None = None
    block_size: int = 16
    prefix_caching: bool = True
    chunked_prefill: bool = True

    def limits(self, workload: Workload) -> Limits:
        """As the scheduler takes them.

        Raises:
            NotPredictableError: they contradict each other.
        """
        blocks = roomy(workload, self.max_num_seqs, self.block_size)
        if self.kv_tokens is not None:
            blocks = self.kv_tokens // self.block_size
        try:
            return Limits(
                self.max_num_seqs,
                self.max_num_batched_tokens,
                self.block_size,
                blocks,
                self.prefix_caching,
                self.chunked_prefill,
            )
        except ValueError as error:
            raise NotPredictableError(str(error), "Raise max_num_batched_tokens, or lower max_num_seqs.") from None


@dataclass(frozen=True)
class Models:
    """A set of coefficients: the fitted ones, or others from their distribution."""

    decode: DecodeModel
    prefill: PrefillModel | None
    fitted: Lengths | None

    @classmethod
    def of(cls, parameters: Parameters) -> Models:
        """The fitted ones."""
        return cls(parameters.decode_model, parameters.prefill_model, parameters.lengths)

    @property
    def one(self) -> bool:
        """Whether one model tells both ITL and TTFT."""
        return self.prefill is not None and self.prefill.name == self.decode.name

    def changes(self, factor: float) -> Iterator[tuple[str, Models]]:
        """Each coefficient by its name, and the models in which it alone is multiplied."""
        for name in self.decode.units:
            decode = _changed(self.decode, name, factor)
            models = replace(self, decode=decode, prefill=decode if self.one else self.prefill)
            yield f"{name} of {self.decode.name}", models
        if self.prefill is not None and not self.one:
            for name in self.prefill.units:
                yield f"{name} of {self.prefill.name}", replace(self, prefill=_changed(self.prefill, name, factor))


def _changed(model: PerformanceModel, name: str, factor: float) -> Any:
    return replace(model, **{name: getattr(model, name) * factor})  # type: ignore[type-var]


@dataclass(frozen=True)
class Deployment:
    """One replica."""

    models: Models
    workload: Workload
    batching: Batching = field(default_factory=Batching)

    @property
    def lengths(self) -> Lengths:
        """Mean lengths of the requests, the shared prefix included."""
        shared = self.workload.prefix.tokens if self.workload.prefix else 0
        return Lengths(self.workload.prompt.mean + shared, self.workload.output.mean)

    @property
    def engine(self) -> Engine:
        """For the simulator."""
        found = requested(self.models.decode, self.models.prefill, self.models.fitted)
        return Engine(self.batching.limits(self.workload), found.time, found.overhead)

    @property
    def queue(self) -> Queue:
        """The closed form. It knows no cache: what it says is of one that has room for ``max_num_seqs``."""
        engine = self.engine
        return Queue(engine.time, self.lengths, self.batching.max_num_seqs, engine.overhead)

    def at(self, rate: float, requests: int, seed: int) -> Tally:
        """Simulate Poisson arrivals at ``rate`` requests/s in equilibrium."""
        warmup = round(WARMUP * requests)
        load = LoadPoint(kind="poisson", level=rate, requests=requests + warmup)
        return Simulator(self.engine, self.workload, load, seed, warmup=warmup).run()


def overloaded(tally: Tally) -> bool:
    """Whether the queue was still growing when the last request came."""
    return tally.backlog > max(10.0, OVERFLOW * tally.requests)


def drawn(parameters: Parameters, count: int, seed: int) -> list[Models]:
    """Models with coefficients from their joint distribution; none where nothing is known of it."""
    decode, prefill = parameters.decode_fit, parameters.prefill_fit
    if decode.covariance is None:
        return []
    rng = np.random.default_rng(seed)
    decodes = cast("list[DecodeModel]", decode.draws(rng, count))
    if prefill is None or prefill.model == decode.model:
        prefills = cast("list[PrefillModel | None]", decodes if prefill else [None] * count)
    else:
        prefills = cast("list[PrefillModel | None]", prefill.draws(rng, count))
    return [Models(d, p, parameters.lengths) for d, p in zip(decodes, prefills, strict=True)]
