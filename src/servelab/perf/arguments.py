"""An engine's limits from its own arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from servelab.perf.deployment import Batching


@dataclass(frozen=True)
class Names:
    """What an engine calls its limits, and its defaults where the catalog leaves them to the machine."""

    max_num_seqs: str
    max_num_batched_tokens: str
    sequences: int
    tokens: int
    block_size: str = "block_size"
    prefix_caching: str = "enable_prefix_caching"
    chunked_prefill: str = "enable_chunked_prefill"


_VLLM = Names("max_num_seqs", "max_num_batched_tokens", 256, 8192)
_NAMES = {
    "vllm": _VLLM,
    "simulated": _VLLM,
    "sglang": Names("max_running_requests", "chunked_prefill_size", 256, 8192, block_size="page_size"),
    "trtllm": Names("max_batch_size", "max_num_tokens", 2048, 8192),
    "llamacpp": Names("parallel", "batch_size", 4, 2048),
}


def batching(engine: str, arguments: Mapping[str, Any], kv_tokens: int | None = None) -> Batching:
    """The limits that these arguments set; an engine that is not known is taken to be like vLLM.

    ``kv_tokens`` is the size of the KV cache, which depends on the machine; None for one that never gets full.
    """
    names = _NAMES.get(engine, _VLLM)
    sequences = int(arguments.get(names.max_num_seqs) or names.sequences)
    return Batching(
        max_num_seqs=sequences,
        max_num_batched_tokens=max(sequences, int(arguments.get(names.max_num_batched_tokens) or names.tokens)),
        kv_tokens=kv_tokens,
        block_size=int(arguments.get(names.block_size) or 16),
        prefix_caching=bool(arguments.get(names.prefix_caching, True)),
        chunked_prefill=bool(arguments.get(names.chunked_prefill, True)),
    )
