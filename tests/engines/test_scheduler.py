"""Continuous batching holds its limits whatever comes."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelab.engines.simulated.pace import Execution, Pace, step_seconds
from servelab.engines.simulated.profile import profiles
from servelab.engines.simulated.scheduler import Limits, Request, Scheduler, Step

H100 = profiles()["h100-llama-3.1-8b"]
requests = st.lists(
    st.tuples(st.integers(1, 60), st.integers(1, 20), st.integers(0, 2), st.integers(0, 9)), min_size=1, max_size=25
)
"""Prompt, output, family of prompts with the same beginning, step of arrival."""
limits = st.builds(
    Limits,
    max_num_seqs=st.integers(1, 8),
    max_num_batched_tokens=st.integers(80, 120) | st.integers(8, 64),
    block_size=st.sampled_from([4, 16]),
    kv_blocks=st.integers(22, 60),
    prefix_caching=st.booleans(),
    chunked_prefill=st.just(True),
)
whole_prompts = st.builds(
    Limits,
    max_num_seqs=st.integers(1, 8),
    max_num_batched_tokens=st.integers(80, 120),
    block_size=st.sampled_from([4, 16]),
    kv_blocks=st.integers(22, 60),
    chunked_prefill=st.just(False),
)


def held(scheduler: Scheduler) -> int:
    """Blocks in use, counted anew from the sequences."""
    shared = {block for one in scheduler.running for block in one.shared}
    return len(shared) + sum(one.private for one in scheduler.running)


def play(bounds: Limits, wanted) -> tuple[Scheduler, list[Request], list[Step]]:
    """Run all requests to their ends, looking at every step."""
    scheduler = Scheduler(bounds)
    work = [
        Request(prompt=p, output=o, prefix=tuple(range(1000 * f, 1000 * f + p // bounds.block_size)))
        for p, o, f, _ in wanted
    ]
    arrivals = [(at, one) for one, (*_, at) in zip(work, wanted, strict=True) if scheduler.fits(one)]
    steps, got = [], Counter()
    for now in range(100_000):
        for at, one in arrivals:
            if at == now:
                scheduler.add(one)
        step = scheduler.schedule()
        if step.empty and now > 9:
            break
        assert step.prefill + step.decode == sum(tokens for _, tokens in step.work) <= bounds.max_num_batched_tokens
        assert len({id(one) for one, _ in step.work}) == len(step.work) <= len(scheduler.running)
        assert len(scheduler.running) <= bounds.max_num_seqs
        assert held(scheduler) == scheduler.pool.used <= bounds.kv_blocks
        assert scheduler.pool.used + len(scheduler.pool._idle) <= bounds.kv_blocks
        for one in scheduler.running:
            assert one.blocks * bounds.block_size >= one.computed
        steps.append(step)
        got.update(scheduler.commit(step))
    assert all(got[one] == one.generated == one.output for _, one in arrivals)
    assert scheduler.pool.used == 0
    assert not scheduler.waiting
    assert scheduler.counters.generated == sum(one.output for _, one in arrivals)
    return scheduler, work, steps


@given(requests, limits | whole_prompts)
def test_every_request_gets_its_tokens_within_the_limits(wanted, bounds):
    play(bounds, wanted)


@given(requests, limits, st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_times(wanted, bounds, seed):
    def times(seed):
        pace = Pace(H100, Execution(), seed)
        return [pace.seconds(step) for step in play(bounds, wanted)[2] if not step.empty]

    found = times(seed)
    assert found == times(seed)
    assert not found or found != times(seed + 1)


@given(requests, limits)
def test_leaving_clients_leave_nothing_behind(wanted, bounds):
    scheduler = Scheduler(bounds)
    work = [Request(prompt=p, output=o, prefix=(1, 2)[: p // 16]) for p, o, *_ in wanted]
    work = [one for one in work if scheduler.fits(one)]
    for one in work:
        scheduler.add(one)
    for one in work:
        step = scheduler.schedule()
        scheduler.remove(one)
        assert one not in scheduler.commit(step)
        assert held(scheduler) == scheduler.pool.used
    assert scheduler.pool.used == 0
    assert scheduler.schedule().empty


def test_a_full_cache_preempts_and_everybody_finishes():
    bounds = Limits(max_num_seqs=4, max_num_batched_tokens=64, block_size=4, kv_blocks=10, prefix_caching=False)
    scheduler, work, steps = play(bounds, [(8, 20, 0, 0)] * 3)
    assert scheduler.counters.preemptions > 0
    assert work[0].preemptions == 0, "who came first is never sent back"
    assert sum(step.prefill for step in steps) > 3 * 8, "what was given back is computed again"


def test_prompts_are_cut_to_the_budget_and_decoding_goes_first():
    scheduler = Scheduler(Limits(max_num_seqs=4, max_num_batched_tokens=32, block_size=4, kv_blocks=100))
    first, second = Request(prompt=8, output=5), Request(prompt=100, output=1)
    scheduler.add(first)
    scheduler.commit(scheduler.schedule())
    scheduler.add(second)
    for prefill in (31, 31, 31):
        step = scheduler.schedule()
        assert (step.decode, step.prefill) == (1, prefill)
        scheduler.commit(step)
    assert dict(scheduler.schedule().work) == {first: 1, second: 7}


@pytest.mark.parametrize(("caching", "hits"), [(True, 12), (False, 0)])
def test_a_shared_beginning_is_served_from_the_cache(caching, hits):
    bounds = Limits(max_num_seqs=4, max_num_batched_tokens=64, block_size=4, kv_blocks=100, prefix_caching=caching)
    scheduler = Scheduler(bounds)
    for _ in range(2):
        scheduler.add(Request(prompt=16, output=1, prefix=(1, 2, 3, 4)))
        step = scheduler.schedule()
        scheduler.commit(step)
    assert scheduler.counters.prefix_hits == hits, "of a prompt that is cached whole, the last block is computed anew"
    assert step.prefill == 16 - hits


def test_requests_that_run_together_share_their_blocks():
    scheduler = Scheduler(Limits(max_num_seqs=8, max_num_batched_tokens=512, block_size=4, kv_blocks=100))
    for last in range(4):
        scheduler.add(Request(prompt=44, output=2, prefix=(*range(10), 100 + last)))
    scheduler.schedule()
    assert scheduler.pool.used == 10 + 4


def test_what_is_longest_unused_leaves_the_cache_first_from_its_end():
    scheduler = Scheduler(Limits(max_num_seqs=1, max_num_batched_tokens=512, block_size=4, kv_blocks=10))

    def hits(first: int) -> int:
        before = scheduler.counters.prefix_hits
        scheduler.add(Request(prompt=17, output=1, prefix=tuple(range(first, first + 4))))
        scheduler.commit(scheduler.schedule())
        return scheduler.counters.prefix_hits - before

    assert [hits(first) for first in (0, 100, 0, 200, 0, 100)] == [0, 0, 16, 0, 16, 4]


def test_a_step_costs_what_the_formula_says():
    step = Step(work=(), prefill=100, decode=10, context=5000)
    alone = 0.0064 + 100 * 33e-6 + 10 * 12e-6 + 5000 * 65e-9
    assert step_seconds(H100, Execution(), step) == pytest.approx(alone)
    assert step_seconds(H100, Execution(kv_bytes=1), step) == pytest.approx(alone - 5000 * 65e-9 / 2)
    assert step_seconds(H100, Execution(devices=4), step) == pytest.approx(alone / 4 + 2 * 0.0009)
    assert step_seconds(H100, Execution(eager=True), step) > alone
