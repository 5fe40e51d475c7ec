import json
import os
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from servelab.perf.models import MODELS, Blis, BlisStep, KneeBatch, Lengths, LinearBatch, LinearPrefill, Tokenwise
from servelab.perf.parameters import Fit, Origin, Parameters, Span, read_parameters, write_parameters
from servelab.spec.errors import DocumentError, NotFoundError

CHAT = Lengths(128, 128)


def made(**changes):
    fields = {
        "fits": (
            Fit.of(
                LinearBatch(0.006973, 0.000027),
                covariance=((1e-10, 0.0), (0.0, 1e-14)),
                valid={"batch": Span(low=1, high=64)},
            ),
            Fit.of(LinearPrefill(0.01, 0.000001)),
        ),
        "decode": "linear-batch",
        "prefill": "linear-prefill",
        "provenance": Origin(method="two-point"),
    }
    return Parameters(**fields | changes)


def test_a_file_is_read_as_it_was_written(tmp_path):
    write_parameters(made(), tmp_path / "parameters.json")
    assert read_parameters(tmp_path / "parameters.json") == made()
    raw = json.loads((tmp_path / "parameters.json").read_text())
    assert raw["fits"][0]["model"] == "linear-batch"
    assert raw["fits"][0]["values"]["beta"] == {"value": 0.000027, "unit": "s/request", "interval": None}


def test_a_file_is_whole_at_any_instant(tmp_path):
    path = tmp_path / "parameters.json"
    path.write_text("the one before")
    with path.open() as before:
        write_parameters(made(), path)
        assert before.read() == "the one before", "it is replaced, not written over"
    assert list(tmp_path.iterdir()) == [path]
    (tmp_path / "a directory").mkdir()
    with pytest.raises(DocumentError, match="cannot write"):
        write_parameters(made(), tmp_path / "a directory")
    assert len(list(tmp_path.iterdir())) == 2, "nothing is left beside it"


def test_models_are_made_of_their_coefficients():
    assert made().decode_model.itl(64, CHAT) == pytest.approx(0.006973 + 64 * 0.000027)
    assert made().prefill_model.ttft(4, CHAT) == pytest.approx(0.01 + 0.000001 * 128 * 4)


def test_a_fit_has_the_coefficients_of_its_model_and_their_units():
    raw = made().model_dump()
    raw["fits"][0]["values"]["beta"]["unit"] = "ms"
    with pytest.raises(ValidationError, match="linear-batch has the coefficients"):
        Parameters.model_validate(raw)
    with pytest.raises(ValidationError, match="no performance model 'linear'"):
        Fit(model="linear", values={})
    with pytest.raises(ValidationError, match="linear-prefill does not tell ITL"):
        made(decode="linear-prefill")


@pytest.mark.parametrize(
    "covariance",
    [
        ((1e-10, 1e-13), (0.0, 1e-14)),  # not symmetric
        ((1e-10, 0.0), (0.0, -1e-14)),
        ((1e-10, 2e-12), (2e-12, 1e-14)),  # a correlation of 2
    ],
)
def test_a_matrix_that_is_no_covariance_is_refused(covariance):
    with pytest.raises(ValidationError, match="symmetric and positive semi-definite"):
        Fit.of(LinearBatch(0.006973, 0.000027), covariance=covariance)
    Fit.of(LinearBatch(0.006973, 0.000027), covariance=((1e-10, 1e-12), (1e-12, 1e-14)))  # a correlation of 1


def test_draws_follow_the_covariance():
    drawn = made().decode_fit.draws(np.random.default_rng(1), 4000)
    assert np.std([m.alpha for m in drawn]) == pytest.approx(1e-5, rel=0.05)
    assert np.std([m.beta for m in drawn]) == pytest.approx(1e-7, rel=0.05)


def test_extrapolation_is_said():
    assert made().decode_fit.outside(batch=64) == ()
    (said,) = made().decode_fit.outside(batch=128)
    assert said == "linear-batch is extrapolated: batch 128 is outside of the 1 to 64 that were measured"


@pytest.mark.parametrize(
    ("text", "error"), [(None, NotFoundError), ("{", DocumentError), ('{"alpha": 7}', DocumentError)]
)
def test_what_is_no_parameter_file_is_refused(tmp_path, text, error):
    path = tmp_path / "parameters.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(error, match=r"parameters\.json"):
        read_parameters(path)


def test_tokenwise_is_the_autoscalers_of_today():
    """docs/user-guide of the autoscaler: TTFT = T + (beta + gamma) in, ITL = T + beta + gamma (in + (out + 1) / 2)."""
    model = Tokenwise(alpha=0.005, beta=0.00005, gamma=5e-8)
    step = 0.005 + 8 * (0.00005 * 256 / 129 + 5e-8 * 192)
    assert model.step(8, CHAT) == pytest.approx(step)
    assert model.ttft(8, CHAT) == pytest.approx(step + (0.00005 + 5e-8) * 128)
    assert model.itl(8, CHAT) == pytest.approx(step + 0.00005 + 5e-8 * 192.5)


def test_a_knee_bends_the_line():
    model = KneeBatch(alpha=0.01, beta=0.001, bend=0.002, knee=8)
    assert model.itl(8, CHAT) == pytest.approx(0.018)
    assert model.itl(10, CHAT) == pytest.approx(0.024)


SHARED = Path(os.environ.get("SERVELAB_SHARED", Path(__file__).parents[3] / "shared"))
BLIS = SHARED / "data" / "blis" / "inference-sim" / "defaults.yaml"


@pytest.mark.skipif(not BLIS.exists(), reason="the recorded defaults of inference-sim are not here")
def test_blis_has_the_coefficients_of_its_version():
    trained = YAML(typ="safe").load(BLIS.read_text())["trained_physics_coefficients"]
    values = [*trained["alpha_coeffs"], *trained["beta_coeffs"]]
    units = Blis.units.values()
    assert len(values) == len(units)
    model = Blis(*(v if unit == "1" else v * 1e-6 for v, unit in zip(values, units, strict=True)))
    # of an empty roofline only the overheads are left: layers, requests, the step itself
    step = BlisStep(0, 0, 0, 0, 0, 0, layers=32, batch=16)
    assert model.step(step) == pytest.approx((32 * 32.09546717 + 16 * 4.41684444 + 126.024825) * 1e-6)
    assert model.request(100) == pytest.approx((15563.199579 + 777.3455 + 4590.7545) * 1e-6)


def test_every_model_says_the_units_of_its_coefficients():
    for name, kind in MODELS.items():
        assert kind.name == name
        assert tuple(kind.units) == tuple(field.name for field in fields(kind))
