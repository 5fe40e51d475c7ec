"""The simulated engine on virtual time: its real scheduler and its real step times, with their noise, and no clock."""

from __future__ import annotations

from statistics import fmean

from servelab.batching.request import Request
from servelab.batching.scheduler import Limits, Scheduler
from servelab.engines.simulated.pace import Execution, Pace, step_time
from servelab.engines.simulated.profile import DEFAULT_PROFILE, profiles
from servelab.perf.models import Lengths
from servelab.perf.sample import Sample

PROFILE = profiles()[DEFAULT_PROFILE]
LIMITS = Limits(max_num_seqs=256, max_num_batched_tokens=8192, block_size=16, kv_blocks=100_000)


def measure(streams: int, lengths: Lengths, cycles: int, seed: int) -> Sample:
    """A closed loop of ``streams`` requests; each stream sends ``cycles`` one after another."""
    scheduler, pace = Scheduler(LIMITS), Pace(PROFILE, Execution(), seed)
    now, sent = 0.0, dict[Request, float]()
    left, decoding, tokens, firsts = streams * cycles, 0.0, 0, list[float]()

    def send() -> None:
        request = Request(int(lengths.prompt), int(lengths.output))
        sent[request] = now
        scheduler.add(request)

    for _ in range(streams):
        send()
    left -= streams
    while (step := scheduler.schedule()).sequences:
        seconds = pace.seconds(step)
        now += seconds
        # A decoding sequence gets a token in each step: the interval between two of them is the step.
        decoding += seconds * step.decode
        tokens += step.decode
        progress = scheduler.commit(step)
        firsts += [now - sent[request] for request in progress.started]
        for _ in progress.ended[:left]:
            send()
        left = max(0, left - len(progress.ended))
    return Sample(streams, float(streams), decoding / tokens, fmean(firsts), lengths.prompt, lengths.output)


def truth(lengths: Lengths) -> tuple[float, float, float, float]:
    """alpha, beta, gamma and delta of the loop, whose requests keep in step: of its step times without noise."""
    time = step_time(PROFILE, Execution())
    beta = time.decode_s + time.context_s * (lengths.prompt + lengths.output / 2)
    return time.base_s, beta, time.base_s, time.prefill_s + time.context_s
