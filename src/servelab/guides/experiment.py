"""Write experiments: what varies, in which steps, and every treatment."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from servelab.catalog.guides import PREFIX, scenarios
from servelab.catalog.nearest import suggestion
from servelab.guides.parse import GuideError
from servelab.guides.tree import Node, Scalar, dump, scalar_of
from servelab.guides.workload import Workload

MOST_TREATMENTS = 10_000
_SHORT = {
    "tp": "tensor_parallelism",
    "tensor": "tensor_parallelism",
    "dp": "data_parallelism",
    "data": "data_parallelism",
    "dp_local": "data_local_parallelism",
    "data_local": "data_local_parallelism",
    "workers": "num_workers_parallelism",
    "cpu": "cpu_nr",
    "memory": "cpu_mem",
    "shm": "shm_mem",
    "gpu_memory_utilization": "accelerator_mem_util",
}
_ALIASES = {
    "plugins": "VLLM_MODELSERVICE_GAIE_PLUGINS_CONFIGFILE",
    "plugins_config": "VLLM_MODELSERVICE_GAIE_PLUGINS_CONFIGFILE",
    "model": "DEPLOY_MODEL_LIST",
    "deploy_method": "DEPLOY_METHODS",
}
_PREFIXES = ("", "VLLM_MODELSERVICE_", "VLLM_COMMON_", "VLLM_", "LLMD_")
RUN_FACTORS = (
    "burstiness", "concurrency", "dataset-name", "data_split", "input_len", "max-concurrency", "max_seconds",
    "num-prompts", "num_groups", "num_prompts", "num_prompts_per_group", "num_unique_system_prompts", "num_workers",
    "num_users_per_system_prompt", "output_len", "output_tokens", "prompt_tokens", "question_len", "random-input-len",
    "random-output-len", "rate", "request-rate", "streaming", "system_prompt_len", "worker_max_concurrency",
)  # fmt: skip
"""What profiles of workloads vary."""

Part = Literal["setup", "run"]


@dataclass(frozen=True)
class Variation:
    """One thing that varies, and its levels as text."""

    parameter: str
    levels: tuple[str, ...]

    @property
    def part(self) -> Part:
        """Whether it changes what is deployed, or the load on it."""
        return "setup" if variable(self.parameter) else "run"

    @property
    def factor(self) -> str:
        """Its name in an experiment: the variable, or the profile's parameter."""
        found = variable(self.parameter)
        return PREFIX + found if found else self.parameter.rpartition(".")[2]

    @property
    def key(self) -> str:
        """Its place in a declarative scenario, empty where it has none, or in the workload's profile."""
        found = variable(self.parameter)
        if found:
            return _path(found)
        return scenarios().run_paths.get(self.parameter, self.parameter)


def variable(parameter: str) -> str | None:
    """The variable (without its prefix) that a parameter means: ``decode_replicas``, ``decode.parallelism.tensor``."""
    name = re.sub(r"[.\-\s]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", parameter.strip())).lower().lstrip("_")
    name = name.removeprefix("llmdbench_")
    if name in _ALIASES:
        return _ALIASES[name]
    role, _, rest = name.partition("_")
    if role in ("decode", "prefill"):
        rest = rest.removeprefix("parallelism_")
        rest = _SHORT.get(rest, rest)
        name = f"{role}_{rest}"
    else:
        name = _SHORT.get(name, name)
    candidates = (prefix + name.upper() for prefix in _PREFIXES)
    return next((one for one in candidates if scenarios().known(one)), None)


def check(variations: Sequence[Variation]) -> int:
    """How many treatments a full product has.

    Raises:
        GuideError: a parameter is unknown or named twice, or there are too many treatments.
    """
    for one in variations:
        if one.part == "run" and one.parameter not in (*RUN_FACTORS, *scenarios().run_paths.values()):
            known = [name.lower() for name in _names()] + list(RUN_FACTORS)
            raise GuideError(
                f"nothing that can vary is called {one.parameter!r}{suggestion(one.parameter, known)}",
                "Name a variable of the scenario (decode_replicas, max_model_len, …), or a parameter of the profile "
                f"({', '.join(RUN_FACTORS[:6])}, …).",
            )
    factors = [one.factor for one in variations]
    if len(set(factors)) < len(factors):
        raise GuideError("a parameter varies twice", "Give each one once, with all its levels.")
    count = math.prod(len(one.levels) for one in variations)
    if count > MOST_TREATMENTS:
        raise GuideError(f"{count:,} treatments are too many", f"Vary less: at most {MOST_TREATMENTS:,}.")
    return count


