"""The recommendation in each form runs what was measured, and says what stands behind it. All data are generated."""

from __future__ import annotations

import os
import shlex
import subprocess

import pytest
from ruamel.yaml import YAML

from servelab.report.command import container_command, shell_command, with_option
from servelab.report.images import image_for
from servelab.report.recommend import recommendation
from servelab.spec.deployment import Address, Launch
from servelab.spec.errors import ServelabError

PARAMETERS = {"max_num_seqs": 64, "enable_prefix_caching": True}


@pytest.fixture
def verified(generated, document):
    def build(simulated=False, **changes):
        made = generated(document=document(**changes), simulated=simulated, noise=0.01)
        made.baseline()
        made.add(PARAMETERS, 1300)
        made.verify({0: (1000, 0.3), 1: (1300, 0.3)})
        return made

    return build


def advice_of(made, **more):
    return recommendation(made.record(), made.trials, **more)


def load_all(text):
    return list(YAML(typ="safe", pure=True).load_all(text))


def run_with_recorder(script, program, tmp_path, **environment):
    """Run a script with ``program`` replaced by one that prints its arguments, one a line."""
    recorder = tmp_path / program
    recorder.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    recorder.chmod(0o755)
    path = tmp_path / "script.sh"
    path.write_text(script)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": "/home/someone", **environment}
    done = subprocess.run(["sh", str(path)], capture_output=True, text=True, check=True, env=env)
    return done.stdout.splitlines()


def test_command_script_runs_the_measured_arguments(verified, tmp_path):
    advice = advice_of(verified())
    expected = ["serve", "Qwen/Qwen3-0.6B", "--host", "127.0.0.1", "--port", "8000", "--max-model-len", "4096"]
    expected += ["--max-num-seqs=64", "--enable-prefix-caching"]
    assert run_with_recorder(advice.form("command"), "vllm", tmp_path) == expected
    assert run_with_recorder(advice.command_lines, "vllm", tmp_path) == expected
    assert shlex.split(advice.command_line) == ["vllm", *expected]


def test_every_form_carries_the_evidence(verified):
    advice = advice_of(verified())
    for form in ("command", "env", "docker", "compose", "kubernetes"):
        comments = "\n".join(line for line in advice.form(form).splitlines() if line.startswith("#"))
        for part in ("95 % interval +", "concurrency 16; 200 requests", "not tested: ", "EPYC 9554", "trial 1"):
            assert part in comments, form
        assert "WARNING" not in comments


def test_docker_run_passes_secrets_by_name_only(verified, tmp_path):
    words = run_with_recorder(advice_of(verified()).form("docker"), "docker", tmp_path, HF_TOKEN="hf_secret")
    assert words[:2] == ["run", "--rm"]
    assert words[words.index("-e") + 1] == "HF_TOKEN"
    assert not any("hf_secret" in word for word in words)
    image = words.index("vllm/vllm-openai:v0.11.0")
    assert words[words.index("--entrypoint") + 1] == "vllm"
    assert words[image + 1 : image + 5] == ["serve", "Qwen/Qwen3-0.6B", "--host", "0.0.0.0"]
    assert "/home/someone/.cache/huggingface:/root/.cache/huggingface" in words


def test_local_model_is_mounted(verified, tmp_path):
    path = "/data/my models/smol$(touch x).gguf"
    made = verified(model={"id": "smollm2", "path": path}, engine={"name": "llamacpp"})
    made.trials = [
        trial.model_copy(
            update={"command": ("/venv/bin/python", "-m", "servelab.engines.llama", "--model", path, "--port", "1")}
        )
        for trial in made.trials
    ]
    advice = advice_of(made)
    assert advice.command[:3] == ("llama-server", "--model", path)
    assert "servelab.engines.llama" in advice.measured_line
    assert any("llama-server program itself" in line for line in advice.untested)
    assert "--gpus" not in advice.form("docker")
    words = run_with_recorder(advice.form("docker"), "docker", tmp_path)
    inside = "/models/smol$(touch x).gguf"
    assert f"type=bind,src={path},dst={inside},readonly" in words
    assert words[words.index("--model") + 1] == inside
    assert "ghcr.io/ggml-org/llama.cpp:server" in words
    deployment, _ = load_all(advice.form("kubernetes"))
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert container["command"] == ["/app/llama-server"]
    assert "/models/smol$$(touch x).gguf" in container["args"]
    (compose,) = load_all(advice.form("compose"))
    assert "/models/smol$$(touch x).gguf" in compose["services"]["server"]["command"]
    assert not (tmp_path / "x").exists()


