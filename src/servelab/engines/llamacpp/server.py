"""llama.cpp's own HTTP server, from the ``xllamacpp`` wheel, with llama-server's flags.

Run as ``python -m servelab.engines.llamacpp.server --model FILE --port N``.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

import xllamacpp as llama

from servelab.engines.llamacpp.options import parser, slots, unified

FLASH_ATTENTION = {
    "on": llama.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    "off": llama.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED,
    "auto": llama.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_AUTO,
}
LOADING = {  # (mmap, mlock)
    (True, False): llama.llama_load_mode.LLAMA_LOAD_MODE_MMAP,
    (True, True): llama.llama_load_mode.LLAMA_LOAD_MODE_MMAP_MLOCK,
    (False, True): llama.llama_load_mode.LLAMA_LOAD_MODE_MLOCK,
    (False, False): llama.llama_load_mode.LLAMA_LOAD_MODE_NONE,
}


def main() -> NoReturn:
    """Serve until SIGTERM or SIGINT; exits 1 when the server cannot start."""
    options = parser().parse_args()
    if not Path(options.model).is_file():
        fail(f"error: model file not found: {options.model}")
    # SIGTERM ends the process at once: the server's own threads hold nothing that must be saved.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    log(f"llama.cpp through xllamacpp {llama.__version__}, {options.threads} thread(s)")
    try:
        server = llama.Server(parameters(options))
    except (RuntimeError, ValueError) as error:
        fail(f"error: {error}")
    log(f"listening on {server.listening_address}")
    while True:
        signal.pause()


def parameters(options: argparse.Namespace) -> llama.CommonParams:
    """llama.cpp's parameters for these flags."""
    found = llama.CommonParams()
    found.model.path = options.model
    found.model_alias = {options.alias or Path(options.model).name}
    found.hostnames = [options.host]
    found.port = options.port
    found.n_ctx = options.ctx_size
    found.n_predict = options.n_predict
    found.n_parallel = slots(options)
    found.cont_batching = options.cont_batching
    found.n_batch = options.batch_size
    found.n_ubatch = min(options.ubatch_size, options.batch_size)
    for processor, threads in (
        (found.cpuparams, options.threads),
        (found.cpuparams_batch, options.threads_batch or options.threads),
    ):
        processor.n_threads = threads
        processor.priority = llama.ggml_sched_priority(options.prio)
        processor.poll = options.poll
    found.n_threads_http = options.threads_http
    found.flash_attn_type = FLASH_ATTENTION[options.flash_attn]
    found.cache_type_k = getattr(llama.ggml_type, f"GGML_TYPE_{options.cache_type_k.upper()}")
    found.cache_type_v = getattr(llama.ggml_type, f"GGML_TYPE_{options.cache_type_v.upper()}")
    found.kv_unified = unified(options)
    found.cache_prompt = options.cache_prompt
    found.cache_ram_mib = options.cache_ram
    if options.n_gpu_layers is not None:
        found.n_gpu_layers = options.n_gpu_layers
    found.load_mode = LOADING[options.mmap, options.mlock]
    found.warmup = options.warmup
    found.endpoint_metrics = options.metrics
    found.endpoint_slots = options.slots
    found.fit_params = False  # would change the parameters under test to fit the memory
    found.ui = False
    return found


def log(line: str) -> None:
    """Write a line to the log."""
    print(line, file=sys.stderr, flush=True)


def fail(line: str) -> NoReturn:
    """Write why the server cannot run, and exit."""
    log(line)
    sys.exit(1)


if __name__ == "__main__":
    main()
