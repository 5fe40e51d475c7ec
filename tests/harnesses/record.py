"""Records a harness's raw output for tests: ``python -m tests.harnesses.record NAME``, into ``recorded/NAME/``.

The harness is really run against the simulated engine, as in test_external.py, with fewer requests. What it wrote is
kept as it is, but for paths of this machine, with the engine's own counts beside it as ``truth.json``.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.harness.words import write_tokenizer
from servelab.harnesses.base import harness
from servelab.harnesses.external.environments import require
from servelab.harnesses.external.recipes import recipe
from servelab.platforms.ports import free_port
from tests.harnesses.real import closed, engine, job, truth

RECORDED = Path(__file__).parent / "recorded"
REQUESTS = 12

FILES = {
    "guidellm": ("guidellm.json",),
    "inference-perf": (
        "inference-perf/config.yaml",
        "inference-perf/per_request_lifecycle_metrics.json",
        "inference-perf/stage_0_lifecycle_metrics.json",
        "inference-perf/stage_1_lifecycle_metrics.json",
    ),
    "aiperf": ("aiperf/profile_export.jsonl", "aiperf/profile_export_aiperf.json"),
    "genai-bench": ("genai-bench/experiment_metadata.json", "genai-bench/*_num_concurrency_*.json"),
    "vllm-bench": ("vllm-bench.json",),
}


def main(name: str) -> None:
    """Run it, and keep what it wrote."""
    kept = RECORDED / name
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as directory, engine(free_port()) as url:
        place = Path(directory) / "job"
        words = write_tokenizer(Path(directory) / "words", name, require(recipe(name)).program)
        asked = job(name, place, url, words, closed(requests=REQUESTS))
        asyncio.run(harness(name, {}).measure(asked, lambda progress: None))
        (kept / "truth.json").write_text(json.dumps(truth(url), indent=1) + "\n", encoding="utf-8")
        for pattern in FILES[name]:
            for file in place.glob(pattern):
                text = file.read_text(encoding="utf-8").replace(directory, "").replace(str(Path.home()), "~")
                (kept / file.name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