def test_kubernetes_manifests(verified):
    resources = {"accelerators": 2, "memory_gb": 64, "cpus": 8}
    made = verified(
        engine={"name": "vllm", "environment": {"A": "$(B)"}, "environment_from": ["HF_TOKEN"], "resources": resources}
    )
    deployment, service = load_all(advice_of(made).form("kubernetes"))
    pod = deployment["spec"]["template"]
    container = pod["spec"]["containers"][0]
    assert deployment["spec"]["selector"]["matchLabels"] == pod["metadata"]["labels"] == service["spec"]["selector"]
    assert container["args"][:5] == ["Qwen/Qwen3-0.6B", "--host", "0.0.0.0", "--port", "8000"]
    assert container["command"] == ["vllm", "serve"]
    assert container["env"] == [
        {"name": "A", "value": "$$(B)"},
        {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "chat-on-vllm-env", "key": "HF_TOKEN"}}},
    ]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "2"}
    assert container["resources"]["requests"] == {"cpu": "8", "memory": "64000M"}
    assert container["startupProbe"]["failureThreshold"] * container["startupProbe"]["periodSeconds"] >= 600
    assert service["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]
    volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
    assert volumes == {mount["name"] for mount in container["volumeMounts"]} == {"models", "shared-memory"}


def test_compose(verified):
    (compose,) = load_all(advice_of(verified()).form("compose"))
    server = compose["services"]["server"]
    assert [*server["entrypoint"], *server["command"]][:3] == ["vllm", "serve", "Qwen/Qwen3-0.6B"]
    assert server["environment"] == {"HF_TOKEN": None}
    assert server["ports"] == ["127.0.0.1:8000:8000"]


def test_env_file_can_be_sourced(verified, tmp_path):
    made = verified(engine={"name": "vllm", "environment": {"VLLM_X": "it's a b"}, "environment_from": ["HF_TOKEN"]})
    path = tmp_path / "serve.env"
    path.write_text(advice_of(made).form("env"))
    script = f'set -a; . {path}; printf \'%s\\n\' "$VLLM_X" "$SERVE_PORT" "$SERVE_COMMAND" "${{HF_TOKEN-unset}}"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, env={})
    assert done.stdout.splitlines() == ["it's a b", "8000", advice_of(made).command_line, "unset"]


def test_comments_cannot_be_left(verified):
    made = verified(model={"id": "evil\nrm -rf / #\u2028\rx"})
    for form in ("command", "env", "docker", "compose", "kubernetes"):
        text = advice_of(made).form(form)
        if form in ("compose", "kubernetes"):
            assert load_all(text)
        comments = [line for line in text.splitlines() if "model: evil" in line]
        assert comments
        assert all(line.startswith("# ") for line in comments)
        assert all("rm -rf" in line for line in comments)


def test_simulated_is_loud_and_has_no_container(verified):
    advice = advice_of(verified(simulated=True, engine={"name": "simulated"}))
    assert "SIMULATED" in advice.warning
    assert "SIMULATED ENGINE" in advice.form("command")
    assert advice.command == advice.measured_command
    for form in ("docker", "compose", "kubernetes"):
        with pytest.raises(ServelabError, match="simulated"):
            advice.form(form)


def test_what_breaks_the_slo_says_so(generated):
    made = generated()
    made.baseline(1000, 0.9)
    made.add(PARAMETERS, 900, 0.7)
    assert "WARNING: it does NOT keep the SLO" in advice_of(made).form("command")


def test_no_gain_recommends_the_default(generated):
    made = generated(noise=0.01)
    made.baseline()
    made.add(PARAMETERS, 1000)
    made.verify({0: (1000, 0.3), 1: (1000, 0.3)})
    advice = advice_of(made)
    assert advice.trial == 0
    assert "--max-num-seqs=64" not in advice.command


def test_foreign_endpoint_has_parameters_but_no_command(verified):
    made = verified()
    made.trials = [trial.model_copy(update={"command": ()}) for trial in made.trials]
    advice = advice_of(made)
    assert advice.parameters == PARAMETERS
    with pytest.raises(ServelabError, match="did not start this engine"):
        advice.form("command")


def test_nothing_to_recommend(generated):
    made = generated()
    made.baseline(state="failed")
    with pytest.raises(ServelabError, match="nothing to recommend") as raised:
        advice_of(made)
    assert "Lower max_num_seqs" in raised.value.remedy


def test_launch_brings_its_image(verified):
    launch = Launch(
        command=("vllm", "serve", "m", "--port", "1"),
        image="registry.example/vllm:1",
        address=Address(port=1),
        ready_path="/ready",
        accelerators=4,
    )
    advice = advice_of(verified(), launch=launch)
    deployment, _ = load_all(advice.form("kubernetes"))
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "registry.example/vllm:1"
    assert container["readinessProbe"]["httpGet"]["path"] == "/ready"
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "4"}


