"""The closed form: right where it can be checked by hand, and near the simulator where that knows better."""

from __future__ import annotations

import math

import pytest

from servelab.batching.scheduler import Limits
from servelab.batching.steptime import LinearStepTime
from servelab.perf.models import Lengths
from servelab.perf.queue import Queue
from servelab.perf.simulator import Engine, Simulator, roomy
from servelab.spec.load import LoadPoint
from servelab.spec.workload import Workload

TIME = LinearStepTime(base_s=0.0064, prefill_s=33e-6, decode_s=12e-6, context_s=65e-9)


def test_a_batch_of_one_is_the_textbooks_queue():
    queue = Queue(LinearStepTime(base_s=0.1), Lengths(10, 1), 1)
    found = queue.at(5)
    assert queue.capacity == pytest.approx(10)
    assert found.utilization == pytest.approx(0.5)
    # M/M/1/11: mean number in the system (Kleinrock, Queueing Systems I, 3.6)
    rho, places = 0.5, 11
    number = rho / (1 - rho) - (places + 1) * rho ** (places + 1) / (1 - rho ** (places + 1))
    blocked = (1 - rho) * rho**places / (1 - rho ** (places + 1))
    assert found.e2e == pytest.approx(number / (5 * (1 - blocked)), rel=1e-6)


def test_without_waiting_it_is_the_infinite_server():
    queue = Queue(LinearStepTime(base_s=0.01), Lengths(10, 100), 400)
    found = queue.at(20)
    assert found.batch == pytest.approx(20 * found.e2e, rel=0.01)
    assert found.wait == pytest.approx(0, abs=1e-9)
    assert queue.at(queue.capacity) is None
    assert queue.at(0) is None


@pytest.mark.parametrize("utilization", [0.2, 0.5, 0.8])
@pytest.mark.parametrize(("prompt", "output", "batch"), [(128, 128, 64), (512, 128, 64), (1024, 256, 32)])
def test_it_is_near_the_simulator(prompt, output, batch, utilization):
    of = Workload.model_validate(
        {"prompt": {"mean": prompt, "stdev": prompt / 4}, "output": {"mean": output, "stdev": output / 4}}
    )
    queue = Queue(TIME, Lengths(prompt, output), batch)
    rate = utilization * queue.capacity
    engine = Engine(Limits(batch, 8192, 16, roomy(of, batch, 16)), TIME)
    load = LoadPoint(kind="poisson", level=rate, requests=3000)
    found = Simulator(engine, of, load, warmup=300).run().metrics()
    quick = queue.at(rate)
    assert quick.itl == pytest.approx(found["itl_mean"], rel=0.06)
    assert quick.e2e == pytest.approx(found["e2e_mean"], rel=0.06)
    assert quick.ttft == pytest.approx(found["ttft_mean"], rel=0.35)


def test_the_highest_rate_keeps_its_bounds():
    queue = Queue(TIME, Lengths(128, 128), 64)
    rate = queue.highest(ttft=0.05, itl=0.009)
    found = queue.at(rate)
    assert max(found.ttft / 0.05, found.itl / 0.009) == pytest.approx(1, rel=1e-3)
    assert queue.highest(ttft=0.001, itl=None) == pytest.approx(0, abs=1e-6)
    assert math.isclose(queue.highest(ttft=None, itl=None), queue.capacity, rel_tol=2e-3)
