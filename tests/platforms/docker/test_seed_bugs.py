"""What went wrong in the predecessor's containers (seed 003), by its number there; those of Kubernetes are with OME.

 1 labels that were numbers            here
 2 a container without its name        here
 3 $MODEL_PATH that nothing expanded   here
 6 an image that cannot be pulled      here
 7 memory that others use              tests/lab/test_accelerators.py
12 devices chosen inside the engine    tests/lab/test_accelerators.py, here
13 a failure that was waited for       here
"""

from __future__ import annotations

import json
import time

import pytest

from servelab.platforms.docker.config import container_config, proxies
from servelab.platforms.docker.options import DockerOptions
from servelab.spec.deployment import Address, Launch, Mark
from servelab.spec.errors import DeployError
from servelab.store.store import Store
from tests.lab.gpus import uuid
from tests.lab.studies import servelab, small
from tests.platforms.docker.engine import LLAMA, PYTHON, SERVELAB
from tests.platforms.docker.engines import played

ADDRESS = Address(host="0.0.0.0", port=8000)
COMMAND = ("python3", "-m", "sglang.launch_server", "--model-path", "/srv/models/m", "--port", "8000")


def config(launch: Launch | None = None, **options):
    made = launch or Launch(command=COMMAND, image="lmsysorg/sglang:v0.5.2", address=ADDRESS)
    return container_config(
        made, Mark(study="s", trial=7, attempt=100), "1/2", DockerOptions(cache="", **options), (0,)
    )


def study(store: Store, docker, **changes: str):
    options = json.dumps({"host": docker.host, "cache": ""})
    defaults = {
        "platform": f"{{name: docker, options: {options}}}",
        "budget": "{trials: 2, screening: 0, verification: {top: 0}}",
    }
    return store.create_study(small(**(defaults | changes)))


def test_seed_bug_01_labels_are_text():
    labels = config()["Labels"]
    assert labels["servelab.trial"] == "7"
    assert all(isinstance(value, str) for value in labels.values())


def test_seed_bug_02_a_container_has_a_name_that_says_whose_it_is(store: Store):
    with played(images=(LLAMA,)) as docker:
        record = study(store, docker)
        servelab("resume", record.id)
        names = [call["query"]["name"] for call in docker.calls("POST /containers/create")]
    assert names == [f"servelab-{record.id}-{trial}-100" for trial in (0, 1)]


def test_seed_bug_03_nothing_is_left_for_a_shell_to_expand():
    made = Launch(command=(*COMMAND, "--chat-template", "$MODEL_PATH/x"), image="i", address=ADDRESS)
    words = config(made)["Cmd"]
    assert words[:2] == ["--model-path", "/models/m"]
    assert words[-1] == "$MODEL_PATH/x", "it is an argument, not a line of a shell"
    assert "/bin/sh" not in config(made)["Entrypoint"]


def test_seed_bug_06_an_image_that_cannot_be_pulled_is_told_at_once(store: Store):
    with played() as docker:
        engine = "{name: llamacpp, image: 'kllambda/genai-bench:v251014', arguments: {ctx_size: 2048}}"
        record = study(store, docker, engine=engine)
        began = time.monotonic()
        servelab("resume", record.id, check=False)
        assert time.monotonic() - began < 200
    (trial,) = store.trials(record.id)
    assert trial.failure is not None
    assert trial.failure.kind == "image_pull"
    assert "kllambda/genai-bench:v251014" in trial.failure.message
    assert "docker pull" in trial.failure.remedy
    assert store.study_state(record.id) == "failed", "a default that does not run ends the study"


def test_seed_bug_12_devices_are_not_chosen_twice(store: Store):
    """RuntimeError: No accelerator (CUDA, XPU, HPU) is available, with --gpus and CUDA_VISIBLE_DEVICES at once."""
    chosen = Launch(command=COMMAND, image="i", address=ADDRESS, devices=(uuid(1),), accelerators=1)
    made = config(chosen)
    assert made["HostConfig"]["DeviceRequests"] == [{"Driver": "", "DeviceIDs": [uuid(1)], "Capabilities": [["gpu"]]}]
    assert not [entry for entry in made["Env"] if "VISIBLE" in entry]
    with pytest.raises(DeployError, match="CUDA_VISIBLE_DEVICES"):
        config(chosen.model_copy(update={"environment": {"CUDA_VISIBLE_DEVICES": "1"}}))
    amd = config(chosen.model_copy(update={"devices": ("amd-0", "amd-3")}))
    assert "DeviceRequests" not in amd["HostConfig"]
    assert [one["PathOnHost"] for one in amd["HostConfig"]["Devices"]] == ["/dev/kfd", "/dev/dri"]
    assert "ROCR_VISIBLE_DEVICES=0,3" in amd["Env"]


