"""docker run and compose are what Docker's own command line and the Compose Specification's schema accept.

compose_spec.json is the schema of the Compose Specification as docker-compose 1.29.2 carries it (Apache-2.0).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from servelab.report.recommend import recommendation
from servelab.spec.deployment import Address, Launch
from tests.platforms.docker.engines import played

SCHEMA = json.loads(Path(__file__).with_name("compose_spec.json").read_text())
ENGINES = {
    "vllm": ("vllm", "serve", "/srv/models/m", "--host", "127.0.0.1", "--port", "8000", "--max-num-seqs", "64"),
    "sglang": ("python3", "-m", "sglang.launch_server", "--model-path", "a/b", "--port", "30000", "--tp-size", "2"),
    "llamacpp": ("/app/llama-server", "--model", "/srv/m.gguf", "--host", "0.0.0.0", "--port", "9999"),
}


def advice(generated, document, engine: str, devices: int):
    settings = {"name": engine, "environment": {"A": "b c"}, "environment_from": ["HF_TOKEN"]}
    space = {"parameters": {"max_num_seqs": [8, 64]}} if engine == "vllm" else {"parameters": {"x_y": [1, 2]}}
    made = generated(document=document(engine=settings, space=space, platform={"name": "docker"}), noise=0.01)
    made.baseline()
    made.add({name: values[1] for name, values in space["parameters"].items()}, 1300)
    made.verify({0: (1000, 0.3), 1: (1300, 0.3)})
    launch = Launch(
        command=ENGINES[engine], address=Address(port=8000), image="example.org/engine:1", accelerators=devices
    )
    return recommendation(made.record(), made.trials, launch=launch)


@pytest.mark.parametrize("devices", [0, 2])
@pytest.mark.parametrize("engine", ENGINES)
def test_compose_keeps_to_the_schema(generated, document, engine, devices):
    made = YAML(typ="safe", pure=True).load(advice(generated, document, engine, devices).form("compose"))
    # The specification has `name` since later that year, with this form.
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", made.pop("name"))
    jsonschema.Draft7Validator(SCHEMA).validate(made)
    server = made["services"]["server"]
    if devices:
        (asked,) = server["deploy"]["resources"]["reservations"]["devices"]
        assert asked == {"driver": "nvidia", "count": 2, "capabilities": ["gpu"]}
    else:
        assert "deploy" not in server


def test_the_schema_refuses_what_is_wrong():
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(SCHEMA).validate({"services": {"server": {"image": "x", "devcies": []}}})


@pytest.mark.skipif(shutil.which("docker") is None, reason="Docker's command line is not here")
@pytest.mark.parametrize("devices", [0, 2])
@pytest.mark.parametrize("engine", ENGINES)
def test_docker_run_is_what_dockers_command_line_accepts(generated, document, engine, devices, tmp_path):
    """The script's arguments go through the real docker program to the played engine, which only creates."""
    script = advice(generated, document, engine, devices).form("docker")
    assert script.count("exec docker run") == 1
    path = tmp_path / "serve.sh"
    path.write_text(script.replace("exec docker run", "exec docker create --pull never"))
    for source in ("m.gguf", "models/m"):
        (tmp_path / source).mkdir(parents=True)
        path.write_text(path.read_text().replace(f"/srv/{source}", str(tmp_path / source)))
    (tmp_path / ".cache/huggingface").mkdir(parents=True)
    with played(images=("example.org/engine:1",)) as docker:
        environment = {"DOCKER_HOST": docker.host, "HOME": str(tmp_path), "PATH": "/usr/local/bin:/usr/bin:/bin"}
        subprocess.run(["sh", str(path)], env=environment | {"HF_TOKEN": "t"}, check=True, timeout=300)
        (made,) = docker.created()
    assert "A=b c" in made["Env"]
    assert "HF_TOKEN=t" in made["Env"]
    assert {b["HostIp"] for one in made["HostConfig"]["PortBindings"].values() for b in one} == {"127.0.0.1"}
    asked = made["HostConfig"]["DeviceRequests"] or []
    assert [one["Count"] for one in asked] == ([2] if devices else [])
    assert made["Entrypoint"][0] in ("vllm", "python3", "/app/llama-server")
