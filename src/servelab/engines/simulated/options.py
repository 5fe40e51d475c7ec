"""The simulated engine's flags: vLLM's, and a few of its own."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from servelab.catalog.engines import engine_arguments
from servelab.engines.simulated.profile import DEFAULT_PROFILE, Profile, profiles

FAULTS = (
    "die-at-start",
    "die-under-load",
    "hang-at-start",
    "hang-under-load",
    "error-429",
    "error-500",
    "garbage",
    "half-stream",
    "no-answer",
)
"""Ways to fail on request, for tests and rehearsals."""

MAX_LEN = 8192  # where neither the request nor the profile asks for more


class ConfigurationError(Exception):
    """What vLLM would say before it gives up."""


@dataclass(frozen=True)
class Settings:
    """Everything the server is told."""

    model: str
    served_name: str
    host: str
    port: int
    profile: Profile
    profile_name: str
    max_model_len: int
    max_num_seqs: int
    max_num_batched_tokens: int
    gpu_memory_utilization: float
    kv_bytes: float
    block_size: int
    devices: int
    prefix_caching: bool
    chunked_prefill: bool
    eager: bool
    seed: int
    time_scale: float
    startup: float
    fault: str | None


def parser() -> argparse.ArgumentParser:
    """vLLM's flags, all that the catalog knows, and ours."""
    flags = argparse.ArgumentParser(prog="vllm serve (simulated)", allow_abbrev=False)
    flags.add_argument("model")
    flags.add_argument("--host", default="127.0.0.1")
    flags.add_argument("--port", type=int, default=8000)
    flags.add_argument("--profile", default=DEFAULT_PROFILE, choices=sorted(profiles()))
    flags.add_argument("--time-scale", type=float, default=1.0, help="below 1: faster than the machine it plays")
    flags.add_argument("--startup-seconds", type=float, default=0.2)
    flags.add_argument("--fault", choices=FAULTS)
    ours = {"--host", "--port"}
    for name, argument in engine_arguments("simulated").items():
        if argument.flag in ours:
            continue
        if argument.type == "bool":
            negatives = [argument.negative] if argument.negative else []
            flags.add_argument(argument.flag, dest=name, action="store_const", const=True)
            for negative in negatives:
                flags.add_argument(negative, dest=name, action="store_const", const=False)
        else:
            kind = {"int": int, "float": float}.get(argument.type, str)
            flags.add_argument(argument.flag, dest=name, type=kind)
    return flags


def read_settings(arguments: list[str] | None = None) -> Settings:
    """The settings of a command line; exits with 2, as vLLM does, on a flag it does not know.

    Raises:
        ConfigurationError: values that vLLM refuses.
    """
    given = vars(parser().parse_args(arguments))
    profile = profiles()[given["profile"]]

    def value(name: str, default: int | float | str | bool) -> int | float | str | bool:
        return default if given.get(name) is None else given[name]

    chunked = bool(value("enable_chunked_prefill", True))
    max_model_len = int(value("max_model_len", min(profile.context, MAX_LEN)))
    batched = int(value("max_num_batched_tokens", 8192 if chunked else max(8192, max_model_len)))
    settings = Settings(
        model=given["model"],
        served_name=str(value("served_model_name", given["model"])),
        host=given["host"],
        port=given["port"],
        profile=profile,
        profile_name=given["profile"],
        max_model_len=max_model_len,
        max_num_seqs=int(value("max_num_seqs", 256)),
        max_num_batched_tokens=batched,
        gpu_memory_utilization=float(value("gpu_memory_utilization", 0.9)),
        kv_bytes=1.0 if str(value("kv_cache_dtype", "auto")).startswith("fp8") else 2.0,
        block_size=int(value("block_size", 16)),
        devices=int(value("tensor_parallel_size", 1)),
        prefix_caching=bool(value("enable_prefix_caching", True)),
        chunked_prefill=chunked,
        eager=bool(value("enforce_eager", False)),
        seed=int(value("seed", 0)),
        time_scale=given["time_scale"],
        startup=given["startup_seconds"],
        fault=given["fault"],
    )
    _require_valid(settings)
    return settings


def _require_valid(s: Settings) -> None:
    """Refuse what vLLM refuses, in its words."""
    if s.profile.heads % s.devices:
        raise ConfigurationError(
            f"Total number of attention heads ({s.profile.heads}) must be divisible by "
            f"tensor parallel size ({s.devices})."
        )
    if not s.chunked_prefill and s.max_num_batched_tokens < s.max_model_len:
        raise ConfigurationError(
            f"max_num_batched_tokens ({s.max_num_batched_tokens}) is smaller than max_model_len ({s.max_model_len})."
        )
    if s.max_num_batched_tokens < s.max_num_seqs:
        raise ConfigurationError(
            f"max_num_batched_tokens ({s.max_num_batched_tokens}) must be greater than or equal to "
            f"max_num_seqs ({s.max_num_seqs})."
        )
    if s.max_model_len > s.profile.context:
        raise ConfigurationError(
            f"User-specified max_model_len ({s.max_model_len}) is greater than the derived max_model_len "
            f"(max_position_embeddings={s.profile.context})."
        )


def kv_blocks(s: Settings) -> int:
    """Blocks of KV cache that fit.

    Raises:
        ConfigurationError: none, or not enough for one request of the greatest length.
    """
    tokens = s.profile.kv_tokens(s.gpu_memory_utilization, s.max_num_batched_tokens, s.devices, s.kv_bytes)
    if tokens <= 0:
        raise ConfigurationError(
            "No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing "
            "the engine."
        )
    if tokens < s.max_model_len:
        raise ConfigurationError(
            f"The model's max seq len ({s.max_model_len}) is larger than the maximum number of tokens that can be "
            f"stored in KV cache ({int(tokens)}). Try increasing `gpu_memory_utilization` or decreasing "
            "`max_model_len` when initializing the engine."
        )
    return int(tokens) // s.block_size
