"""Continuous batching holds its limits whatever comes."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelab.batching.request import Request
from servelab.batching.scheduler import Limits, Scheduler, Step
from tests.batching import stepwise

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


def prompts(wanted, bounds, kind=Request):
    """The requests that fit, each with its step of arrival."""
    size = bounds.block_size
    made = [(at, kind(p, o, tuple(range(1000 * f, 1000 * f + p // size)))) for p, o, f, at in wanted]
    return [(at, one) for at, one in made if -(-(one.prompt + one.output) // size) <= bounds.kv_blocks]


def play(bounds: Limits, wanted) -> tuple[Scheduler, list[Request], list[Step]]:
    """Run all requests to their ends, looking at every step."""
    scheduler = Scheduler(bounds)
    arrivals = prompts(wanted, bounds)
    steps, got = [], Counter()
    for now in range(100_000):
        for at, one in arrivals:
            if at == now:
                scheduler.add(one)
        step = scheduler.schedule()
        if not step.sequences and now > 9:
            break
        assert step.prefill + step.decode <= bounds.max_num_batched_tokens
        assert step.sequences <= len(scheduler.running) <= bounds.max_num_seqs
        scheduler.settle()
        assert held(scheduler) == scheduler.pool.used <= bounds.kv_blocks
        assert scheduler.pool.used + len(scheduler.pool._idle) <= bounds.kv_blocks
        for one in scheduler.running:
            assert one.blocks * bounds.block_size >= one.computed
        steps.append(step)
        ended = scheduler.commit(step).ended
        got.update((*scheduler.decoding, *ended))
    assert all(got[one] == one.generated == one.output for _, one in arrivals)
    assert scheduler.pool.used == 0
    assert not scheduler.waiting
    assert scheduler.counters.generated == sum(one.output for _, one in arrivals)
    return scheduler, [one for _, one in arrivals], steps


def trail(scheduler, arrivals, many=False):
    """Tokens, context and who got a token, step by step."""
    found = []
    now = 0
    while now < 10 or scheduler.running or scheduler.waiting:
        for at, one in arrivals:
            if at == now:
                scheduler.add(one)
        step = scheduler.schedule()
        if isinstance(scheduler, stepwise.Stepwise):
            got = scheduler.commit(step)
            found.append((step.prefill + step.decode, step.context, sorted(one.prompt for one in got)))
            now += 1
            continue
        times = max(1, min([step.repeats] + [at - now for at, _ in arrivals if at > now])) if many else 1
        before = list(scheduler.decoding)
        progress = scheduler.commit(step, times)
        got = sorted(one.prompt for one in (*before, *progress.started))
        for more in range(times):
            found.append((step.prefill + step.decode, step.context + more * step.decode, got))
        now += times
    return found


@given(requests, limits | whole_prompts, st.booleans())
def test_it_does_what_the_rules_say_sequence_by_sequence(wanted, bounds, many):
    plain = stepwise.Stepwise(bounds)
    quick = Scheduler(bounds)
    expected = trail(plain, prompts(wanted, bounds, stepwise.Request))
    assert trail(quick, prompts(wanted, bounds), many) == expected
    assert quick.counters == plain.counters


@given(requests, limits | whole_prompts)
def test_every_request_gets_its_tokens_within_the_limits(wanted, bounds):
    play(bounds, wanted)


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
        progress = scheduler.commit(step)
        assert one not in (*scheduler.decoding, *progress.started, *progress.ended)
        scheduler.settle()
        assert held(scheduler) == scheduler.pool.used
    assert scheduler.pool.used == 0
    assert not scheduler.schedule().sequences


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
    step = scheduler.schedule()
    assert (step.decode, step.chunks) == (1, ((second, 7),))
    assert list(scheduler.decoding) == [first]


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


def test_steps_that_are_alike_are_taken_at_once():
    scheduler = Scheduler(Limits(max_num_seqs=4, max_num_batched_tokens=64, block_size=4, kv_blocks=100))
    for output in (10, 30):
        scheduler.add(Request(prompt=8, output=output))
    scheduler.commit(scheduler.schedule())
    step = scheduler.schedule()
    assert (step.decode, step.repeats) == (2, 9)
    assert [one.output for one in scheduler.commit(step, 9).ended] == [10]
    assert scheduler.schedule().repeats == 20


def test_a_step_has_room_for_a_token_of_every_sequence():
    with pytest.raises(ValueError, match="below max_num_seqs 65"):
        Limits(max_num_seqs=65, max_num_batched_tokens=64, block_size=4, kv_blocks=10)
