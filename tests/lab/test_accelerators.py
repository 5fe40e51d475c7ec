"""Accelerators: found, leased to trials of several processes, and watched. The drivers are played (gpus.py)."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time

import pytest

from servelab.lab.accelerators import discovery
from servelab.lab.accelerators.amd import amd_devices, amd_samples
from servelab.lab.accelerators.device import Device
from servelab.lab.accelerators.discovery import local_accelerators
from servelab.lab.accelerators.lease import lease
from servelab.lab.accelerators.topology import neighbours
from servelab.platforms.environment import visible
from servelab.spec.errors import DeployError
from servelab.store.store import Store
from tests.lab.gpus import SEED_BOX, Box, rocm_smi, uuid
from tests.lab.studies import servelab, small, start
from tests.platforms.docker.engine import LLAMA
from tests.platforms.docker.engines import played

FREE8 = [4_000_000] * 8


@pytest.fixture
def box(tmp_path, monkeypatch) -> Box:
    made = Box(tmp_path, FREE8)
    made.enter(monkeypatch)
    return made


def study(store: Store, **changes: str):
    """Engines that only hold devices: llama.cpp runs on the CPU, whatever it is given."""
    defaults = {
        "engine": "{name: llamacpp, arguments: {ctx_size: 2048}, resources: {accelerators: 2}}",
        "budget": "{trials: 2, screening: 0, verification: {top: 0}}",
    }
    return store.create_study(small(**(defaults | changes)))


def devices(distances: list[list[int]]) -> list[Device]:
    ids = [f"d{n}" for n in range(len(distances))]
    return [Device(i, n, "x", 1, 0, dict(zip(ids, distances[n], strict=True))) for n, i in enumerate(ids)]


def test_neighbours_go_together_and_pairs_stay_whole():
    # 0-1 and 2-3 are linked; 0..3 share a socket, 4 is beyond.
    far = [[0, 0, 30, 30, 50], [0, 0, 30, 30, 50], [30, 30, 0, 0, 50], [30, 30, 0, 0, 50], [50, 50, 50, 50, 0]]
    every = devices(far)

    def chosen(free: list[int], count: int) -> list[int]:
        return [device.index for device in neighbours([every[n] for n in free], count)]

    assert chosen([0, 1, 2, 3, 4], 2) == [0, 1]
    assert chosen([0, 2, 3, 4], 2) == [2, 3]
    assert chosen([0, 1, 2, 3, 4], 1) == [4]
    assert chosen([0, 2, 3], 1) == [0], "a pair is not broken up while a single one is there"
    assert chosen([0, 1, 2, 3, 4], 4) == [0, 1, 2, 3]


def test_without_a_driver_there_is_none():
    if not local_accelerators():
        assert "none found" in servelab("doctor", check=False).stdout


def test_doctor_says_what_is_free_on_the_seeds_box(box, home):
    box.use(SEED_BOX)
    done = servelab("doctor", "--json", check=False)
    (found,) = [one for one in json.loads(done.stdout) if one["check"] == "accelerators"]
    assert found["text"].startswith("6 of 8 free: 0: NVIDIA H20, 103 GB, 91.2 GB of it in use; 1: NVIDIA H20, 103 GB;")


def test_a_device_that_is_lost_is_left_out_and_the_others_keep_their_index(box, home):
    box.use([4_000_000, 10**15, 4_000_000])
    found = json.loads(servelab("doctor", "--json", check=False).stdout)
    (told,) = [one["text"] for one in found if one["check"] == "accelerators"]
    assert told == "2 of 2 free: 0: NVIDIA H20, 103 GB; 2: NVIDIA H20, 103 GB"


def test_rocm_smi_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", rocm_smi(tmp_path))
    found = amd_devices()
    assert [(d.id, d.name, d.free) for d in found] == [
        ("amd-0", "AMD Instinct MI300X", True),
        ("amd-1", "AMD Instinct MI300X", False),
        ("amd-2", "AMD Instinct MI300X", True),
    ]
    assert found[0].far["amd-1"] < found[0].far["amd-2"]
    assert amd_samples()["amd-1"].power == 750.0
    assert amd_samples()["amd-1"].utilization is None
    assert visible(["amd-0", "amd-2"]) == {"ROCR_VISIBLE_DEVICES": "0,2"}


def test_two_trials_at_once_hold_different_pairs_that_nobody_uses(box, store, tmp_path):
    box.use(SEED_BOX)
    record = study(store, budget="{trials: 4, parallel: 2, screening: 0, verification: {top: 0}}")
    servelab("resume", record.id)
    trials = store.trials(record.id, with_reports=True)
    assert [t.state for t in trials] == ["complete"] * 4, [t.failure for t in trials]
    held = [{use.id for use in t.reports[0].accelerators} for t in trials]
    taken = {uuid(0), uuid(2)}
    assert all(len(pair) == 2 and not pair & taken for pair in held)
    assert held[0] <= {uuid(n) for n in (4, 5, 6, 7)}, "linked neighbours first"
    use = trials[0].reports[0].accelerators[0]
    assert (use.name, use.utilization, use.temperature_max) == ("NVIDIA H20", 0.87, 60 + int(use.id[4:12]))
    assert use.power == 400 + int(use.id[4:12])
    metrics = trials[0].reports[0].metrics
    assert metrics["output_throughput_per_accelerator"] == metrics["output_throughput"] / 2
    assert not store.leased_devices()


def test_two_processes_on_one_box_never_share_a_device(box, store, tmp_path):
    """Four devices, two processes, two trials each at once, of two devices: one has to wait for the other."""
    box.use(FREE8[:4])
    parallel = "{trials: 4, parallel: 2, screening: 0, verification: {top: 0}}"
    records = [study(store, budget=parallel) for _ in range(2)]
    running = [start("resume", record.id, log=tmp_path / f"{n}.log") for n, record in enumerate(records)]
    most = 0
    while any(process.poll() is None for process in running):
        leases = store.leased_devices()
        most = max(most, len(leases))
        time.sleep(0.02)
    for number, process in enumerate(running):
        assert process.returncode == 0, (tmp_path / f"{number}.log").read_text()
    spans = []
    for record in records:
        events = store.events(0, record.id, 10_000)
        for trial in store.trials(record.id, with_reports=True):
            assert trial.state == "complete", trial.failure
            (measured,) = [e.time for e in events if e.trial == trial.number and e.kind == "measured"]
            for use in trial.reports[0].accelerators:
                spans.append((use.id, measured - trial.reports[0].duration, measured))
    assert len(spans) == 16
    clashes = [(a, b) for i, a in enumerate(spans) for b in spans[:i] if a[0] == b[0] and a[1] < b[2] and b[1] < a[2]]
    assert not clashes
    assert most == 4, "all were in use"


def test_seed_bug_07_memory_that_others_use_is_not_leased(box, store):
    """The seed's bug 7: CUDA out of memory, since the device was used by others; mem_frac was no cure."""
    box.use(SEED_BOX[:3])  # 0 and 2 are others'
    record = study(store, budget="{trials: 1, retries: 0, verification: {top: 0}}")
    done = servelab("resume", record.id, check=False)
    assert done.returncode == 5
    assert "it takes 2 accelerators, and 2 of 3 are used by others" in done.stderr
    assert "0: NVIDIA H20, 103 GB, 91.2 GB of it in use" in done.stderr
    assert store.study_state(record.id) == "paused"
    assert store.trials(record.id)[0].state == "waiting", "the trial is not to blame"


