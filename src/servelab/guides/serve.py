"""The command line that a scenario starts a stage with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from servelab.catalog.guides import scenarios
from servelab.guides.command import Flag
from servelab.guides.config import Role, Stage, image_of
from servelab.guides.setting import Setting
from servelab.guides.tree import Span

OWN = ("--host", "--port", "--served-model-name", "--model")
ANY_HOST = "0.0.0.0"  # noqa: S104 - of a pod
IMAGE_DEFAULT = "imageDefault"
CUSTOM = "custom"


class Words(Protocol):
    """How a kind of scenario names what its command lines share with its settings."""

    model: str
    """The model's directory below /model-cache."""
    name: str
    """The name it is served under."""

    def preprocess(self, role: Role) -> str:
        """The command that comes first."""
        ...

    def port(self, role: Role) -> str:
        """The port that vLLM listens on."""
        ...

    def field(self, field: str, role: Role) -> str:
        """The value of a field."""
        ...


@dataclass(frozen=True)
class Start:
    """A stage's command: lines of a script, each of parts that a scenario writes one below another."""

    kind: str
    lines: tuple[tuple[str, ...], ...]
    left_out: tuple[Flag, ...] = ()
    """What LeaderWorkerSets set by themselves."""
    notes: tuple[str, ...] = ()
    origins: Mapping[str, Span] = field(default_factory=dict)
    """Where parts that are flags of the guide stand in it."""

    @property
    def script(self) -> str:
        """The script, without continued lines."""
        return "\n".join(" ".join(parts) for parts in self.lines)


def start(stage: Stage, given: list[Setting], multinode: bool, words: Words) -> Start | None:
    """How a scenario starts the stage; None where the guide does not say what it runs."""
    command = stage.command
    if command is None:
        return None
    if _starts_by_itself(stage):
        return Start(IMAGE_DEFAULT, (tuple(word for flag in command.flags for word in _plain_words(flag)),))
    preprocess = f"{words.preprocess(stage.role)};"
    if command.unread:
        first, *rest = command.unread.split("\n")
        return Start(CUSTOM, ((preprocess, first), *((line,) for line in rest)))
    values = {(one.field, one.role): one.text for one in given if one.value.scalar is not None}
    automatic = scenarios().automatic_with_multinode if multinode else ()
    left_out = tuple(one for one in command.flags if one.name in automatic)
    flags = [one for one in command.flags if one not in left_out and one.name not in OWN]
    written = [(_flag(one, stage, values, words), one.span) for one in flags]
    parts = [*_beginning(stage, words), *(text for text, _ in written)]
    has_flag = any(one.name == "--tensor-parallel-size" for one in flags)
    if not has_flag and _chart_adds_flags(stage) and ("stage.tensor", stage.role) in values:
        parts.append(f"--tensor-parallel-size {words.field('stage.tensor', stage.role)}")
    if command.postamble:
        first, *rest = command.postamble.split("\n")
        parts.append(first)
    else:
        rest = []
    *before, own = command.preamble.split("\n")
    parts[0] = f"{own.strip()} {parts[0]}".lstrip()
    head = (
        [(preprocess, before[0]), *((line,) for line in before[1:]), tuple(parts)] if before else [(preprocess, *parts)]
    )
    origins = {text: span for text, span in written if span is not None}
    return Start(CUSTOM, (*head, *((line,) for line in rest)), left_out, tuple(_notes(stage)), origins)


def _beginning(stage: Stage, words: Words) -> list[str]:
    assert stage.command is not None
    host = stage.command.flag("--host")
    name = stage.command.flag("--served-model-name")
    own_name = name.raw if name and name.value and name.value != stage.command.model else ""
    return [
        f"vllm serve /model-cache/{words.model}",
        f"--host {host.raw if host and host.value else ANY_HOST}",
        f"--served-model-name {words.name} {own_name}".rstrip(),
        f"--port {words.port(stage.role)}",
    ]


def _notes(stage: Stage) -> list[str]:
    assert stage.command is not None
    notes = []
    port = stage.command.flag("--port")
    if port is not None and port.value:
        where = f" ({port.span})" if port.span else ""
        notes.append(f"the guide's port {port.value}{where} is llm-d-benchmark's own here")
    return notes


def _flag(flag: Flag, stage: Stage, values: Mapping[tuple[str, Role | None], str], words: Words) -> str:
    field = scenarios().flags.get(flag.name)
    if flag.value is None:
        return flag.written
    if field is not None:
        role = stage.role if field.startswith("stage.") else None
        own = values.get((field, role))
        if own is not None and _same(flag.value, own, stage):
            return f"{flag.written}{flag.sign}{words.field(field, stage.role)}"
    return f"{flag.written}{flag.sign}{_one_line(flag)}"


def _starts_by_itself(stage: Stage) -> bool:
    kind = stage.model_command.text if stage.model_command is not None else ""
    return kind == IMAGE_DEFAULT and (stage.image is None or image_of(stage.image).name in scenarios().without_vllm)


def _chart_adds_flags(stage: Stage) -> bool:
    """Whether the guide leaves it to the chart to make flags of the parallelism."""
    own = stage.model_command is not None and stage.model_command.text == CUSTOM
    return not own and stage.environment("TP_SIZE") is None


def _plain_words(flag: Flag) -> list[str]:
    if flag.value is None:
        return [flag.written]
    return [flag.written, flag.value] if flag.sign == " " else [f"{flag.written}{flag.sign}{flag.value}"]


def _same(value: str, own: str, stage: Stage) -> bool:
    """Whether a flag's value is that of the variable, maybe through the environment (``$TP_SIZE``)."""
    if value == own:
        return True
    name = value.strip("${}()")
    if not value.startswith("$"):
        return False
    found = stage.environment(name)
    if found is None:  # the chart sets it from the parallelism
        return name == "TP_SIZE" and "tensor" in stage.parallelism
    return found.text == own


def _one_line(flag: Flag) -> str:
    """A value as it is written; JSON that goes over several lines in one."""
    if "\n" not in flag.raw or flag.value is None:
        return flag.raw
    try:
        text = json.dumps(json.loads(flag.value), ensure_ascii=False)
    except ValueError:
        return flag.raw
    return "'" + text.replace("'", "'\\''") + "'"
