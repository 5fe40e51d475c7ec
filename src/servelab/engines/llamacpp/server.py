"""llama.cpp's own HTTP server, from the ``xllamacpp`` wheel, with llama-server's flags.

Run as ``python -m servelab.engines.llamacpp.server --model FILE --port N``. Only the flags that matter for
serving are here; they are named, and mean, what they do in llama-server. One default differs: ``--threads`` is
the number of cores this process may run on, where llama-server counts all cores of the machine, since more
threads than cores spin against each other.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

import xllamacpp as llama

ON_OFF_AUTO = {
    "on": llama.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    "off": llama.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED,
    "auto": llama.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_AUTO,
}
CACHE_TYPES = {
    name: getattr(llama.ggml_type, f"GGML_TYPE_{name.upper()}")
    for name in ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")
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


def parser() -> argparse.ArgumentParser:
    """The flags, as llama-server names them."""
    cores = len(os.sched_getaffinity(0))
    flags = argparse.ArgumentParser(prog="llama-server (xllamacpp)", allow_abbrev=False)
    flags.add_argument("--model", "-m", required=True)
    flags.add_argument("--alias", "-a")
    flags.add_argument("--host", default="127.0.0.1")
    flags.add_argument("--port", type=int, default=8080)
    flags.add_argument("--ctx-size", "-c", type=int, default=0)
    flags.add_argument("--parallel", "-np", type=int, default=4)
    flags.add_argument("--threads", "-t", type=int, default=cores)
    flags.add_argument("--threads-batch", "-tb", type=int)
    flags.add_argument("--threads-http", type=int, default=-1)
    flags.add_argument("--batch-size", "-b", type=int, default=2048)
    flags.add_argument("--ubatch-size", "-ub", type=int, default=512)
    flags.add_argument("--flash-attn", "-fa", choices=ON_OFF_AUTO, default="auto")
    flags.add_argument("--cache-type-k", "-ctk", choices=CACHE_TYPES, default="f16")
    flags.add_argument("--cache-type-v", "-ctv", choices=CACHE_TYPES, default="f16")
    flags.add_argument("--n-predict", "-n", type=int, default=-1)
    flags.add_argument("--n-gpu-layers", "-ngl", type=int)
    flags.add_argument("--cache-ram", type=int, default=8192)
    flags.add_argument("--poll", type=int, default=50)
    flags.add_argument("--cont-batching", action=argparse.BooleanOptionalAction, default=True)
    flags.add_argument("--cache-prompt", action=argparse.BooleanOptionalAction, default=True)
    flags.add_argument("--kv-unified", action=argparse.BooleanOptionalAction, default=False)
    flags.add_argument("--warmup", action=argparse.BooleanOptionalAction, default=True)
    return flags


def parameters(options: argparse.Namespace) -> llama.CommonParams:
    """llama.cpp's parameters for these flags."""
    found = llama.CommonParams()
    found.model.path = options.model
    found.model_alias = {options.alias or Path(options.model).name}
    found.hostnames = [options.host]
    found.port = options.port
    found.n_ctx = options.ctx_size
    found.n_parallel = options.parallel
    found.cpuparams.n_threads = options.threads
    found.cpuparams.poll = options.poll
    found.cpuparams_batch.n_threads = options.threads_batch or options.threads
    found.n_threads_http = options.threads_http
    found.n_batch = options.batch_size
    found.n_ubatch = min(options.ubatch_size, options.batch_size)
    found.flash_attn_type = ON_OFF_AUTO[options.flash_attn]
    found.cache_type_k = CACHE_TYPES[options.cache_type_k]
    found.cache_type_v = CACHE_TYPES[options.cache_type_v]
    found.n_predict = options.n_predict
    if options.n_gpu_layers is not None:
        found.n_gpu_layers = options.n_gpu_layers
    found.cache_ram_mib = options.cache_ram
    found.cont_batching = options.cont_batching
    found.cache_prompt = options.cache_prompt
    found.kv_unified = options.kv_unified
    found.warmup = options.warmup
    found.fit_params = False  # would change the parameters under test to fit the memory
    found.endpoint_metrics = True
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
