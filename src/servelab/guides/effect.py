"""Which variables change what a scenario deploys: an experiment over any other would repeat one treatment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from servelab.catalog.guides import PREFIX, scenarios
from servelab.guides.config import ROLES, GuideConfig, Role, Stage
from servelab.guides.experiment import Variation, check, variable
from servelab.guides.parse import GuideError

COMMON = "VLLM_COMMON_"
_STAGE = re.compile(r"VLLM_MODELSERVICE_(DECODE|PREFILL)_(\w+)")
_REFERENCE = re.compile(rf"(?:REPLACE_ENV_|\$\{{?){PREFIX}(\w+)")
_EXPORT = re.compile(rf"(?m)^export {PREFIX}(\w+)=")
_FROM_CHART = {
    "TENSOR_PARALLELISM": "TP_SIZE",
    "DATA_PARALLELISM": "DP_SIZE",
    "DATA_LOCAL_PARALLELISM": "DP_SIZE_LOCAL",
}
"""What the chart puts into a stage's environment, unless the guide does so itself."""
_OF_COMMAND = (*_FROM_CHART, "NUM_WORKERS_PARALLELISM", "ACCELERATOR_MEM_UTIL", "SHM_MEM")
"""What counts for a stage only where its command, its volumes or its group of pods take it."""
_OF_ALL = ("MAX_MODEL_LEN", "BLOCK_SIZE", *(name for name in _OF_COMMAND if name.endswith("PARALLELISM")))


def with_effect(variations: Sequence[Variation], config: GuideConfig, scenario: str) -> tuple[Variation, ...]:
    """What varies, by the names that the scenario reads: ``tp`` is that of the only stage that has one.

    Raises:
        GuideError: nothing in the scenario reads it, or several stages have one of their own.
    """
    read = _read(variations, config, scenario)
    found = tuple(_meant(one, read) for one in variations)
    check(found)
    return found


def _meant(one: Variation, read: set[str]) -> Variation:
    name = variable(one.parameter)
    if name is None or name in read or not _is_checked(name):
        return one
    own = [f"{role}_{name.removeprefix(COMMON).lower()}" for role in ROLES]
    own = [each for each in own if variable(each) in read] if name.startswith(COMMON) else []
    if len(own) == 1 and "common" not in one.parameter.lower():
        return replace(one, parameter=own[0])
    if own:
        raise GuideError(
            f"{one.parameter}: nothing in this scenario reads {PREFIX}{name}; each stage has its own",
            f"Vary {' or '.join(own)}.",
        )
    raise GuideError(
        f"{one.parameter}: nothing in this scenario reads {PREFIX}{name}, so all treatments would be the same",
        f"Set it in the guide, or vary what the scenario reads: {', '.join(_shown(read)) or 'its workload'}, ….",
    )


def _is_checked(name: str) -> bool:
    """Whether a variable is one of a stage, or stands for those of the stages."""
    if not name.startswith(COMMON):
        return _STAGE.fullmatch(name) is not None
    short = name.removeprefix(COMMON)
    own = scenarios().defaults.get(f"VLLM_MODELSERVICE_DECODE_{short}", "")
    return short in _OF_ALL or name in _REFERENCE.findall(own)


def _shown(read: set[str]) -> Iterator[str]:
    """Replicas, and what can vary of commands, as a user writes it."""
    for name in sorted(read):
        short = name.removeprefix(COMMON).removeprefix("VLLM_MODELSERVICE_")
        if short.removeprefix("DECODE_").removeprefix("PREFILL_") in ("REPLICAS", *_OF_COMMAND, *_OF_ALL):
            yield short.lower()


def _read(variations: Sequence[Variation], config: GuideConfig, scenario: str) -> set[str]:
    """The variables that a chart, a command or a file of the scenario takes, maybe through others' defaults."""
    varied = {name: one.levels for one in variations if (name := variable(one.parameter))}
    values = {**scenarios().defaults, **_values(scenario)}
    if any("standalone" in level for level in varied.get("DEPLOY_METHODS", ())):
        return set(values)  # every common variable is one of the pods without a chart
    waiting = [name for role in ROLES for name in _of_stage(role, config, values, varied)]
    read: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in read:
            read.add(name)
            waiting += [] if name in varied else _REFERENCE.findall(values.get(name, ""))
    return {name for name in read if not name.startswith(COMMON) or _of_every_stage(name, read, values)}


def _of_every_stage(name: str, read: set[str], values: Mapping[str, str]) -> bool:
    """Whether no stage that reads one of its own has another value than the common one."""
    own = (f"VLLM_MODELSERVICE_{role.upper()}_{name.removeprefix(COMMON)}" for role in ROLES)
    return not _is_checked(name) or all(name in values.get(each, "") for each in own if each in read)


def _values(scenario: str) -> dict[str, str]:
    """What stands below each export, up to the next one."""
    _, *parts = _EXPORT.split(scenario)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _of_stage(
    role: Role, config: GuideConfig, values: Mapping[str, str], varied: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    """The variables that the chart takes for a stage, where there is one."""
    base = f"VLLM_MODELSERVICE_{role.upper()}_"
    stage: Stage | None = getattr(config, role)
    if values.get(f"{base}REPLICAS", "").split("#")[0].strip() == "0" and f"{base}REPLICAS" not in varied:
        return
    command = values.get(f"{base}EXTRA_ARGS", "")
    for name in values:
        short = name.removeprefix(base)
        if short == name:
            continue
        if short in _FROM_CHART:
            fixed = stage is not None and stage.environment(_FROM_CHART[short]) is not None
            if not fixed and re.search(rf"\$[{{(]?{_FROM_CHART[short]}\b", command):
                yield name
        elif short == "NUM_WORKERS_PARALLELISM":
            if config.spans_nodes or "VLLM_MODELSERVICE_MULTINODE" in varied:
                yield name
        elif short not in _OF_COMMAND:
            yield name
