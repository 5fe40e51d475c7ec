"""Recorded workloads and further loads, on real sockets."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from statistics import fmean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelab.catalog.recorded import TraceRow
from servelab.harnesses.builtin.fitness import fitness
from servelab.harnesses.builtin.part import Part
from servelab.harnesses.builtin.prompts import BLOCK, Prompts
from servelab.harnesses.builtin.summary import Tally
from servelab.harnesses.builtin.window import Settling
from servelab.spec.distribution import Distribution
from servelab.spec.errors import MeasureError
from servelab.spec.goal import RequestSLO
from servelab.spec.load import LoadPoint
from servelab.spec.report import ClientHealth
from servelab.spec.workload import Tokens, Workload
from tests.harnesses.again import again
from tests.harnesses.test_measure import concurrency, measure, workload
from tests.harnesses.test_prompts import WORDS

QUICK = "ttft=0.005,itl=0.001"


def gaps(seen: list[dict], after: int) -> list[float]:
    return [b["when"] - a["when"] for a, b in pairwise(seen[after:])]


@again
async def test_a_trace_is_replayed_with_its_lengths_and_times(server, tmp_path):
    rows = [(0.0, 20, 3), (0.3, 40, 5), (0.4, 30, 2), (1.2, 10, 4)]
    path = tmp_path / "trace.csv"
    path.write_text("timestamp,input,output\n" + "".join(f"{t},{a},{b}\n" for t, a, b in rows))
    traced = workload(trace={"path": str(path), "format": "columns"})
    for scale in (1.0, 4.0):
        (tmp_path / f"{scale}").mkdir()
        load = LoadPoint(kind="replay", level=scale)
        report = await measure(server, QUICK, load, tmp_path / f"{scale}", workload=traced)
        seen = server.seen()[1:]
        assert report.requests == 4
        assert [(len(one["prompt"].split()), one["max_tokens"]) for one in seen] == [(a, b) for _, a, b in rows]
        assert gaps(seen, 0) == pytest.approx([0.3 / scale, 0.1 / scale, 0.8 / scale], abs=0.06)
        assert report.standard["scenario"]["load"]["standardized"]["source"] == "sampled"


async def test_a_trace_gives_lengths_to_other_loads_too(server, tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("timestamp,input,output\n0,20,3\n5,40,5\n")
    traced = workload(trace={"path": str(path), "format": "columns"})
    await measure(server, QUICK, concurrency(1, 6), tmp_path, workload=traced)
    seen = server.seen()[1:]
    assert [len(one["prompt"].split()) for one in seen] == [20, 40] * 3
    assert len({one["prompt"] for one in seen}) == 6, "unique, though the rows come again"


async def test_a_trace_that_is_not_there_is_told(server, tmp_path):
    traced = workload(trace={"path": str(tmp_path / "none.csv"), "format": "azure"})
    with pytest.raises(MeasureError, match=r"cannot read .*none.csv"):
        await measure(server, QUICK, concurrency(1), tmp_path, workload=traced)


async def test_a_data_set_is_sent_as_it_is(server, tmp_path):
    lines = [
        {"messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": f"line {i}"}]}
        for i in range(6)
    ]
    path = tmp_path / "data.jsonl"
    path.write_text("\n".join(json.dumps(line | ({"output_tokens": 3} if i else {})) for i, line in enumerate(lines)))
    chat = workload(dataset=str(path), api="chat", output=7)
    await measure(server, QUICK, concurrency(1, 12), tmp_path, workload=chat)
    sent = [one["body"] for one in server.seen()[1:]]
    assert sorted(json.dumps(body["messages"]) for body in sent) == sorted(
        json.dumps(line["messages"]) for line in lines * 2
    )
    assert sorted(body["max_tokens"] for body in sent) == [3] * 10 + [7] * 2
    await measure(server, QUICK, concurrency(1, 6), tmp_path, workload=workload(dataset=str(path), output=7))
    assert all(one["prompt"].startswith("be brief\nline ") for one in server.seen()[1:])


async def test_extra_fields_reach_the_server_and_null_leaves_out(server, tmp_path):
    asked = workload(extra={"temperature": 0.7, "ignore_eos": None, "vendor": {"top": [1, None]}})
    await measure(server, QUICK, concurrency(1, 10), tmp_path, workload=asked)
    for one in server.seen():
        assert one["body"]["temperature"] == 0.7
        assert one["body"]["vendor"] == {"top": [1, None]}
        assert "ignore_eos" not in one["body"]


@again
async def test_a_ramp_speeds_up(server, tmp_path):
    load = LoadPoint(kind="constant", level=60, start=10, requests=70)
    report = await measure(server, QUICK, load, tmp_path)
    found = gaps(server.seen(), 1)
    assert sum(found[:10]) > 2.5 * sum(found[-10:])
    assert sum(found) == pytest.approx(2.0, abs=0.3)
    assert report.client.asked_rate == pytest.approx(35, rel=0.1)


@again
async def test_latency_from_the_actual_send_is_reported_beside(server, tmp_path):
    load = LoadPoint(kind="constant", level=20, requests=40)
    report = await measure(server, "ttft=0.005,at=11,stall=1", load, tmp_path, max_concurrency=2)
    found = report.metrics
    assert found["ttft_p50"] > 0.15, "from the intended time"
    assert found["ttft_sent_p50"] < 0.1, "what a client that waits politely would say"
    assert found["ttft_sent_max"] > 0.85
    assert found["e2e_sent_p50"] < found["e2e_p50"]
    assert not report.trusted


async def test_intervals_enclose_what_they_are_of(server, tmp_path):
    report = await measure(server, QUICK, concurrency(4, 80), tmp_path)
    for name in ("ttft_p50", "ttft_p95", "itl_p50", "tpot_mean", "e2e_p90"):
        low, high = report.intervals[name]
        assert low <= report.metrics[name] <= high
    assert "ttft_p99" not in report.intervals, "80 requests do not tell"
    assert report.intervals["error_rate"][1] < 0.06
    assert report.steady_from is None or 0 <= report.steady_from <= report.duration


@again
async def test_a_rate_beyond_the_server_is_seen_to_rise(server, tmp_path):
    # Two at a time of 0.1 s each are 20 a second: at 40 the queue grows to the end.
    load = LoadPoint(kind="constant", level=40, requests=120)
    report = await measure(server, "ttft=0.1,itl=0", load, tmp_path, workload=workload(output=1), max_concurrency=2)
    assert any("still rising" in warning for warning in report.warnings)
    assert report.steady_from is None
    assert report.client.achieved_rate < 0.6 * report.client.asked_rate
    assert any("of 40" in reason for reason in report.client.reasons)


@again
async def test_a_rate_that_is_kept_is_no_fault(server, tmp_path):
    report = await measure(server, QUICK, LoadPoint(kind="gamma", level=40, burstiness=0.5, requests=80), tmp_path)
    assert report.client.achieved_rate == pytest.approx(report.client.asked_rate, rel=0.03)
    assert not any("rising" in warning for warning in report.warnings)


def test_the_rate_that_was_sent_is_judged():
    def found(requests: int, due: float, last_sent: float) -> ClientHealth:
        whole = Part(
            tally=Tally(RequestSLO()),
            windows=(),
            settling=Settling(),
            lags=Distribution(),
            cpu=0.1,
            concurrency=None,
            asked=(requests, due),
            waited=0,
            last_sent=last_sent,
            server={},
        )
        return fitness(whole)

    assert found(0, 0.0, 0.0).asked_rate is None, "closed loop"
    assert found(100, 10.0, 10.2).verdict == "ok"
    late = found(100, 10.0, 12.0)
    assert (late.verdict, late.asked_rate) == ("saturated", 10.0)
    assert late.reasons == ("it sent 8.33 of 10 req/s",)


def test_blocks_are_shared_as_a_mooncake_trace_says(tmp_path):
    rows = [TraceRow(0, 1200, 5, (7, 8, 9)), TraceRow(1, 1100, 5, (7, 8, 10)), TraceRow(2, 600, 5, (11, 12))]
    path = tmp_path / "t.jsonl"
    path.write_text(
        "".join(
            json.dumps({"timestamp": r.when, "input_length": r.prompt_tokens, "output_length": 5, "hash_ids": r.blocks})
            + "\n"
            for r in rows
        )
    )
    asked = Workload.model_validate(
        {"prompt": 1, "output": 1, "trace": {"path": str(path), "format": "mooncake"}, "seed": 3}
    )
    one, other = (Prompts(asked, seed, WORDS, 4, exact=True) for seed in (1, 2))
    texts = [one[i].text.split() for i in range(3)]
    assert [len(text) for text in texts] == [1196, 1096, 596], "the template's tokens are taken off"
    assert texts[0][: 2 * BLOCK] == texts[1][: 2 * BLOCK]
    assert texts[0][2 * BLOCK :] != texts[1][2 * BLOCK : 1196]
    assert texts[2][:20] != texts[0][:20]
    assert other[0].text.split()[:20] != texts[0][:20], "another measurement's cache is not hit"


DISTRIBUTIONS = st.one_of(
    st.builds(
        lambda mean, stdev, low: {"distribution": "lognormal", "mean": mean, "stdev": stdev, "min": low},
        st.floats(1, 2000),
        st.floats(0.1, 2000),
        st.integers(1, 20),
    ),
    st.builds(
        lambda low, more: {"distribution": "uniform", "min": low, "max": low + more},
        st.integers(1, 500),
        st.integers(0, 500),
    ),
    st.builds(lambda mean: {"distribution": "fixed", "mean": mean}, st.floats(0.1, 5000)),
)


@given(DISTRIBUTIONS, st.integers())
def test_every_distribution_keeps_its_bounds_and_its_document(given_as, seed):
    tokens = Tokens.model_validate(given_as)
    assert tokens.min <= tokens.quantile(random.Random(seed).random()) <= tokens.upper
    assert Tokens.model_validate_json(tokens.model_dump_json()) == tokens


def test_a_lognormals_mean_and_deviation_are_of_the_lengths():
    tokens = Tokens(distribution="lognormal", mean=200, stdev=80, max=100_000)
    rng = random.Random(1)
    drawn = [tokens.quantile(rng.random()) for _ in range(20_000)]
    assert fmean(drawn) == pytest.approx(200, rel=0.03)
    assert pstdev(drawn) == pytest.approx(80, rel=0.05)
    default = tokens.model_copy(update={"max": None})
    assert sum(one > default.upper for one in drawn) / len(drawn) < 0.003


def test_a_uniform_length_is_any_alike():
    tokens = Tokens.model_validate({"distribution": "uniform", "min": 3, "max": 7})
    rng = random.Random(1)
    drawn = [tokens.quantile(rng.random()) for _ in range(5000)]
    assert tokens.mean == 5
    assert all(drawn.count(length) == pytest.approx(1000, rel=0.15) for length in range(3, 8))