def legacy(variations: Sequence[Variation]) -> str:
    """The experiment beside a shell scenario."""
    lines = []
    for part in ("setup", "run"):
        own = [one for one in variations if one.part == part]
        if not own and not (part == "setup" and not variations):
            continue
        lines += [f"{part}:", "  factors:" + (" []" if not own else "")]
        lines += [f"    - {one.factor}" for one in own]
        lines += ["  levels:" + (" {}" if not own else "")]
        lines += [f"    {one.factor}: {_quoted(','.join(one.levels))}" for one in own]
        lines += ["  treatments:" + (" []" if not own else "")]
        lines += [f"    - {_quoted(','.join(levels))}" for levels in _product(own)]
    return "\n".join(lines) + "\n"


def declarative(name: str, variations: Sequence[Variation], workload: Workload) -> str:
    """The experiment beside a declarative scenario.

    Raises:
        GuideError: something that varies has no place there.
    """
    if (lost := next((one for one in variations if not one.key), None)) is not None:
        raise GuideError(
            f"{lost.parameter}: a declarative scenario has no place for {lost.factor}", "Convert with --format legacy."
        )
    setup = [one for one in variations if one.part == "setup"]
    run = [one for one in variations if one.part == "run"]
    counts = [math.prod(len(one.levels) for one in own) for own in (setup, run)]
    lines = [
        "experiment:",
        f"  name: {name}",
        f"  harness: {workload.harness}",
        f"  profile: {workload.profile}",
        "",
        "design:",
        "  type: full_factorial",
    ]
    for part, own in (("setup", setup), ("run", run)):
        if own:
            lines += [f"  {part}:", "    factors:"]
            for one in own:
                levels = ", ".join(_yaml(level) for level in one.levels)
                lines += [
                    f"      - name: {_slug(one.parameter)}",
                    f"        key: {one.key}",
                    f"        levels: [{levels}]",
                ]
    lines += [f"  total_setup_treatments: {counts[0]}", f"  total_run_treatments: {counts[1]}"]
    lines += [f"  total_matrix: {counts[0] * counts[1]}"]
    if setup:
        lines += ["", "setup:", "  treatments:", *_treatments(setup, "    ")]
    if run:
        lines += ["", "treatments:", *_treatments(run, "  ")]
    return "\n".join(lines) + "\n"


def _treatments(own: Sequence[Variation], indent: str) -> Iterator[str]:
    for levels in _product(own):
        pairs = list(zip(own, levels, strict=True))
        yield f"{indent}- name: {'-'.join(_slug(f'{one.parameter}-{level}') for one, level in pairs)}"
        yield from (f"{indent}  {one.key}: {_yaml(level)}" for one, level in pairs)


def _product(own: Sequence[Variation]) -> Iterator[tuple[str, ...]]:
    return itertools.product(*(one.levels for one in own)) if own else iter(())


def _path(found: str) -> str:
    if found == "DEPLOY_METHODS":
        return "deploy_method"
    for field in scenarios().fields.values():
        for role in ("decode", "prefill"):
            if field.path and field.variable.replace("STAGE", role.upper()) == found:
                return ".".join(role if part == "stage" else part for part in field.path.split("."))
    return ""


def _names() -> Iterator[str]:
    for name in scenarios().defaults:
        for prefix in _PREFIXES[1:]:
            if name.startswith(prefix):
                yield name.removeprefix(prefix)
                break


def _quoted(text: str) -> str:
    return dump(Node(Scalar(text, style='"'))).strip()


def _yaml(text: str) -> str:
    return dump(Node(scalar_of(text))).split("\n")[0].strip()


def _slug(text: str) -> str:
    return re.sub(r"[^a-zA-Z0-9]+", "-", text).strip("-").lower()
