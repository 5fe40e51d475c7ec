"""Convert a guide: read it, and write scenarios and experiments."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from servelab.guides import declarative, experiment, legacy
from servelab.guides.config import GuideConfig
from servelab.guides.experiment import Variation
from servelab.guides.fetch import Fetcher
from servelab.guides.guide import Guide, read_guide
from servelab.guides.parse import GuideError
from servelab.guides.words import Asked
from servelab.guides.workload import Workload, workload

Format = Literal["legacy", "declarative", "both"]


@dataclass(frozen=True)
class File:
    """A file to write: its path below the directory of llm-d-benchmark, its text, and what it is."""

    path: str
    text: str
    kind: Literal["Scenario", "Experiment"]


@dataclass(frozen=True)
class Conversion:
    """What a guide became."""

    config: GuideConfig
    files: tuple[File, ...]
    variants: tuple[str, ...]
    variant: str
    treatments: int
    """Of the experiment; 0 where nothing varies."""
    warnings: tuple[str, ...]

    @property
    def runnable(self) -> bool:
        """Whether the scenario names a model."""
        return bool(self.config.model_id)


def convert(
    given: str,
    asked: Asked | None = None,
    *,
    variant: str = "",
    name: str = "",
    form: Format = "legacy",
    explicit: bool = False,
    with_experiment: bool = False,
    fetcher: Fetcher | None = None,
    use_tool: bool = True,
) -> Conversion:
    """Convert the guide at a path or an address; nothing is written.

    Raises:
        GuideError: the guide cannot be read, or what is asked for is none.
    """
    asked = asked or Asked()
    load = workload(asked.harness, asked.profile) if asked.harness else Workload()
    treatments = experiment.check(asked.variations)
    guide = read_guide(given, variant, name, fetcher, use_tool)
    config = replace(guide.config, warnings=tuple(_warnings(guide, load)))
    files = []
    if form != "declarative":
        text = legacy.scenario(config, load, explicit)
        files.append(File(f"scenarios/guides/{config.name}.sh", text, "Scenario"))
    if form != "legacy":
        text = declarative.scenario(config, load)
        files.append(File(f"config/scenarios/guides/{config.name}.yaml", text, "Scenario"))
    if asked.variations or with_experiment:
        files += _experiments(config.name, asked.variations, load, form)
    count = treatments if asked.variations else 0
    return Conversion(config, tuple(files), guide.variants, guide.variant, count, config.warnings)


def _experiments(name: str, variations: Sequence[Variation], load: Workload, form: Format) -> list[File]:
    made = []
    if form != "declarative":
        made.append(File(f"experiments/{name}.yaml", experiment.legacy(variations), "Experiment"))
    if form != "legacy":
        path = f"workload/experiments/{name}.yaml"
        made.append(File(path, experiment.declarative(name, variations, load), "Experiment"))
    return made


def _warnings(guide: Guide, load: Workload) -> list[str]:
    config = guide.config
    warnings = list(config.warnings)
    if load.note:
        warnings.append(load.note)
    if not config.model_id:
        warnings.append(f"{config.title}: no model is named anywhere; the scenario refuses to run until you name one")
    images = {stage.image.text: stage for stage in config.stages if stage.image is not None}
    if len(images) > 1:
        warnings.append(f"the stages have different images ({', '.join(images)}); a scenario has one: decode's")
    warnings += _differences(config)
    return warnings


def _differences(config: GuideConfig) -> list[str]:
    """Where the stages differ in what one variable says for both."""
    found = []
    for flag in ("--max-model-len", "--block-size"):
        values = {one.value for stage in config.stages if stage.command and (one := stage.command.flag(flag))}
        if len(values) > 1:
            found.append(f"the stages differ in {flag}; decode's is the variable, prefill's is written out")
    for what in ("schedulerName", "annotations"):
        nodes = [stage.scheduler if what == "schedulerName" else stage.annotations for stage in config.stages]
        said = dict.fromkeys(json.dumps(node.plain()) if node else "none" for node in nodes)
        if len(said) > 1:
            found.append(f"the stages differ in {what} ({' and '.join(said)}); a scenario has one for both")
    for stage in config.stages:
        if stage.command is not None and stage.command.unread:
            found.append(f"{stage.role}: its script starts no `vllm serve`; it is copied as it is")
        flag_value = stage.command.flag("--tensor-parallel-size") if stage.command else None
        own = stage.parallelism.get("tensor")
        literal = flag_value is not None and flag_value.value is not None and flag_value.value.isdecimal()
        if flag_value is not None and own is not None and literal and flag_value.value != own.text:
            found.append(f"{stage.role}: --tensor-parallel-size {flag_value.value} and parallelism {own.text} differ")
    return found


def write(conversion: Conversion, directory: Path) -> list[Path]:
    """Write the files below a directory; what was there is replaced only when all texts are ready.

    Raises:
        GuideError: a file cannot be written.
    """
    written = []
    for file in conversion.files:
        path = directory / file.path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f".{path.name}.part")
            draft.write_text(file.text, encoding="utf-8")
            draft.replace(path)
        except OSError as error:
            raise GuideError(
                f"{path}: cannot be written: {error.strerror}", "Give another directory with --out."
            ) from None
        written.append(path)
    return written
