"""Measured kernels as a prior: the real package where it is installed, and what is said where it is not."""

from __future__ import annotations

import math
import sys
from importlib.metadata import PackageNotFoundError, version
from statistics import median

import pytest

from servelab.catalog.accelerators import find_accelerator
from servelab.catalog.memory import kv_tokens
from servelab.catalog.models import find_model
from servelab.perf.models import Lengths
from servelab.perf.roofline import roofline
from servelab.perf.silicon import NotMeasuredError, find_silicon

LENGTHS = Lengths(500, 100)


def found(model="llama-3.1-8b", accelerator="h100", engine="vllm", devices=1):
    return find_silicon(find_model(model), find_accelerator(accelerator), engine, LENGTHS, devices)


def installed() -> bool:
    try:
        version("aiconfigurator-core")
    except PackageNotFoundError:
        return False
    return True


needed = pytest.mark.skipif(not installed(), reason="pip install 'servelab[aiconfigurator]'")


@needed
@pytest.mark.parametrize("engine", ["vllm", "sglang", "trtllm"])
def test_both_versions_are_told(engine):
    silicon = found(engine=engine)
    assert silicon.version == version("aiconfigurator-core")
    assert silicon.engine_version not in ("", "current")
    assert silicon.engine_version[0].isdigit()
    assert str(silicon) == (f"aiconfigurator-core {silicon.version}, {engine} {silicon.engine_version} on h100_sxm")


@needed
@pytest.mark.parametrize("model", ["qwen3-8b", "llama-3.1-8b"])
@pytest.mark.parametrize("devices", [1, 2])
def test_the_line_is_near_steps_it_was_not_fitted_to(model, devices):
    from aiconfigurator_core.sdk import EngineHandle

    silicon = found(model, devices=devices)
    handle = EngineHandle.compile(
        silicon.model, "h100_sxm", "vllm", backend_version=silicon.engine_version, tp_size=devices
    )
    step = silicon.step(LENGTHS, devices, 2.0)
    off = [
        abs(math.log(step.seconds(0, batch, batch * 550) * 1000 / handle.decode_step_latency(batch, 500, 100)))
        for batch in (2, 8, 32, 128)
    ]
    off += [
        abs(math.log(step.seconds(p, batch, batch * 550) * 1000 / handle.mixed_step_latency(p, batch, 500, 100)))
        for batch in (8, 128)
        for p in (1024, 4096)
    ]
    assert median(off) < 0.15
    assert max(off) < 0.35


@needed
def test_it_agrees_with_data_sheets_to_a_factor_of_two_and_does_not_equal_them():
    model, accelerator = find_model("llama-3.1-8b"), find_accelerator("h100")
    measured, sheet = found().step(LENGTHS, 1, 2.0), roofline(model, accelerator, 1)
    for step in ((0, 1, 550), (0, 64, 64 * 550), (2048, 64, 64 * 550)):
        ratio = measured.seconds(*step) / sheet.seconds(*step)
        assert 0.5 < ratio < 2
        assert ratio != pytest.approx(1, abs=1e-3)


@needed
@pytest.mark.parametrize(("engine", "kind"), [("vllm", "of_total"), ("trtllm", "of_free")])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_the_cache_is_what_the_package_says(engine, kind, share):
    from aiconfigurator_core.sdk import estimate_kv_cache

    silicon = found(engine=engine)
    said = estimate_kv_cache(
        silicon.model,
        "h100_sxm",
        engine,
        silicon.engine_version,
        max_num_tokens=8192,
        max_batch_size=64,
        memory_fraction_kind=kind,
        memory_fraction_value=share,
    )
    assert silicon.kv_tokens(1, share, 8192, 2.0) == pytest.approx(said["total_kv_size_tokens"], rel=1e-4)
    ours = kv_tokens(find_model("llama-3.1-8b"), 80, 1, share, 8192)
    assert 0.5 < silicon.kv_tokens(1, share, 8192, 2.0) / ours < 2
    assert silicon.kv_tokens(1, share, 8192, 1.0) == pytest.approx(2 * said["total_kv_size_tokens"], rel=1e-4)


@needed
def test_what_was_not_measured_is_not_made_up():
    silicon = found()
    assert silicon.step(LENGTHS, 3, 2.0) is None  # 32 heads
    assert silicon.kv_tokens(3, 0.9, 8192, 2.0) is None
    with pytest.raises(NotMeasuredError, match=r"does not know mistralai/Mistral-7B"):
        found("mistral-7b")
    with pytest.raises(NotMeasuredError, match="divisible by tp_size 3"):
        found(devices=3)


@needed
def test_a_release_that_is_made_otherwise_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "aiconfigurator_core.sdk.common", None)
    with pytest.raises(NotMeasuredError, match="cannot be used"):
        found()


@pytest.mark.parametrize(("accelerator", "engine"), [("l4", "vllm"), ("h100", "simulated"), ("mi300x", "sglang")])
def test_accelerators_and_engines_without_measurements(accelerator, engine):
    with pytest.raises(NotMeasuredError, match="no measurements of"):
        found(accelerator=accelerator, engine=engine)


@pytest.mark.skipif(installed(), reason="aiconfigurator-core is installed")
def test_without_the_package_it_says_how_to_get_it():
    with pytest.raises(NotMeasuredError, match=r"pip install 'servelab\[aiconfigurator\]'"):
        found()
