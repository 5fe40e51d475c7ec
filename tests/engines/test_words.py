"""What engines are told, and what they say."""

from __future__ import annotations

import sys

import pytest

from servelab.engines.base import engine
from servelab.engines.diagnose import diagnose, rules
from servelab.engines.flags import flags
from servelab.spec.deployment import Address
from servelab.spec.errors import DeployError, NotFoundError
from servelab.spec.model import EngineConfig, Model

ADDRESS = Address(port=1234)


def command(name: str, parameters: dict, **config) -> str:
    model = Model(id="org/model", path=config.pop("path", None))
    return " ".join(engine(name).launch(model, EngineConfig(name=name, **config), parameters, ADDRESS).command)


def test_switches_are_turned_off_as_each_engine_has_it():
    assert flags("vllm", {"enable_prefix_caching": False, "enforce_eager": True}) == (
        "--no-enable-prefix-caching",
        "--enforce-eager",
    )
    assert flags("llamacpp", {"cont_batching": False, "ctx_size": 8}) == ("--no-cont-batching", "--ctx-size", "8")
    assert flags("sglang", {"disable_radix_cache": False, "tp_size": 2}) == ("--tp-size", "2")
    assert flags("vllm", {"brand_new_flag": 3, "brand_new_switch": False}) == (
        "--brand-new-flag",
        "3",
        "--no-brand-new-switch",
    )


def test_commands():
    assert command("vllm", {"max_num_seqs": 8}, arguments={"dtype": "auto"}) == (
        "vllm serve org/model --host 127.0.0.1 --port 1234 --served-model-name org/model --dtype auto --max-num-seqs 8"
    )
    assert command("sglang", {}).startswith(f"{sys.executable} -m sglang.launch_server --model-path org/model --host")
    assert "--enable-metrics" in command("sglang", {})
    assert "servelab.engines.simulated org/model --profile l4-llama-3.1-8b" in command(
        "simulated", {}, profile="l4-llama-3.1-8b"
    )
    assert "--model /m.gguf" in command("llamacpp", {"parallel": 2}, path="/m.gguf")
    assert command("llamacpp", {}, path="/m.gguf", executable="/opt/llama-server").startswith(
        "/opt/llama-server --model /m.gguf"
    )


def test_what_cannot_be_started_is_told():
    with pytest.raises(DeployError, match="needs the file"):
        command("llamacpp", {})
    with pytest.raises(DeployError, match="no profile"):
        command("simulated", {}, profile="tpu")
    with pytest.raises(NotFoundError, match="no engine called 'vlm'"):
        engine("vlm")


LOGS = [
    ("vllm", "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", 1, "out_of_memory"),
    ("vllm", "ValueError: No available memory for the cache blocks. Try increasing", 1, "out_of_memory"),
    (
        "vllm",
        "ValueError: Free memory on device (3.2/79.1 GiB) on startup is less than desired GPU memory utilization",
        1,
        "out_of_memory",
    ),
    (
        "vllm",
        "ValueError: Total number of attention heads (32) must be divisible by tensor parallel size (3).",
        1,
        "unsupported",
    ),
    ("vllm", "vllm: error: unrecognized arguments: --max-num-sequences 3", 2, "bad_argument"),
    ("vllm", "vllm serve: error: argument --dtype: invalid choice: 'fp9'", 2, "bad_argument"),
    (
        "vllm",
        "huggingface_hub.errors.GatedRepoError: 401 Client Error. Access to model x is restricted",
        1,
        "model_not_found",
    ),
    ("vllm", "OSError: nobody/nothing is not a local folder and is not a valid model identifier", 1, "model_not_found"),
    ("vllm", "OSError: [Errno 98] Address already in use", 1, "port_busy"),
    ("vllm", "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp", 1, "crash"),
    ("sglang", "RuntimeError: Not enough memory. Please try to increase --mem-fraction-static.", 1, "out_of_memory"),
    ("llamacpp", "error: model file not found: /no/such.gguf", 1, "model_not_found"),
    ("llamacpp", "llama_init: V cache quantization requires flash_attn", 1, "unsupported"),
    ("llamacpp", "start: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 80", 1, "port_busy"),
    ("vllm", "nothing special", -9, "out_of_memory"),
    ("vllm", "nothing special", -11, "crash"),
]


@pytest.mark.parametrize(
    ("name", "line", "code", "kind"), LOGS, ids=[f"{n}-{k}-{i}" for i, (n, _, _, k) in enumerate(LOGS)]
)
def test_logs_are_diagnosed(name, line, code, kind):
    found = diagnose(name, f"INFO starting\n{line}\nINFO bye\n", code)
    assert found is not None
    assert found.kind == kind
    assert found.message
    assert found.remedy
    assert "{" not in found.message + found.remedy


def test_what_is_not_known_is_not_guessed():
    assert diagnose("vllm", "INFO all is well", 3) is None


def test_passing_causes_are_few():
    assert {rule.kind for rule in rules() if rule.transient} == {"port_busy", "crash", "unreachable"}
