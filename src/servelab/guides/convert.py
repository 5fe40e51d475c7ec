"""Convert a guide: read it, and write scenarios and experiments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from servelab.guides import declarative, experiment, legacy
from servelab.guides.config import GuideConfig
from servelab.guides.experiment import Variation
from servelab.guides.fetch import Fetcher
from servelab.guides.guide import read_guide
from servelab.guides.oddities import oddities
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
    config = replace(
        guide.config, warnings=(*guide.config.warnings, *([load.note] if load.note else []), *oddities(guide.config))
    )
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
        path = f"workload/experiments/{name}.yaml" if made else f"experiments/{name}.yaml"
        made.append(File(path, experiment.declarative(name, variations, load), "Experiment"))
    return made


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
