"""An engine as rules for the values of the llm-d modelservice chart.

The chart (templates/_helpers.tpl) starts ``vllm serve`` with model, port and parallelism by itself; any other engine
is a command of the values.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from servelab.engines.flags import flags
from servelab.spec.base import Parameters
from servelab.spec.model import EngineConfig

CONTAINER = 'decode.containers[name="vllm"]'
"""The engine's container in the values, whichever engine it runs."""

MODEL_PATH = "/model-cache/models/$(params.model)"
"""Where the chart mounts what download-model has fetched."""


@dataclass(frozen=True)
class Started:
    """How the chart starts an engine."""

    image: str
    tag: str
    """The default version's."""
    parallelism: str
    """The parameter that is the chart's own tensor parallelism."""
    command: tuple[str, ...] = ()
    """Empty where the chart knows it."""
    negatives: bool = True
    """Whether switches that the catalog does not know are turned off by --no-NAME."""


STARTED = {
    "vllm": Started("vllm/vllm-openai", "v0.11.0", "tensor_parallel_size"),
    "sglang": Started(
        "lmsysorg/sglang", "v0.5.12", "tp_size", ("python3", "-m", "sglang.launch_server"), negatives=False
    ),
}


def engine_rules(engine: EngineConfig) -> Iterator[str]:
    """Rules for every deployment of ``engine``: image, command, environment, resources."""
    started = STARTED[engine.name]
    version = f"v{engine.version.removeprefix('v')}" if engine.version else started.tag
    image = engine.image or f"{started.image}:{version}"
    if engine.image or engine.version or started.command:
        yield f"{CONTAINER}.image={image}"
    if started.command:
        # What is installed before vLLM starts is vLLM's.
        yield "decode.initContainers=[]"
        yield f"{CONTAINER}.modelCommand=custom"
        yield f"{CONTAINER}.command={json.dumps(started.command)}"
        named = {"model-path": MODEL_PATH, "served-model-name": "$(params.model)", "host": "0.0.0.0", "port": 8000}  # noqa: S104
        yield from (f"{CONTAINER}.args=--{name}={value}" for name, value in named.items())
        yield f"{CONTAINER}.args=--enable-metrics"
    elif engine.image or engine.version:
        yield f"decode.initContainers[0].image={image}"
    for name, value in engine.environment.items():
        yield f'{CONTAINER}.env[name="{name}"].value={json.dumps(value)}'
    memory = engine.resources.memory_gb
    for name, amount in (("cpu", engine.resources.cpus), ("memory", memory and f"{memory:g}G")):
        if amount:
            yield f"{CONTAINER}.resources.limits.{name}={json.dumps(str(amount))}"
            yield f"{CONTAINER}.resources.requests.{name}={json.dumps(str(amount))}"


def argument_rules(engine: str, arguments: Parameters) -> Iterator[str]:
    """A rule for each argument."""
    started = STARTED[engine]
    for name, value in arguments.items():
        words = flags(engine, {name: value}, negatives=started.negatives)
        if words:
            yield f"{CONTAINER}.args={'='.join(words)}"