def test_image_that_is_an_option_is_refused(verified):
    made = verified(engine={"name": "vllm", "image": "--privileged"})
    with pytest.raises(ServelabError, match="not the name of a container image"):
        advice_of(made).form("docker")


@pytest.mark.parametrize(
    ("engine", "version", "devices", "image"),
    [
        ("vllm", "0.11.0", 1, "vllm/vllm-openai:v0.11.0"),
        ("vllm", "0.11.0+cpu", 0, "public.ecr.aws/q9t5s3a7/vllm-cpu-release-repo:v0.11.0"),
        ("sglang", None, 1, "lmsysorg/sglang:latest"),
        ("llamacpp", "b7000", 1, "ghcr.io/ggml-org/llama.cpp:server-cuda"),
        ("mine", "1", 0, None),
    ],
)
def test_images(generated, document, engine, version, devices, image):
    study = generated(document=document(engine={"name": engine})).study
    assert image_for(study, version, devices) == image


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["a", "--port", "1"], ("a", "--port", "9")),
        (["a", "--port=1", "-x"], ("a", "--port=9", "-x")),
        (["a", "--ports", "1"], ("a", "--ports", "1", "--port", "9")),
        (["a", "--port"], ("a", "--port", "--port", "9")),
    ],
)
def test_with_option(command, expected):
    assert with_option(command, "--port", "9") == expected


def test_a_llama_server_of_the_users_own_is_kept():
    measured = ("/opt/llama/llama-server", "--model", "/m.gguf", "--port", "5")
    assert shell_command("llamacpp", measured, 8080) == (
        "/opt/llama/llama-server",
        "--model",
        "/m.gguf",
        "--port",
        "8080",
    )
    assert container_command("llamacpp", measured, 8080).entrypoint == ("/app/llama-server",)


def test_sglang_in_a_container():
    measured = [
        "/v/bin/python3.11",
        "-m",
        "sglang.launch_server",
        "--model-path",
        "/w/m",
        "--tp-size",
        "2",
        "--port",
        "5",
    ]
    inside = container_command("sglang", measured, 30000)
    assert inside.entrypoint == ("python3", "-m", "sglang.launch_server")
    assert inside.arguments == ("--model-path", "/models/m", "--tp-size", "2", "--port", "30000", "--host", "0.0.0.0")
    assert shell_command("sglang", measured, 30000)[:3] == inside.entrypoint