def test_seed_bug_13_a_failed_engine_is_not_waited_for(store: Store):
    with played(images=(LLAMA,)) as docker:
        record = study(store, docker, engine="{name: llamacpp, arguments: {ctx_size: 2048, no_such_flag: 1}}")
        began = time.monotonic()
        servelab("resume", record.id, check=False)
        assert time.monotonic() - began < 200, "not the 600 s that it may take to become ready"
    trial = store.trials(record.id)[0]
    assert trial.failure is not None
    assert trial.failure.stage == "ready"
    assert "no-such-flag" in trial.failure.evidence + trial.failure.message


def test_the_program_is_the_entry_point():
    """/opt/nvidia/nvidia_entrypoint.sh: line 67: exec: --: invalid option."""
    made = config()
    assert made["Entrypoint"] == ["python3", "-m", "sglang.launch_server"]
    assert made["Cmd"][0] == "--model-path"


def test_shared_memory_is_large_and_the_model_read_only():
    made = config()["HostConfig"]
    assert made["ShmSize"] == 16 * 2**30
    assert made["Mounts"] == [{"Type": "bind", "Source": "/srv/models/m", "Target": "/models/m", "ReadOnly": True}]
    assert made["PortBindings"] == {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8000"}]}


def test_a_snapshot_of_the_hub_cache_is_mounted_with_what_it_links_to():
    path = "/home/u/.cache/huggingface/hub/models--a--b/snapshots/abc123"
    made = config(Launch(command=("vllm", "serve", path, "--port", "8000"), image="i", address=ADDRESS))
    assert made["HostConfig"]["Mounts"][0]["Source"] == "/home/u/.cache/huggingface/hub/models--a--b"
    assert made["Cmd"][0] == "/models/models--a--b/snapshots/abc123"


def test_proxies_spare_the_loopback():
    assert proxies({}) == {}
    found = proxies({"https_proxy": "http://172.17.0.1:1081", "NO_PROXY": "10.0.0.0/8,localhost"})
    assert found["HTTPS_PROXY"] == found["https_proxy"] == "http://172.17.0.1:1081"
    assert found["NO_PROXY"] == found["no_proxy"] == "10.0.0.0/8,localhost,127.0.0.1,::1"


def test_a_token_reaches_the_container_by_its_environment_only(store: Store, monkeypatch, tmp_path):
    secret = "hf_" + "s3cret" * 4
    monkeypatch.setenv("HF_TOKEN", secret)
    monkeypatch.setenv("UNRELATED", "not for engines")
    with played(images=(LLAMA,)) as docker:
        engine = "{name: llamacpp, arguments: {ctx_size: 2048}, environment_from: [HF_TOKEN]}"
        record = study(store, docker, engine=engine)
        done = servelab("resume", record.id)
        made = docker.created()[0]
    assert f"HF_TOKEN={secret}" in made["Env"]
    assert not [entry for entry in made["Env"] if "UNRELATED" in entry]
    assert secret not in json.dumps({name: value for name, value in made.items() if name != "Env"})
    assert secret not in done.stdout + done.stderr
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in kept if secret.encode() in path.read_bytes()]


def test_cleanup_goes_on_where_docker_is_away(store: Store, tmp_path):
    options = json.dumps({"host": f"unix://{tmp_path}/none.sock"})
    store.create_study(small(platform=f"{{name: docker, options: {options}}}"))
    store.create_study(small())
    done = servelab("cleanup")
    assert "not looked for everywhere: the Docker Engine cannot be reached" in done.stderr
    assert "nothing was left running where it could be looked for" in done.stdout


def test_the_simulated_engine_runs_in_an_image_that_has_servelab(store: Store):
    with played(images=(SERVELAB, PYTHON)) as docker:
        engine = f"{{name: simulated, image: '{SERVELAB}', arguments: {{max_model_len: 1024, startup_seconds: 0}}}}"
        record = study(store, docker, engine=engine, space="{parameters: {max_num_seqs: [4, 8]}}")
        servelab("resume", record.id)
    trials = store.trials(record.id, with_reports=True)
    assert [trial.state for trial in trials] == ["complete", "complete"], [trial.failure for trial in trials]
    assert trials[0].reports[0].provenance.simulated
