"""The simulator steps as the engine would, quicker; the same seed gives the same."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servelab.batching.scheduler import Limits, Scheduler
from servelab.batching.steptime import LinearStepTime
from servelab.perf.simulator import Engine, Simulator, TooLargeError, roomy
from servelab.spec.distribution import EXACT
from servelab.spec.goal import RequestSLO
from servelab.spec.load import LoadPoint
from servelab.spec.workload import Workload

TIME = LinearStepTime(base_s=0.0064, prefill_s=33e-6, decode_s=12e-6, context_s=65e-9)


def workload(prompt=200, output=40, **rest) -> Workload:
    lengths = {"prompt": {"mean": prompt, "stdev": prompt / 4}, "output": {"mean": output, "stdev": output / 4}}
    return Workload.model_validate({**lengths, **rest})


def limits(of: Workload, seqs=16, batched=1024, blocks=None, **rest) -> Limits:
    return Limits(seqs, batched, 16, blocks or roomy(of, seqs, 16), **rest)


def simulate(load: LoadPoint, of: Workload | None = None, seed=0, time=TIME, overhead=0.0, slo=None, **bounds):
    of = of or workload()
    return Simulator(Engine(limits(of, **bounds), time, overhead), of, load, seed, slo).run()


loads = st.one_of(
    st.builds(LoadPoint, kind=st.just("poisson"), level=st.floats(1, 60), requests=st.just(60)),
    st.builds(
        LoadPoint, kind=st.just("concurrency"), level=st.integers(1, 30), requests=st.just(60), warmup=st.just(1)
    ),
)


@settings(max_examples=25)
@given(loads, st.sampled_from([None, 40, 80]), st.integers(0, 1000))
def test_many_steps_at_once_are_the_same_as_one_by_one(load, blocks, seed):
    quick = simulate(load, seed=seed, blocks=blocks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Scheduler, "_repeats", lambda self: 1)
        plain = simulate(load, seed=seed, blocks=blocks)
    assert quick.metrics() == pytest.approx(plain.metrics(), rel=3e-4)
    assert (quick.preemptions, quick.requests, len(quick.itl)) == (plain.preemptions, plain.requests, len(plain.itl))


def test_the_same_seed_gives_the_same():
    load = LoadPoint(kind="poisson", level=20, requests=300)
    assert simulate(load).metrics() == simulate(load).metrics() != simulate(load, seed=1).metrics()


def test_one_request_at_a_time_takes_what_the_formula_says():
    fixed = Workload.model_validate({"prompt": 100, "output": 11})
    found = simulate(LoadPoint(kind="concurrency", level=1, requests=20), fixed, overhead=0.5).metrics()
    assert found["ttft_p50"] == pytest.approx(0.5 + TIME.seconds(100, 0, 100))
    assert found["itl_mean"] == pytest.approx(TIME.seconds(0, 1, 105.5), rel=1e-6)
    assert found["e2e_p50"] == pytest.approx(found["ttft_p50"] + 10 * found["itl_mean"], rel=1e-6)
    assert found["request_throughput"] == pytest.approx(1 / found["e2e_mean"], rel=1e-6)
    assert found["concurrency"] == pytest.approx(1)


def test_littles_law_holds_and_an_overload_shows():
    calm = simulate(LoadPoint(kind="poisson", level=20, requests=2000))
    found = calm.metrics()
    assert found["request_throughput"] == pytest.approx(20, rel=0.07)
    assert found["concurrency"] == pytest.approx(calm.batch, rel=0.1)
    assert calm.backlog < 10
    assert simulate(LoadPoint(kind="poisson", level=200, requests=2000)).backlog > 1000


def test_a_shared_prefix_is_computed_once():
    load = LoadPoint(kind="poisson", level=0.5, requests=200)
    shared = workload(prefix={"tokens": 1600, "groups": 2})
    hit, missed = (simulate(load, shared, prefix_caching=caching, batched=4096) for caching in (True, False))
    assert missed.metrics()["ttft_p50"] - hit.metrics()["ttft_p50"] == pytest.approx(1600 * 33e-6, rel=0.05)


def test_a_full_cache_preempts_and_its_victims_wait_for_their_next_token():
    load = LoadPoint(kind="concurrency", level=16, requests=200, warmup=1)
    small, large = simulate(load, blocks=60), simulate(load)
    assert small.preemptions > 20
    assert large.preemptions == 0
    assert small.metrics()["itl_max"] > 3 * large.metrics()["itl_max"]
    with pytest.raises(TooLargeError, match="larger than the KV cache of 160 tokens"):
        simulate(load, blocks=10)


def test_goodput_is_the_share_that_kept_the_slo():
    load = LoadPoint(kind="poisson", level=30, requests=500)
    median = simulate(load).metrics()["e2e_p50"]
    found = simulate(load, slo=RequestSLO(e2e=median)).metrics()
    assert found["goodput_ratio"] == pytest.approx(0.5, abs=0.01)
    assert found["goodput"] == pytest.approx(0.5 * found["request_throughput"], rel=0.03)


def test_a_trace_is_replayed_at_its_times_and_its_blocks_are_shared(tmp_path):
    trace = tmp_path / "trace.jsonl"
    rows = [(0, [1, 2]), (1000, [1, 2]), (2000, [3, 4])]
    lines = [f'{{"timestamp": {at}, "input_length": 1100, "output_length": 5, "hash_ids": {ids}}}' for at, ids in rows]
    trace.write_text("\n".join(lines))
    replay = workload(trace={"path": str(trace), "format": "mooncake"})
    found = simulate(LoadPoint(kind="replay", level=2), replay, blocks=1000, batched=4096)
    assert found.requests == 3
    assert found.finished.now > 1
    assert found.metrics()["ttft_p50"] == pytest.approx(TIME.seconds(1100, 0, 1100))
    assert found.ttft.quantile(0) == pytest.approx(TIME.seconds(1100 - 1024, 0, 1100))


def test_memory_does_not_grow_with_the_requests():
    tally = simulate(LoadPoint(kind="concurrency", level=16, requests=8000), workload(output=40))
    assert len(tally.itl) > 2 * EXACT
    assert tally.itl._values is None
    assert len(tally.itl._buckets) < 5000


def test_seconds_end_a_load():
    steady = LoadPoint(kind="constant", level=10, seconds=20)
    assert simulate(steady).requests == 200
    closed = LoadPoint(kind="concurrency", level=4, seconds=20, warmup=1)
    found = simulate(closed)
    assert found.closed.now - found.opened.now == pytest.approx(20, abs=1)
