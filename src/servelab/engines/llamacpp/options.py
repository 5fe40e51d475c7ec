"""The embedded server's flags: those of llama-server that matter for serving, named as there, and meaning the same.

Defaults are llama-server's too, with these differences:

- ``--threads`` is the number of cores this process may run on, where llama-server counts all cores of the machine,
  since more threads than cores spin against each other;
- llama-server's ``--fit``, which changes what was not given until it fits into memory, is off and cannot be turned on:
  a configuration that does not fit must be seen to fail;
- weights are mapped unless ``--no-mmap`` says otherwise, where llama-server asks the device, and there is no web page.
"""

from __future__ import annotations

import argparse
import os
from argparse import BooleanOptionalAction

CACHE_TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")
AUTO_SLOTS = 4  # what llama-server takes where --parallel is not given
PRIORITIES = range(-1, 4)  # low, normal, medium, high, realtime


def parser() -> argparse.ArgumentParser:
    """The flags. None is llama-server's "auto": see ``slots`` and ``unified``, and xllamacpp for ``--n-gpu-layers``."""
    cores = len(os.sched_getaffinity(0))
    flags = argparse.ArgumentParser(prog="llama-server (xllamacpp)", allow_abbrev=False)
    flags.add_argument("--model", "-m", required=True)
    flags.add_argument("--alias", "-a")
    flags.add_argument("--host", default="127.0.0.1")
    flags.add_argument("--port", type=_positive, default=8080)
    flags.add_argument("--ctx-size", "-c", type=_not_negative, default=0)
    flags.add_argument("--n-predict", "-n", type=int, default=-1)
    flags.add_argument("--parallel", "-np", type=_positive)
    flags.add_argument("--cont-batching", "-cb", action=BooleanOptionalAction, default=True)
    flags.add_argument("--batch-size", "-b", type=_positive, default=2048)
    flags.add_argument("--ubatch-size", "-ub", type=_positive, default=512)
    flags.add_argument("--threads", "-t", type=_positive, default=cores)
    flags.add_argument("--threads-batch", "-tb", type=_positive)
    flags.add_argument("--threads-http", type=int, default=-1)
    flags.add_argument("--prio", type=int, choices=PRIORITIES, default=0)
    flags.add_argument("--poll", type=int, choices=range(101), metavar="{0...100}", default=50)
    flags.add_argument("--flash-attn", "-fa", choices=("on", "off", "auto"), default="auto")
    flags.add_argument("--cache-type-k", "-ctk", choices=CACHE_TYPES, default="f16")
    flags.add_argument("--cache-type-v", "-ctv", choices=CACHE_TYPES, default="f16")
    flags.add_argument("--kv-unified", "-kvu", action=BooleanOptionalAction)
    flags.add_argument("--cache-prompt", action=BooleanOptionalAction, default=True)
    flags.add_argument("--cache-ram", "-cram", type=int, default=8192)
    flags.add_argument("--n-gpu-layers", "-ngl", type=int)
    flags.add_argument("--mlock", action="store_true")
    flags.add_argument("--mmap", action=BooleanOptionalAction, default=True)
    flags.add_argument("--warmup", action=BooleanOptionalAction, default=True)
    flags.add_argument("--metrics", action="store_true")
    flags.add_argument("--slots", action=BooleanOptionalAction, default=True)
    return flags


def slots(options: argparse.Namespace) -> int:
    """Requests decoded at the same time."""
    return AUTO_SLOTS if options.parallel is None else int(options.parallel)


def unified(options: argparse.Namespace) -> bool:
    """Whether all slots share one cache; by default where their number is left open, as in llama-server."""
    return options.parallel is None if options.kv_unified is None else bool(options.kv_unified)


def _positive(text: str) -> int:
    return _at_least(1, text)


def _not_negative(text: str) -> int:
    return _at_least(0, text)


def _at_least(least: int, text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, not {text}") from None
    if value < least:
        raise argparse.ArgumentTypeError(f"must be at least {least}, not {value}")
    return value
