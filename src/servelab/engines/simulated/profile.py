"""What machine and model the simulated engine plays."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from pydantic import PositiveFloat, PositiveInt
from ruamel.yaml import YAML

from servelab.spec.base import Spec

DEFAULT_PROFILE = "h100-llama-3.1-8b"


class Profile(Spec):
    """A model on a machine: memory of one device in GB, step times of one device in seconds; see profiles.yaml."""

    title: str
    devices: PositiveInt
    device_gb: PositiveFloat
    weights_gb: PositiveFloat
    kv_bytes_per_token: PositiveFloat
    activation_bytes_per_token: PositiveFloat
    heads: PositiveInt
    kv_heads: PositiveInt
    context: PositiveInt
    max_num_seqs: PositiveInt
    max_num_batched_tokens: PositiveInt
    base_s: PositiveFloat
    prefill_s: PositiveFloat
    decode_s: PositiveFloat
    context_s: PositiveFloat
    link_s: PositiveFloat


@cache
def profiles() -> dict[str, Profile]:
    """All profiles by name."""
    text = (files("servelab.engines.simulated") / "profiles.yaml").read_text(encoding="utf-8")
    return {n: Profile.model_validate(raw) for n, raw in YAML(typ="safe", pure=True).load(text).items()}
