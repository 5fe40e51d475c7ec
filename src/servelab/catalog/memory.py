"""Memory arithmetic: does a model fit, and how many tokens does the KV cache hold?"""

from __future__ import annotations

from servelab.catalog.models import KnownModel

GB = 1e9  # bytes, as accelerators' makers count
ACTIVATIONS_PER_TOKEN = 30  # activation values kept per hidden unit for each token of a step: attention and MLP
RUNTIME_GB = 1.5  # context, libraries, communication buffers and captured graphs of one device


def weights_gb(model: KnownModel, bytes_per_parameter: float | None = None) -> float:
    """The model's weights in GB: parameters x bytes."""
    return model.parameters * (bytes_per_parameter or model.bytes_per_parameter)


def kv_bytes_per_token(model: KnownModel, bytes_per_value: float = 2.0) -> float:
    """KV cache of one token in bytes: 2 (keys and values) x layers x KV heads x head size x bytes.

    Latent attention caches one compressed vector per layer instead (DeepSeek-V2, section 2.1).
    """
    per_layer = model.latent_kv if model.latent_kv is not None else 2 * model.kv_heads * model.head_dim
    return model.layers * per_layer * bytes_per_value


def activations_gb(model: KnownModel, tokens_per_step: int, bytes_per_value: float = 2.0) -> float:
    """Activations of a step over ``tokens_per_step`` tokens, in GB: a rule of thumb, right to a factor of two."""
    return tokens_per_step * model.hidden * ACTIVATIONS_PER_TOKEN * bytes_per_value / GB


def kv_shards(model: KnownModel, devices: int) -> int:
    """Parts that the KV cache of a token is cut into among ``devices``: whole heads, so no more than there are.

    With more devices than KV heads, heads are held more than once; latent attention has one head, which every device
    holds (vLLM: ``ModelConfig.get_num_kv_heads``).
    """
    return 1 if model.latent_kv is not None else min(devices, model.kv_heads)


def kv_tokens(
    model: KnownModel,
    device_gb: float,
    devices: int,
    utilization: float,
    tokens_per_step: int,
    kv_bytes_per_value: float = 2.0,
) -> float:
    """Tokens of KV cache that fit: what weights, activations and runtime leave, over the bytes of a token.

    Weights are divided evenly among ``devices`` (tensor parallelism), the cache by heads; ``utilization`` is the share
    of each device's memory in use. Zero or negative: the model does not fit at all.
    """
    left = device_gb * utilization - RUNTIME_GB - activations_gb(model, tokens_per_step) - weights_gb(model) / devices
    return left * GB * kv_shards(model, devices) / kv_bytes_per_token(model, kv_bytes_per_value)
