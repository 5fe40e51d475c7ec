#!/usr/bin/env python3
"""Writes the configuration of inference-perf's warm-up: that of PROFILE with the one stage of WARMUP, to OUT.

Its reports go to the directory KEEP, apart from those that count; and it has seeds of its own, since prompts that were
sent before would be found in the engine's cache. Without WARMUP nothing is written.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any


def warm(profile: dict[str, Any], stage: dict[str, Any], directory: str) -> dict[str, Any]:
    """A copy of the configuration with the stage alone."""
    made: dict[str, Any] = json.loads(json.dumps(profile))
    load = made.setdefault("load", {})
    load |= {"stages": [stage], "base_seed": int(load.get("base_seed") or 0) + 1}
    shared = (made.get("data") or {}).get("shared_prefix")
    if shared:
        shared["seed"] = int(shared.get("seed") or 0) + 1
    made.setdefault("storage", {})["local_storage"] = {"path": directory}
    return made


def main() -> None:
    """Write the file."""
    if not os.environ["WARMUP"]:
        print("no warm-up")
        return
    try:
        profile = json.loads(Path(os.environ["PROFILE"]).read_text(encoding="utf-8"))
        made = warm(profile, json.loads(os.environ["WARMUP"]), os.environ["KEEP"])
    except (OSError, ValueError) as error:
        sys.exit(f"warm: {error}")
    Path(os.environ["OUT"]).write_text(json.dumps(made, indent=2), encoding="utf-8")
    print(json.dumps(made["load"], indent=2))


if __name__ == "__main__":
    main()
