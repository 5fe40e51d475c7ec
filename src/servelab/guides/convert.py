"""Convert a guide: read it, and write scenarios and experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from servelab.guides import declarative, experiment, legacy
from servelab.guides.config import GuideConfig
from servelab.guides.effect import with_effect
from servelab.guides.experiment import Variation
from servelab.guides.fetch import Fetcher
from servelab.guides.guide import read_guide
from servelab.guides.heredoc import lines_of
from servelab.guides.line import Line, lines
from servelab.guides.oddities import oddities
from servelab.guides.parse import GuideError
from servelab.guides.place import Found, Reading, place_of
from servelab.guides.words import Asked
from servelab.guides.workload import Workload, workload

Format = Literal["legacy", "declarative", "both"]


@dataclass(frozen=True)
class File:
    """A file to write: its path below the directory of llm-d-benchmark, its lines, and what it is."""

    path: str
    lines: tuple[Line, ...]
    kind: Literal["Scenario", "Experiment"]
    form: Literal["legacy", "declarative"]

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join(line.text for line in self.lines) + "\n"


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
    sources: Mapping[str, str] = field(default_factory=dict)
    """The texts of the guide's files that lines are from, by the names that comments use."""

    @property
    def runnable(self) -> bool:
        """Whether the scenario names a model."""
        return bool(self.config.model_id)


def convert(
    given: str | Found,
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
    """Convert the guide at a path, an address, or of a place that is known already; nothing is written.

    Raises:
        GuideError: the guide cannot be read, or what is asked for is none.
    """
    asked = asked or Asked()
    load = workload(asked.harness, asked.profile) if asked.harness else Workload()
    treatments = experiment.check(asked.variations)
    place, path = place_of(given, fetcher) if isinstance(given, str) else given
    reading = Reading(place)
    guide = read_guide(reading, path, variant, name, use_tool)
    config = replace(
        guide.config, warnings=(*guide.config.warnings, *([load.note] if load.note else []), *oddities(guide.config))
    )
    files = []
    if form != "declarative":
        made = legacy.scenario(config, load, explicit)
        files.append(File(f"scenarios/guides/{config.name}.sh", made, "Scenario", "legacy"))
    if form != "legacy":
        made = declarative.scenario(config, load)
        files.append(File(f"config/scenarios/guides/{config.name}.yaml", made, "Scenario", "declarative"))
    if asked.variations or with_experiment:
        text = "\n".join(line.text for line in legacy.scenario(config, load, explicit or form == "declarative"))
        files += _experiments(config.name, with_effect(asked.variations, config, text), load, form)
    count = treatments if asked.variations else 0
    found = tuple(replace(file, lines=_from_guide(file.lines, reading.texts)) for file in files)
    sources = _sources(config, found, reading.texts)
    return Conversion(config, found, guide.variants, guide.variant, count, config.warnings, sources)


def _from_guide(given: Sequence[Line], texts: Mapping[str, str]) -> tuple[Line, ...]:
    """The lines with those sources alone that are in the guide: some of what is written is ours."""
    return tuple(replace(one, spans=tuple(span for span in one.spans if span.file in texts)) for one in given)


def _sources(config: GuideConfig, files: Sequence[File], texts: Mapping[str, str]) -> dict[str, str]:
    """What a reader looks into: the guide's files, and all others that a line is from."""
    named = [span.file for file in files for line in file.lines for span in line.spans]
    return {name: texts[name] for name in dict.fromkeys((*config.files, *named)) if name in texts}


def _experiments(name: str, variations: Sequence[Variation], load: Workload, form: Format) -> list[File]:
    made = []
    if form != "declarative":
        made.append(_experiment(f"experiments/{name}.yaml", experiment.legacy(variations), "legacy"))
    if form != "legacy":
        path = f"workload/experiments/{name}.yaml" if made else f"experiments/{name}.yaml"
        made.append(_experiment(path, experiment.declarative(name, variations, load), "declarative"))
    return made


def _experiment(path: str, text: str, form: Literal["legacy", "declarative"]) -> File:
    """What varies is the request's, and not the guide's: its lines are from nowhere in it."""
    return File(path, tuple(lines(lines_of(text))), "Experiment", form)


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
