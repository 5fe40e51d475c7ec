"""A prior is corrected by what was measured."""

from __future__ import annotations

import dataclasses
import math

import pytest

from servelab.lab.calibration import calibrated
from servelab.spec.assess import Observation, Prediction


@dataclasses.dataclass(frozen=True)
class Line:
    """ITL = base + slope * batch, and throughput its inverse, by factors on both."""

    factors: tuple[float, ...] = (1.0, 1.0)

    def with_factors(self, factors):
        return Line(tuple(factors))

    def __call__(self, parameters):
        base, slope = self.factors
        itl = 0.01 * base + 0.0002 * slope * parameters["max_num_seqs"]
        return Prediction(metrics={"itl_mean": itl, "output_throughput": parameters["max_num_seqs"] / itl})


def measured(truth, *batches, **rest):
    return [
        Observation(number=n, parameters={"max_num_seqs": b}, metrics=dict(truth({"max_num_seqs": b}).metrics), **rest)
        for n, b in enumerate(batches)
    ]


def test_the_factors_behind_the_measurements_are_found():
    found = calibrated(Line(), measured(Line((1.5, 0.7)), 4, 16, 64, 256, 300))
    far = {"max_num_seqs": 500}
    assert found(far).metrics["itl_mean"] == pytest.approx(Line((1.5, 0.7))(far).metrics["itl_mean"], rel=0.05)
    assert found.factors == pytest.approx((1.5, 0.7), rel=0.15)


def test_one_measurement_moves_it_and_none_leaves_it():
    assert calibrated(Line(), []) == Line()
    one = calibrated(Line(), measured(Line((2.0, 2.0)), 50))
    assert 1.3 < one({"max_num_seqs": 50}).metrics["itl_mean"] / Line()({"max_num_seqs": 50}).metrics["itl_mean"] < 2
    assert calibrated(Line(), measured(Line((2.0, 2.0)), 50, partial=True)) == Line()
    assert calibrated(Line(), [Observation(number=0, parameters={}, metrics={}, cause="crash")]) == Line()


def test_a_wild_measurement_does_not_outvote_the_others():
    truth = Line((1.2, 1.2))
    told = measured(truth, 4, 16, 64, 256)
    wild = Observation(number=9, parameters={"max_num_seqs": 32}, metrics={"itl_mean": 10.0})
    found = calibrated(Line(), [*told, wild])
    assert all(math.isclose(a, 1.2, rel_tol=0.25) for a in found.factors)
    level = Observation(number=1, parameters={"max_num_seqs": 32}, metrics={"itl_mean@8": 0.03, "goodput": 1.0})
    assert calibrated(Line(), [level]).factors != (1.0, 1.0)
