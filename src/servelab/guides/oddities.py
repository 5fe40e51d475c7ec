"""What is odd about a guide: it stays as it is, and is told."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from servelab.catalog.guides import scenarios
from servelab.guides.config import GuideConfig, Stage

_DECIMAL = re.compile(r"\d+(\.\d+)?[kMGT]")


def oddities(config: GuideConfig) -> Iterator[str]:
    """What a reader of the scenario should know, a line each."""
    if not config.model_id:
        yield f"{config.title}: no model is named anywhere; the scenario refuses to run until you name one"
    deployed = [stage for stage in config.stages if stage.create is None or stage.create.true]
    yield from _shared(deployed)
    for stage in deployed:
        yield from _of_stage(stage, config.model_id)
    kind, named = config.accelerator, any(stage.accelerators is not None for stage in deployed)
    if kind is not None and not named and kind.text not in (*scenarios().accelerators, "cpu"):
        yield f"accelerator.type {kind.text} is none whose resource is known; the scenario's ACCELERATOR_RESOURCE is it"


def _shared(stages: list[Stage]) -> Iterator[str]:
    """Where stages differ in what one variable says for all."""
    images = dict.fromkeys(stage.image.text for stage in stages if stage.image is not None)
    if len(images) > 1:
        yield f"the stages have different images ({', '.join(images)}); a scenario has one: decode's"
    for flag in ("--max-model-len", "--block-size"):
        values = {one.value for stage in stages if stage.command and (one := stage.command.flag(flag))}
        if len(values) > 1:
            yield f"the stages differ in {flag}; decode's is the variable, prefill's is written out"
    for what in ("schedulerName", "annotations"):
        nodes = [stage.scheduler if what == "schedulerName" else stage.annotations for stage in stages]
        said = dict.fromkeys(json.dumps(node.plain()) if node else "none" for node in nodes)
        if len(said) > 1:
            yield f"the stages differ in {what} ({' and '.join(said)}); a scenario has one for both"


def _of_stage(stage: Stage, model: str) -> Iterator[str]:
    for what, amount in (("memory", stage.memory), ("shared memory", stage.shared_memory)):
        if amount is not None and _DECIMAL.fullmatch(amount.text):
            yield f"{stage.role}: {what} {amount.text} is in powers of ten, and {amount.text}i would be in those of two"
    if stage.command is None:
        return
    if stage.command.unread:
        yield f"{stage.role}: its script starts no `vllm serve`; it is copied as it is"
    if stage.command.stray:
        yield f"{stage.role}: its command has words of no flag, which are left out: {' '.join(stage.command.stray)}"
    served = stage.command.flag("--model")
    for named in (stage.command.model, served.value if served else None):
        if named and "$" not in named and not named.startswith("/model-cache/") and named != model:
            yield f"{stage.role}: its command serves {named}; the scenario serves {model}"
    flag, own = stage.command.flag("--tensor-parallel-size"), stage.parallelism.get("tensor")
    if flag and own and flag.value and flag.value.isdecimal() and flag.value != own.text:
        yield f"{stage.role}: --tensor-parallel-size {flag.value} and parallelism {own.text} differ"
