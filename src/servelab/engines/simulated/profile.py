"""What machine and model the simulated engine plays."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from pydantic import PositiveFloat, PositiveInt
from ruamel.yaml import YAML

from servelab.spec.base import Spec

DEFAULT_PROFILE = "h100-llama-3.1-8b"

RUNTIME_GB = 1.2  # context, libraries and captured graphs of one device


class Profile(Spec):
    """A model on a device: memory in GB, step times in seconds; see profiles.yaml for the formula."""

    title: str
    device_gb: PositiveFloat
    weights_gb: PositiveFloat
    kv_bytes_per_token: PositiveFloat
    activation_bytes_per_token: PositiveFloat
    heads: PositiveInt
    context: PositiveInt
    base_s: PositiveFloat
    prefill_s: PositiveFloat
    decode_s: PositiveFloat
    context_s: PositiveFloat
    link_s: PositiveFloat

    def step_seconds(self, prefill: int, decode: int, context: int, devices: int, kv_bytes: float) -> float:
        """Seconds of one step: ``prefill`` prompt tokens, ``decode`` sequences, ``context`` cached tokens read.

        Work divides among ``devices``; each doubling of them costs ``link_s`` for talking. ``kv_bytes`` is the
        bytes of a cached value (2, or 1 for fp8).
        """
        work = self.base_s + self.prefill_s * prefill + self.decode_s * decode
        work += self.context_s * context * kv_bytes / 2
        return work / devices + self.link_s * (devices.bit_length() - 1)

    def kv_tokens(self, utilization: float, tokens_per_step: int, devices: int, kv_bytes: float) -> float:
        """Tokens of KV cache that fit; below zero when not even the weights do."""
        activations = tokens_per_step * self.activation_bytes_per_token / 1e9
        per_device = self.device_gb * utilization - RUNTIME_GB - activations - self.weights_gb / devices
        return per_device * devices * 1e9 / (self.kv_bytes_per_token * kv_bytes / 2)


@cache
def profiles() -> dict[str, Profile]:
    """All profiles by name."""
    text = (files("servelab.engines.simulated") / "profiles.yaml").read_text(encoding="utf-8")
    return {n: Profile.model_validate(raw) for n, raw in YAML(typ="safe", pure=True).load(text).items()}
