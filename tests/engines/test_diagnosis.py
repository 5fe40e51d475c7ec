"""What engines say when they fail is understood. The logs are excerpts of real messages."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from servelab.engines.diagnose import WIDEST, diagnose, rules

LOGS = Path(__file__).with_name("logs")

KNOWN = {
    "kubernetes-image": ("image_pull", "cannot be pulled", "registry"),
    "kubernetes-oom-killed": ("out_of_memory", "the machine ran out of memory", "container limit"),
    "kubernetes-pending": ("unsupported", "no node can take the pod nvidia.com/gpu", "node selector"),
    "llamacpp-architecture": ("unsupported", "architecture brandnew", "newer"),
    "llamacpp-context": ("out_of_memory", "could not allocate", "Lower ctx_size"),
    "llamacpp-truncated": ("model_not_found", "cannot read the model file", "download"),
    "sglang-context": ("bad_argument", "context_length 65536 is longer than the model's context 32768", "Lower"),
    "sglang-full-cache": ("out_of_memory", "ran full under load", "max_running_requests"),
    "sglang-graphs": ("out_of_memory", "capture graphs", "mem_fraction_static"),
    "sglang-heads": ("unsupported", "does not divide", "power of two"),
    "sglang-killed": ("out_of_memory", "killed the engine", "smaller model"),
    "sglang-no-memory": ("out_of_memory", "no memory is left for the KV cache", "Raise mem_fraction_static"),
    "sglang-not-installed": ("unsupported", "sglang is not installed", "pip install sglang"),
    "sglang-port": ("port_busy", "port was taken", "another port"),
    "sglang-warm-up": ("hang", "did not answer its own warm-up request", "hangs with these settings"),
    "sglang-segfault": ("crash", "exit code -11", "log"),
    "vllm-bad-choice": ("bad_argument", "--dtype: invalid choice: 'fp9'", "Check the value"),
    "vllm-context": ("bad_argument", "max_model_len 200000 is longer than the model's context 131072", "Lower"),
    "vllm-download": ("unreachable", "the download from cdn-lfs-us-1.hf.co broke off", "model.path"),
    "vllm-download-hub": ("unreachable", "a download broke off", "model.path"),
    "vllm-download-refused": ("unreachable", "huggingface.co answered with an error", "Try again"),
    "vllm-gated": ("model_not_found", "gated", "HF_TOKEN"),
    "vllm-heads": ("unsupported", "3 does not divide the model's 32", "divides 32"),
    "vllm-illegal-access": ("crash", "CUDA error", "fault of the engine"),
    "vllm-kv-cache": ("out_of_memory", "one request of max_model_len (131072)", "Lower max_model_len to 35872"),
    "vllm-kv-cache-0.11": ("out_of_memory", "max_model_len (196608)", "Lower max_model_len to 158560"),
    "vllm-kv-cache-0.6": ("out_of_memory", "holds 11024 tokens", "Lower max_model_len"),
    "vllm-memory-taken": ("out_of_memory", "less free memory", "Another process"),
    "vllm-metadata-host": ("unreachable", "metadata.example.net did not answer in time", "can be reached"),
    "vllm-nccl": ("crash", "NCCL", "shm"),
    "vllm-no-blocks": ("out_of_memory", "no memory is left", "Raise gpu_memory_utilization"),
    "vllm-no-gpu": ("unsupported", "no accelerator", "nvidia-smi"),
    "vllm-no-such-model": ("model_not_found", "no model of that name", "model.id"),
    "vllm-no-such-path": ("model_not_found", "no such model", "model.path"),
    "vllm-oom": ("out_of_memory", "the accelerator ran out of memory", "tensor_parallel_size"),
    "vllm-oom-warm-up": ("out_of_memory", "warming up for 1024", "Lower max_num_seqs"),
    "vllm-out-of-range": ("bad_argument", "gpu_memory_utilization should be less than or equal to 1", "Check"),
    "vllm-no-space": ("disk_full", "disk is full", "/dev/shm"),
    "vllm-no-threads": ("machine_exhausted", "no process or thread to spare", "ulimit -u"),
    "vllm-open-files": ("machine_exhausted", "open more files", "ulimit -n"),
    "vllm-port": ("port_busy", "port was taken", "another port"),
    "vllm-quantization": ("bad_argument", "quantized with gptq, but quantization asks for awq", "Leave quantization"),
    "vllm-quantization-file": ("bad_argument", "not in the format", "Leave quantization"),
    "vllm-trust-remote-code": ("unsupported", "own code", "trust_remote_code: true"),
    "vllm-unknown-flag": ("bad_argument", "does not know --max-num-sequences 3", "servelab engines"),
    "vllm-worker-killed": ("out_of_memory", "killed the engine", "smaller model"),
    "vllm-world-size": ("unsupported", "is 8, but there are 4", "tensor_parallel_size"),
}
TRANSIENT = {
    "sglang-port",
    "vllm-download",
    "vllm-download-hub",
    "vllm-download-refused",
    "vllm-metadata-host",
    "vllm-nccl",
    "vllm-no-space",
    "vllm-no-threads",
    "vllm-open-files",
    "vllm-port",
}


def test_each_log_is_expected():
    assert {path.stem for path in LOGS.glob("*.log")} - {"healthy"} == set(KNOWN)


@pytest.mark.parametrize("name", KNOWN)
def test_logs_are_diagnosed(name):
    log = (LOGS / f"{name}.log").read_text()
    kind, message, remedy = KNOWN[name]
    engine = name.partition("-")[0]
    found = diagnose("vllm" if engine == "kubernetes" else engine, f"INFO one\n{log}INFO bye\n", 1)
    assert found is not None
    assert (found.kind, found.transient) == (kind, name in TRANSIENT)
    assert message in found.message
    assert remedy in found.remedy
    assert "{" not in found.message + found.remedy
    assert found.evidence
    assert set(found.evidence.splitlines()) <= {line.strip()[:WIDEST] for line in log.splitlines()}


@pytest.mark.parametrize("engine", ["vllm", "sglang", "llamacpp", "simulated"])
def test_what_is_not_known_is_not_guessed(engine):
    assert diagnose(engine, (LOGS / "healthy.log").read_text(), 3) is None
    assert diagnose(engine, "", None) is None


def test_a_time_out_that_is_tried_again_is_not_taken_for_the_cause():
    pool = "HTTPSConnectionPool(host='huggingface.co', port=443): Read timed out. (read timeout=10)"
    head = "thrown while requesting HEAD https://huggingface.co/m/resolve/main/config.json"
    log = (
        f"""'(ReadTimeoutError("{pool}"), '(Request ID: 3db7)')' {head}\nRetrying in 1s [Retry 1/5].\n"""
        f"Error while downloading from https://cdn-lfs.hf.co/x?y=z: {pool}\nTrying to resume download...\n"
        "HTTP Error 503 thrown while requesting GET https://huggingface.co/api/models/m\n"
    )
    assert diagnose("vllm", log, 3) is None
    assert diagnose("vllm", log, -11).message == "the engine crashed (segmentation fault)"


def test_a_warning_is_not_taken_for_the_cause():
    log = "WARNING: the vocabulary 32001 is not divisible by 64, padding it\n"
    assert diagnose("vllm", log, 1) is None
    assert diagnose("vllm", log, -11).message == "the engine crashed (segmentation fault)"
    split = diagnose("vllm", "AssertionError: 9 is not divisible by 4\n", 1)
    assert split.message == "the tensor parallelism does not divide the model's heads or layers 9 4"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (-9, "out_of_memory"),
        (137, "out_of_memory"),
        (-11, "crash"),
        (139, "crash"),
        (-6, "crash"),
        (127, "unsupported"),
    ],
)
def test_exit_codes_speak_when_the_log_does_not(code, kind):
    found = diagnose("vllm", "INFO all is well\n", code)
    assert found is not None
    assert found.kind == kind
    assert found.evidence == "INFO all is well"
    said = diagnose("vllm", (LOGS / "vllm-unknown-flag.log").read_text(), code)
    assert said is not None
    assert said.kind == "bad_argument"


def test_evidence_is_short():
    log = "\n".join(f"{n} CUDA out of memory. {'x' * 1000}" for n in range(50))
    found = diagnose("vllm", log, 1)
    assert found is not None
    assert [line[:2] for line in found.evidence.splitlines()] == ["47", "48", "49"]
    assert max(map(len, found.evidence.splitlines())) == WIDEST


def test_rules_are_well_formed():
    for rule in rules():
        assert bool(rule.pattern) != bool(rule.exit), rule.message
        asked = {int(group) for group in re.findall(r"\{(\d)\}", rule.message + rule.remedy)}
        assert max(asked, default=0) <= (re.compile(rule.pattern).groups if rule.pattern else 0), rule.message


@pytest.mark.parametrize(
    "piece",
    [
        "a" * 200_000,
        "error: argument " * 9000,
        "(1" * 90_000,
        "ValueError: " * 9000,
        " \n" * 9000,
        "a\n" * 9000,
        "huggingface_hub/\n" * 9000,
        "ReadTimeout: HTTPConnectionPool(host='" * 5000,
    ],
)
def test_no_log_makes_a_search_long(piece):
    taken = []
    for _ in range(3):
        began = time.process_time()
        diagnose("llamacpp", piece, 1)
        taken.append(time.process_time() - began)
    assert min(taken) < 2
