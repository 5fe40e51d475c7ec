"""Memory arithmetic of the simulated engine: what fits, and what vLLM says when it does not.

Within ``gpu_memory_utilization``: runtime, weights, the activations of the largest step, and the KV cache in the rest.
Outside of it, as in vLLM: captured graphs, and what a batch needs while it runs (fragmentation, sampling).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from servelab.engines.simulated.profile import Profile

GB = 1e9
RUNTIME_GB = 0.7  # context and libraries on one device
GRAPH_GB = 0.0075  # one captured graph; vLLM reports about 0.5 GB for the 68 of an 8B model
GRAPHED_SEQS = 512  # the largest batch that is captured
BATCH_GB = 0.003  # what a sequence of a running batch needs beyond what was planned for


class OutOfMemoryError(Exception):
    """The device has too little memory; the message is vLLM's."""


@dataclass(frozen=True)
class Plan:
    """What the memory is used for."""

    max_model_len: int
    """Tokens; -1 for what fits."""
    max_num_seqs: int
    max_num_batched_tokens: int
    gpu_memory_utilization: float
    block_size: int
    kv_bytes: float
    devices: int
    eager: bool


def fitted(profile: Profile, plan: Plan) -> Plan:
    """The plan with its greatest length settled, where it is left to the memory."""
    if plan.max_model_len != -1:
        return plan
    tokens = _tokens(profile, plan, _left_gb(profile, plan))
    return replace(plan, max_model_len=max(1, min(profile.context, tokens)))


def kv_blocks(profile: Profile, plan: Plan) -> int:
    """Blocks of KV cache that fit.

    Raises:
        OutOfMemoryError: none do, or too few for one request of the greatest length, or nothing is left for graphs.
    """
    total, share = profile.device_gb, plan.gpu_memory_utilization
    free = total - RUNTIME_GB
    if share * total > free:
        raise OutOfMemoryError(
            f"ValueError: Free memory on device cuda:0 ({free:.2f}/{total:.2f} GiB) on startup is less than desired "
            f"GPU memory utilization ({share}, {share * total:.2f} GiB). Decrease GPU memory utilization or reduce GPU "
            "memory used by other processes."
        )
    weights = profile.weights_gb / plan.devices
    if weights > free:
        raise OutOfMemoryError(
            f"torch.OutOfMemoryError: CUDA out of memory. Tried to allocate {weights / 32:.2f} GiB. GPU 0 has a total "
            f"capacity of {total:.2f} GiB of which 0.12 GiB is free."
        )
    left = _left_gb(profile, plan)
    _require_cache(profile, plan, left)
    if spare_gb(profile, plan) < 0:
        raise OutOfMemoryError(
            "RuntimeError: CUDA out of memory occurred when warming up sampler with "
            f"{plan.max_num_seqs} dummy requests. Please try lowering `max_num_seqs` or `gpu_memory_utilization` when "
            "initializing the engine."
        )
    return _tokens(profile, plan, left) // plan.block_size


def spare_gb(profile: Profile, plan: Plan) -> float:
    """GB of each device that neither the plan nor captured graphs take."""
    graphs = 0.0 if plan.eager else GRAPH_GB * (4 + min(2 * plan.max_num_seqs, GRAPHED_SEQS) / 8)
    return profile.device_gb * (1 - plan.gpu_memory_utilization) - graphs


def require_batch_fits(profile: Profile, plan: Plan, sequences: int) -> None:
    """See that a batch of ``sequences`` runs in the memory that is to spare.

    Raises:
        OutOfMemoryError: it does not.
    """
    if BATCH_GB * sequences > spare_gb(profile, plan):
        raise OutOfMemoryError(
            f"torch.OutOfMemoryError: CUDA out of memory. Tried to allocate {BATCH_GB * sequences:.2f} GiB."
        )


def _require_cache(profile: Profile, plan: Plan, left_gb: float) -> None:
    tokens = _tokens(profile, plan, left_gb)
    if tokens < plan.block_size:
        raise OutOfMemoryError(
            "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when "
            "initializing the engine."
        )
    if tokens < plan.max_model_len:
        needed = left_gb * plan.max_model_len / tokens
        raise OutOfMemoryError(
            f"ValueError: To serve at least one request with the model's max seq len ({plan.max_model_len}), "
            f"({needed:.2f} GiB KV cache is needed, which is larger than the available KV cache memory "
            f"({left_gb:.2f} GiB). Based on the available memory, the estimated maximum model length is {tokens}. "
            "Try increasing `gpu_memory_utilization` or decreasing `max_model_len` when initializing the engine."
        )


def _left_gb(profile: Profile, plan: Plan) -> float:
    """GB of each device for the KV cache."""
    activations = plan.max_num_batched_tokens * profile.activation_bytes_per_token / GB
    planned = profile.device_gb * plan.gpu_memory_utilization
    return planned - RUNTIME_GB - profile.weights_gb / plan.devices - activations


def _tokens(profile: Profile, plan: Plan, left_gb: float) -> int:
    """Tokens in ``left_gb`` of each device, in whole blocks; more devices than KV heads hold copies of whole heads."""
    shards = min(plan.devices, profile.kv_heads)
    tokens = left_gb * GB * shards / (profile.kv_bytes_per_token * plan.kv_bytes / 2)
    return int(tokens // plan.block_size) * plan.block_size
