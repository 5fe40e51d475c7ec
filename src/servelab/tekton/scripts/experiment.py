#!/usr/bin/env python3
"""Writes exp-config.yaml and vllm_logging.json into the results directory of an experiment."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NUMBERS = {
    "tensor_parallelism": "TP",
    "max_model_len": "MAX_MODEL_LEN",
    "max_num_batched_tokens": "MAX_NUM_BATCHED_TOKENS",
    "max_num_seqs": "MAX_NUM_SEQS",
}


def configuration(variables: Mapping[str, str]) -> dict[str, Any]:
    """What is tried, by the names that the data's readers know.

    Raises:
        ValueError: the further settings are no JSON object.
    """
    found: dict[str, Any] = {"model": variables["MODEL"]}
    for name, variable in NUMBERS.items():
        text = variables[variable]
        found[name] = int(text) if text.isdigit() else text
    found["app"] = variables["APP"]
    extra = json.loads(variables.get("EXTRA") or "{}")
    if not isinstance(extra, dict):
        raise ValueError("EXTRA is no JSON object")
    return {**found, **extra}


def logging(file: str) -> dict[str, Any]:
    """A logging configuration of Python that sends vLLM's log to ``file``, and shows it as well."""
    handlers = {
        "file": {"class": "logging.FileHandler", "filename": file, "formatter": "line"},
        "screen": {"class": "logging.StreamHandler", "formatter": "line"},
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
        "handlers": handlers,
        "loggers": {"vllm": {"handlers": list(handlers), "level": "INFO", "propagate": False}},
    }


def main() -> None:
    """Write both files below DATA."""
    name = os.environ["RESULTS"]
    if not name or name.startswith("/") or ".." in name.split("/"):
        sys.exit(f"experiment: {name!r} is no directory in the workspace")
    directory = Path(os.environ["DATA"], name)
    directory.mkdir(parents=True, exist_ok=True)
    # The engine, which may be another user, writes its log and traces here.
    directory.chmod(0o777)
    try:
        found = configuration(os.environ)
    except ValueError as error:
        sys.exit(f"experiment: {error}")
    # JSON strings and numbers are YAML as they are.
    text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in found.items())
    (directory / "exp-config.yaml").write_text(text, encoding="utf-8")
    log = f"{os.environ['MOUNT']}/{name}/vllm.log"
    (directory / "vllm_logging.json").write_text(json.dumps(logging(log), indent=2), encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
