"""What a load comes to at one configuration, in microseconds: for a search that asks about thousands.

Little's law for the means; for the percentiles of ITL, the prompts that join in a step are Poisson. The shape is right
to some 10 to 30 %, which is what a prior is for: what is measured corrects it. The simulator knows better, and takes a
thousand times as long.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean

from servelab.batching.steptime import StepTime
from servelab.perf.deployment import Batching
from servelab.perf.models import Lengths
from servelab.perf.queue import Queue
from servelab.spec.load import Load, LoadPoint
from servelab.spec.metrics import metric
from servelab.spec.workload import Tokens, Workload

PERCENTS = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
ROUNDS = 3  # of the fixed point between the batch's time and the prompts that join meanwhile


@dataclass(frozen=True)
class Server:
    """An engine in one configuration."""

    time: StepTime
    batching: Batching
    lengths: Lengths

    @property
    def room(self) -> float:
        """Sequences that fit at once: by the limit, and by a cache in which each holds half of its answer."""
        most = float(self.batching.max_num_seqs)
        if self.batching.kv_tokens is not None:
            most = min(most, self.batching.kv_tokens / (self.lengths.prompt + self.lengths.output / 2))
        return max(1.0, most)

    def step(self, batch: float, prompts: float) -> float:
        """Seconds of a step of ``batch`` decoding sequences in which so many prompts are computed."""
        budget = max(1.0, self.batching.max_num_batched_tokens - batch)
        read = batch * (self.lengths.prompt + self.lengths.output / 2)
        return self.time.seconds(min(prompts * self.lengths.prompt, budget), batch, read)

    def itl(self, batch: float) -> float:
        """Mean seconds between tokens; where prompts need more than the budget, decoding waits for them."""
        joining = batch / self.lengths.output
        budget = max(1.0, self.batching.max_num_batched_tokens - batch)
        return self.step(batch, joining) * max(1.0, joining * self.lengths.prompt / budget)

    def itl_at(self, batch: float, share: float) -> float:
        """A percentile of the seconds between tokens."""
        return self.step(batch, _poisson(batch / self.lengths.output, share))

    def prefill(self, batch: float, share: float) -> float:
        """Seconds from a place in the batch to the first token: the rest of a step, and those of the prompt."""
        budget = max(1.0, self.batching.max_num_batched_tokens - batch)
        others = _poisson(batch / self.lengths.output, share)
        parts = math.ceil((1 + others) * self.lengths.prompt / budget)
        return share * self.itl(batch) + self.step(batch, 1 + others) * parts


def forecast(server: Server, workload: Workload, load: Load) -> dict[str, float]:
    """Metrics over a load's levels: throughputs averaged, latencies of the worst; empty where levels are sought."""
    points = () if load.adaptive else [point for point in load.points if point.kind != "replay"]
    levels = [_level(server, workload, point) for point in points]
    if not levels:
        return {}
    return {name: _together(name, [level[name] for level in levels]) for name in levels[0]}


def _level(server: Server, workload: Workload, point: LoadPoint) -> dict[str, float]:
    if not point.open_loop:
        batch = min(point.level, server.room)
        return _metrics(server, workload, batch, max(0.0, point.level - batch), point.level)
    room = max(1, int(server.room))
    found = Queue(server.time, server.lengths, room).at(point.level)
    if found is None:  # more than it can do: a queue without end
        return _metrics(server, workload, room, 10.0 * room, 11.0 * room)
    return _metrics(server, workload, max(1.0, found.batch), found.wait * point.level, point.level * found.e2e)


def _metrics(server: Server, workload: Workload, batch: float, waiting: float, in_flight: float) -> dict[str, float]:
    """With ``batch`` running and ``waiting`` for a place."""
    output = server.lengths.output
    itl = server.itl(batch)
    service = server.prefill(batch, 0.5) + itl * max(0.0, output - 1)
    wait = waiting * service / batch
    found = {
        "itl_mean": itl,
        "tpot_mean": itl,
        "ttft_mean": wait + server.prefill(batch, 0.5),
        "e2e_mean": wait + service,
    }
    for name, share in PERCENTS.items():
        ttft = wait + server.prefill(batch, share)
        found[f"itl_{name}"] = server.itl_at(batch, share)
        found[f"tpot_{name}"] = itl
        found[f"ttft_{name}"] = ttft
        found[f"e2e_{name}"] = ttft + itl * max(0.0, _length(workload.output, share) - 1)
    rate = in_flight / found["e2e_mean"]
    found["request_throughput"] = rate
    found["output_throughput"] = rate * output
    found["total_throughput"] = rate * (output + server.lengths.prompt)
    return found


def _length(tokens: Tokens, share: float) -> float:
    return tokens.mean if tokens.fixed else tokens.quantile(share)


def _poisson(mean: float, share: float) -> float:
    """A percentile of a Poisson variable, spread evenly over half to either side of each number: prompts differ."""
    chance = math.exp(-mean)
    below, number = chance, 0
    if below >= share:
        return 0.0
    while below < share and number < 1000:
        number += 1
        chance *= mean / number
        below += chance
    return number - 0.5 + (share - (below - chance)) / chance


def _together(name: str, values: list[float]) -> float:
    return max(values) if metric(name).unit == "s" else fmean(values)
