"""The simulated engine's flags: vLLM's, and a few of its own."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from servelab.catalog.engines import Argument, engine_arguments
from servelab.engines.simulated.memory import Plan, fitted
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

PLAYED = (
    "host",
    "port",
    "served_model_name",
    "max_model_len",
    "max_num_seqs",
    "max_num_batched_tokens",
    "gpu_memory_utilization",
    "kv_cache_dtype",
    "block_size",
    "tensor_parallel_size",
    "enable_prefix_caching",
    "enable_chunked_prefill",
    "enforce_eager",
    "seed",
)
"""vLLM's arguments that have an effect here; the others are accepted and said to have none."""


class ConfigurationError(Exception):
    """What vLLM says before it gives up on its arguments."""


@dataclass(frozen=True)
class Settings:
    """Everything the server is told."""

    served_name: str
    host: str
    port: int
    profile: Profile
    profile_name: str
    memory: Plan
    prefix_caching: bool
    chunked_prefill: bool
    seed: int
    time_scale: float
    startup: float
    fault: str | None
    without_effect: tuple[str, ...]


def parser() -> argparse.ArgumentParser:
    """vLLM's flags, all that the catalog knows, and ours."""
    flags = argparse.ArgumentParser(prog="vllm serve (simulated)", allow_abbrev=False)
    flags.add_argument("model")
    flags.add_argument("--host", default="127.0.0.1")
    flags.add_argument("--port", type=int, default=8000)
    ours = flags.add_argument_group("simulation only")
    ours.add_argument(
        "--profile", default=DEFAULT_PROFILE, choices=sorted(profiles()), help="machine and model to play"
    )
    ours.add_argument("--time-scale", type=_positive, default=1.0, help="below 1: faster than the machine it plays")
    ours.add_argument("--startup-seconds", type=float, default=0.2, help="how long loading the model takes")
    ours.add_argument("--fault", choices=FAULTS, help="fail in this way")
    for name, argument in engine_arguments("simulated").items():
        if name not in ("host", "port"):
            _add(flags, name, argument)
    return flags


def read_settings(arguments: Sequence[str] | None = None) -> Settings:
    """The settings of a command line; exits with 2, as vLLM does, on a flag it does not know.

    Raises:
        ConfigurationError: values that vLLM refuses.
    """
    given = {name: value for name, value in vars(parser().parse_args(arguments)).items() if value is not None}
    known = engine_arguments("simulated")
    for name, value in given.items():
        if name in known:
            _require_range(name, known[name], value)
    profile = profiles()[given["profile"]]
    plan, chunked_prefill = _plan(profile, given, known), given.get("enable_chunked_prefill", True)
    _require_valid(profile, plan, chunked_prefill)
    return Settings(
        served_name=given.get("served_model_name", given["model"]),
        host=given["host"],
        port=given["port"],
        profile=profile,
        profile_name=given["profile"],
        memory=fitted(profile, plan),
        prefix_caching=given.get("enable_prefix_caching", True),
        chunked_prefill=chunked_prefill,
        seed=given.get("seed", 0),
        time_scale=given["time_scale"],
        startup=given["startup_seconds"],
        fault=given.get("fault"),
        without_effect=tuple(sorted(name for name in given if name in known and name not in PLAYED)),
    )


def _plan(profile: Profile, given: Mapping[str, Any], known: Mapping[str, Argument]) -> Plan:
    """What is given, and vLLM's defaults for this machine where nothing is."""
    length = given.get("max_model_len", profile.context)
    batched = given.get("max_num_batched_tokens", profile.max_num_batched_tokens)
    if "max_num_batched_tokens" not in given and not given.get("enable_chunked_prefill", True):
        batched = max(batched, _longest(profile, length))
    return Plan(
        max_model_len=length,
        max_num_seqs=given.get("max_num_seqs", min(profile.max_num_seqs, batched)),
        max_num_batched_tokens=batched,
        gpu_memory_utilization=given.get("gpu_memory_utilization", known["gpu_memory_utilization"].default),
        block_size=given.get("block_size", 16),
        kv_bytes=_kv_bytes(given.get("kv_cache_dtype", "auto")),
        devices=given.get("tensor_parallel_size", 1),
        eager=given.get("enforce_eager", False),
    )


def _longest(profile: Profile, length: int) -> int:
    """The greatest length that arguments are held against: a length of -1 is fitted to the memory only later."""
    return profile.context if length == -1 else length


def _kv_bytes(dtype: str) -> float:
    """Bytes of a cached value."""
    if dtype in ("auto", "float16", "bfloat16"):
        return 2.0
    return 0.5 if any(four in dtype for four in ("int4", "4bit", "nvfp4")) else 1.0


def _add(flags: argparse.ArgumentParser, name: str, argument: Argument) -> None:
    if argument.type == "bool":
        flags.add_argument(argument.flag, dest=name, action="store_const", const=True, help=argparse.SUPPRESS)
        if argument.negative:
            flags.add_argument(argument.negative, dest=name, action="store_const", const=False, help=argparse.SUPPRESS)
        return
    kind = {"int": int, "float": float}.get(argument.type, str)
    choices = [str(value) for value in argument.values] or None
    flags.add_argument(argument.flag, dest=name, type=kind, choices=choices, help=argparse.SUPPRESS)


def _positive(text: str) -> float:
    value = float(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"must be above 0, not {text}")
    return value


def _require_range(name: str, argument: Argument, value: object) -> None:
    if argument.range and isinstance(value, int | float) and not argument.range[0] <= value <= argument.range[1]:
        low, high = argument.range
        raise ConfigurationError(
            f"1 validation error for EngineArgs\n{name}\n  Input should be from {low:g} to {high:g} "
            f"[type=range, input_value={value}, input_type={type(value).__name__}]"
        )


def _require_valid(profile: Profile, plan: Plan, chunked_prefill: bool) -> None:
    """Refuse what vLLM refuses, in its words."""
    length = _longest(profile, plan.max_model_len)
    if profile.heads % plan.devices:
        raise ConfigurationError(
            f"Total number of attention heads ({profile.heads}) must be divisible by tensor parallel size "
            f"({plan.devices})."
        )
    if plan.devices > profile.devices:
        raise ConfigurationError(
            f"World size ({plan.devices}) is larger than the number of available GPUs ({profile.devices}) in this node."
        )
    if not chunked_prefill and plan.max_num_batched_tokens < length:
        raise ConfigurationError(
            f"max_num_batched_tokens ({plan.max_num_batched_tokens}) is smaller than max_model_len "
            f"({length}). Please increase max_num_batched_tokens or decrease max_model_len."
        )
    if plan.max_num_batched_tokens < plan.max_num_seqs:
        raise ConfigurationError(
            f"max_num_batched_tokens ({plan.max_num_batched_tokens}) must be greater than or equal to max_num_seqs "
            f"({plan.max_num_seqs})."
        )
    if length < 1:
        raise ConfigurationError(f"max_model_len must be a positive integer, got {length}.")
    if length > profile.context:
        raise ConfigurationError(
            f"User-specified max_model_len ({length}) is greater than the derived max_model_len "
            f"(max_position_embeddings={profile.context} or model_max_length=None in model's config.json)."
        )