def test_seed_bug_12_the_devices_that_a_study_chooses_are_the_ones_it_gets(box, store, monkeypatch, tmp_path):
    """The seed's bug 12: CUDA_VISIBLE_DEVICES=7 inside the engine was ignored. Set it where servelab runs."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"7,{uuid(5)[:12]}")
    with played(images=(LLAMA,), gpus=[uuid(n) for n in range(8)]) as docker:
        options = json.dumps({"host": docker.host, "cache": ""})
        image = f"{{name: llamacpp, image: '{LLAMA}', arguments: {{ctx_size: 2048}}, resources: {{accelerators: 2}}}}"
        record = study(store, platform=f"{{name: docker, options: {options}}}", engine=image)
        servelab("resume", record.id)
        for made in docker.created():
            (asked,) = made["HostConfig"]["DeviceRequests"]
            assert asked == {"Driver": "", "DeviceIDs": [uuid(7), uuid(5)], "Capabilities": [["gpu"]]}
            assert not [one for one in made["Env"] if "VISIBLE_DEVICES" in one]
    assert all(t.state == "complete" for t in store.trials(record.id))


def test_a_configuration_that_is_too_large_for_the_box_is_an_observation(box, store):
    box.use(FREE8[:2])
    record = study(
        store,
        engine="{name: llamacpp, arguments: {ctx_size: 2048}, resources: {accelerators: 3}}",
        budget="{trials: 1, screening: 0, verification: {top: 0}}",
    )
    servelab("resume", record.id, check=False)
    (trial,) = store.trials(record.id)
    assert trial.state == "failed"
    assert trial.failure is not None
    assert trial.failure.message == "it takes 3 accelerators, and this machine has 2"


async def test_what_needs_no_device_asks_no_driver(store):
    assert await lease(store, "s", 0, "w", 0, print) == ()


HOLD = """
import asyncio, sys
from servelab.lab.accelerators.lease import lease
from servelab.store.store import open_store
print(asyncio.run(lease(open_store(), "other", 0, sys.argv[1], 2, print)), flush=True)
"""


def test_a_wait_for_another_trial_says_so_and_ends(box, store):
    box.use(FREE8[:2])
    first = subprocess.run([sys.executable, "-c", HOLD, "w1"], capture_output=True, text=True, check=True)
    assert uuid(1) in first.stdout
    waiting = subprocess.Popen([sys.executable, "-c", HOLD, "w2"], stdout=subprocess.PIPE, text=True)
    assert waiting.stdout is not None
    while not select.select([waiting.stdout], [], [], 5)[0]:
        store.heartbeat("other", 0, "w1")  # as a worker does: a lease is short on a busy machine
    assert waiting.stdout.readline() == "waits for 2 of 2 accelerators: 2 are leased to trials\n"
    store.release_devices("other", 0, "w1")
    assert uuid(0) in waiting.stdout.readline()
    assert waiting.wait(120) == 0


def test_cuda_visible_devices_that_names_none_hides_all(box, home):
    script = "from servelab.lab.accelerators.discovery import local_accelerators as f; print(len(f()))"
    for visible_, count in (("", 0), ("0,1", 2), ("1,1", 1), ("nonsense", 0), (uuid(3), 1)):
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": visible_}
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == str(count)


async def test_too_many_is_refused_before_anything_waits(store, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", rocm_smi(tmp_path))
    monkeypatch.setattr(discovery, "nvidia_devices", tuple)  # where this machine has some
    for name in discovery.VISIBLE:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DeployError, match="this machine has 3"):
        await lease(store, "s", 0, "w", 4, print)
