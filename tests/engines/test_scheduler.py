"""Continuous batching holds its limits whatever comes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from servelab.engines.simulated.scheduler import Limits, Request, Scheduler

requests = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 20)), min_size=1, max_size=25)
limits = st.builds(
    Limits,
    max_num_seqs=st.integers(1, 8),
    max_num_batched_tokens=st.integers(8, 64),
    block_size=st.sampled_from([4, 16]),
    kv_blocks=st.integers(22, 60),
    prefix_caching=st.booleans(),
)


@settings(deadline=None)
@given(requests, limits)
def test_every_request_gets_its_tokens_within_the_limits(wanted, bounds):
    scheduler = Scheduler(bounds)
    work = [Request(prompt=p, output=o, prefix=tuple(range(p // bounds.block_size))) for p, o in wanted]
    work = [one for one in work if scheduler.fits(one)]
    for one in work:
        scheduler.add(one)
    for _ in range(100_000):
        step = scheduler.schedule()
        if step.empty:
            break
        assert step.prefill + step.decode <= bounds.max_num_batched_tokens
        assert len(scheduler.running) <= bounds.max_num_seqs
        assert 0 <= scheduler.usage <= 1
        scheduler.commit(step)
    assert all(one.generated == one.output for one in work)
    assert scheduler.usage == 0
    assert scheduler.counters.generated == sum(one.output for one in work)


def test_a_full_cache_preempts_and_everybody_finishes():
    scheduler = Scheduler(
        Limits(max_num_seqs=4, max_num_batched_tokens=64, block_size=4, kv_blocks=10, prefix_caching=False)
    )
    work = [Request(prompt=8, output=20) for _ in range(3)]
    for one in work:
        scheduler.add(one)
    while not (step := scheduler.schedule()).empty:
        scheduler.commit(step)
    assert all(one.finished for one in work)
    assert scheduler.counters.preemptions > 0


def test_a_shared_beginning_is_served_from_the_cache():
    scheduler = Scheduler(Limits(max_num_seqs=4, max_num_batched_tokens=64, block_size=4, kv_blocks=100))
    for _ in range(2):
        scheduler.add(Request(prompt=16, output=1, prefix=(1, 2, 3, 4)))
        scheduler.commit(scheduler.schedule())
    assert scheduler.counters.prefix_hits == 15
