"""The simulated engine on virtual time: its real scheduler and its real step times, with their noise, and no clock."""

from __future__ import annotations

import random
from statistics import fmean

from servelab.batching.request import Request
from servelab.batching.scheduler import Limits, Scheduler
from servelab.engines.simulated.pace import Execution, Pace, step_time
from servelab.engines.simulated.profile import DEFAULT_PROFILE, profiles
from servelab.perf.models import Lengths
from servelab.perf.sample import Sample, held_steps

PROFILE = profiles()[DEFAULT_PROFILE]
LIMITS = Limits(max_num_seqs=256, max_num_batched_tokens=8192, block_size=16, kv_blocks=100_000)


def measure(streams: int, lengths: Lengths, cycles: int, seed: int, spread: float = 0.0) -> Sample:
    """A closed loop of ``streams`` requests; each stream sends ``cycles`` one after another.

    Lengths are drawn within ``spread`` of their means; all alike, the requests keep in step.
    """
    rng = random.Random(seed)

    def length(mean: float) -> int:
        return int(mean * rng.uniform(1 - spread, 1 + spread))

    scheduler, pace = Scheduler(LIMITS), Pace(PROFILE, Execution(), seed)
    now, sent = 0.0, dict[Request, float]()
    firsts, lasts = dict[Request, float](), dict[Request, float]()
    left, decoding, tokens, met = streams * cycles, 0.0, 0, 0

    coming = list[Request]()

    def send(count: int) -> None:
        for _ in range(count):
            prompt, output = (
                int(one * rng.uniform(1 - spread, 1 + spread)) for one in (lengths.prompt, lengths.output)
            )
            coming.append(Request(prompt, output))
            sent[coming[-1]] = now

    send(streams)
    left -= streams
    while coming or scheduler.running or scheduler.waiting:
        step = scheduler.schedule()  # what is sent when a step has ended misses the next one, as over HTTP
        while coming:
            scheduler.add(coming.pop(0))
        if not step.sequences:
            continue
        seconds = pace.seconds(step)
        now += seconds
        # A decoding sequence gets a token in each step: the interval between two of them is the step.
        decoding += seconds * step.decode
        tokens += step.decode
        met += step.decode**2
        progress = scheduler.commit(step)
        firsts |= dict.fromkeys(progress.started, now)
        lasts |= dict.fromkeys(progress.ended, now)
        again = min(left, len(progress.ended))
        send(again)
        left -= again
    itl, ttft = decoding / tokens, fmean(firsts[one] - sent[one] for one in sent)
    records = [
        {"sent": sent[r], "first": firsts[r], "last": lasts[r], "prompt_tokens": r.prompt, "output_tokens": r.output}
        for r in sent
    ]
    steps = held_steps(records, itl, streams)
    return Sample(streams, met / tokens, itl, ttft, lengths.prompt, lengths.output, steps=steps)


def truth(lengths: Lengths) -> tuple[float, float, float, float]:
    """alpha, beta, gamma and delta of the loop, whose requests keep in step: of its step times without noise."""
    time = step_time(PROFILE, Execution())
    beta = time.decode_s + time.context_s * (lengths.prompt + lengths.output / 2)
    return time.base_s, beta, time.base_s, time.prefill_s + time.context_s
