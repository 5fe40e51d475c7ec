"""How to serve: from a study's verdict to a command, with what stands behind it and what does not."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any, Literal

from servelab.report.command import ContainerCommand, container_command, is_embedded, shell_command
from servelab.report.digest import Digest, digest
from servelab.report.images import accelerators, image_for, serving_port
from servelab.report.next_steps import next_steps
from servelab.report.rows import gain_line, risk_line
from servelab.report.verdict import VerdictKind
from servelab.report.words import load_text, one_line, parameters_text, workload_text
from servelab.spec.base import Label, Parameters, Spec
from servelab.spec.deployment import MODEL_PATH, Launch
from servelab.spec.errors import ServelabError
from servelab.spec.model import Model, Resources
from servelab.spec.trial import StudyRecord, Trial

Form = Literal["command", "env", "docker", "compose", "kubernetes", "ome", "modelservice"]

_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]*")

_WARNINGS: dict[VerdictKind, str] = {
    "no_feasible": "it does NOT keep the SLO; nothing measured does",
    "unverified": "not verified",
}


class Recommendation(Spec):
    """How to serve the model, and why."""

    study: str
    name: Label
    trial: int
    kind: VerdictKind
    sentence: str
    warning: str = ""
    simulated: bool = False
    engine: str
    model: str
    parameters: Parameters
    command: tuple[str, ...] = ()
    measured_command: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    environment_from: tuple[str, ...] = ()
    image: str | None = None
    own_image: str | None = None
    platform: str = "process"
    platform_options: dict[str, Any] = {}
    port: int
    accelerators: int = 0
    resources: Resources = Resources()
    contained: bool = False
    ready_path: str = "/health"
    ready_timeout: float = 600.0
    evidence: tuple[str, ...] = ()
    untested: tuple[str, ...] = ()

    @property
    def embedded(self) -> bool:
        """Whether llama.cpp was measured as a library, and its own server is recommended."""
        return is_embedded(self.engine, self.measured_command)

    @property
    def command_line(self) -> str:
        """The command as one types it in a POSIX shell."""
        return shlex.join(self.command)

    @property
    def command_lines(self) -> str:
        """The same with an option on each line."""
        return wrapped([shlex.quote(word) for word in self.command])

    @property
    def measured_line(self) -> str:
        """The command as it was measured."""
        return shlex.join(self.measured_command)

    @property
    def container(self) -> ContainerCommand:
        """What runs inside a container.

        Raises:
            ServelabError: there is no command, or the engine has no image.
        """
        self._require_command()
        if self.image is None:
            reason = "the engine is simulated" if self.simulated else f"no image of {self.engine} is known"
            name_one = "Name one as engine.image in the study, or take the command alone."
            raise ServelabError(
                f"there is no container to recommend: {reason}",
                "Measure the same study on a real engine." if self.simulated else name_one,
            )
        if not _IMAGE.fullmatch(self.image):
            raise ServelabError(
                f"{self.image!r} is not the name of a container image", "Correct engine.image in the study."
            )
        return container_command(self.engine, self.measured_command, self.port)

    def _require_command(self) -> None:
        if not self.command:
            raise ServelabError(
                "there is no command to recommend: servelab did not start this engine itself",
                f"Set these on your deployment: {parameters_text(self.parameters)}",
            )

    def form(self, name: Form) -> str:
        """The recommendation as text of one form, evidence in its comments.

        Raises:
            ServelabError: this form does not exist for this engine or platform.
        """
        from servelab.report import forms, manifests, services

        self._require_command()
        writers: dict[Form, Callable[[Recommendation], str]] = {
            "command": forms.command_script,
            "env": forms.env_file,
            "docker": forms.docker_script,
            "compose": manifests.compose_yaml,
            "kubernetes": manifests.kubernetes_yaml,
            "ome": services.inference_service_yaml,
            "modelservice": services.modelservice_yaml,
        }
        return writers[name](self)


def wrapped(words: Sequence[str]) -> str:
    """Quoted words over several lines: an option with its values on each, a backslash at the end."""
    groups: list[list[str]] = [[]]
    for word in words:
        if word.startswith("-") and groups[-1]:
            groups.append([])
        groups[-1].append(word)
    return " \\\n  ".join(" ".join(group) for group in groups)


def recommendation(record: StudyRecord, trials: Sequence[Trial], launch: Launch | None = None) -> Recommendation:
    """What a study recommends; ``launch`` (of the chosen trial) brings image, environment and ready path.

    Raises:
        ServelabError: there is nothing to recommend.
    """
    return recommend_from(digest(record, trials), launch)


def recommend_from(found: Digest, launch: Launch | None = None) -> Recommendation:
    """What a digested study recommends.

    Raises:
        ServelabError: there is nothing to recommend.
    """
    chosen = found.trial(found.verdict.trial)
    if chosen is None:
        raise ServelabError(f"there is nothing to recommend: {found.verdict.sentence}", next_steps(found)[0])
    study, version = found.study, engine_version(found)
    measured = launch.command if launch else _measured_command(found, chosen)
    served = _with_own_path(measured, study.model)
    devices = launch.accelerators if launch else accelerators(study, chosen.parameters, version)
    port = serving_port(study.engine.name)
    return Recommendation(
        study=found.record.id,
        name=study.name,
        trial=chosen.number,
        kind=found.verdict.kind,
        sentence=one_line(found.verdict.sentence),
        warning="; ".join(_warnings(found)),
        simulated=found.simulated,
        engine=study.engine.name,
        model=study.model.id,
        parameters=chosen.parameters,
        measured_command=served,
        command=served if found.simulated else _shell(study.engine.name, served, port),
        environment=dict(study.engine.environment),
        environment_from=study.engine.environment_from,
        image=None if found.simulated else (launch and launch.image) or image_for(study, version, devices),
        own_image=study.engine.image,
        platform=study.platform.name,
        platform_options=study.platform.options,
        port=port,
        accelerators=devices,
        resources=study.engine.resources,
        contained=study.platform.name == "docker",
        ready_path=launch.ready_path if launch else "/health",
        ready_timeout=study.budget.timeouts.ready,
        evidence=tuple(_evidence(found, measured)),
        untested=tuple(untested(found)),
    )


def _warnings(found: Digest) -> list[str]:
    simulated = ["SIMULATED engine, no real measurement"] if found.simulated else []
    return simulated + [_WARNINGS[kind] for kind in (found.verdict.kind,) if kind in _WARNINGS]


def _shell(engine: str, measured: Sequence[str], port: int) -> tuple[str, ...]:
    return shell_command(engine, measured, port) if measured else ()


def _with_own_path(command: Sequence[str], model: Model) -> tuple[str, ...]:
    """The command as it is outside of a cluster that puts the model where it likes."""
    return tuple(word.replace(MODEL_PATH, model.path or model.id) for word in command)


def _measured_command(found: Digest, chosen: Trial) -> tuple[str, ...]:
    retests = [trial for trial in found.trials if trial.verifies == chosen.number]
    return next((trial.command for trial in (*retests, chosen) if trial.command), ())


def engine_version(found: Digest) -> str | None:
    """The version that was measured, or that the study asks for."""
    return found.study.engine.version or (found.provenance.engine_version if found.provenance else None)


def _evidence(found: Digest, measured: Sequence[str]) -> list[str]:
    study, provenance = found.study, found.provenance
    version = engine_version(found)
    lines = [
        gain_line(found),
        risk_line(found),
        *(one_line(caution) for caution in found.verdict.cautions),
        f"model: {one_line(study.model.id)}; engine: {study.engine.name} {one_line(version or '')}".rstrip(),
        f"workload: {workload_text(study.workload)}",
        f"load: {load_text(study)}",
        f"load generator: {provenance.harness} {one_line(provenance.harness_version)}" if provenance else "",
        f"machine: {machine_text(provenance.machine)}" if provenance and provenance.machine else "",
        accelerators_text(found.trial(found.verdict.trial)),
        f"measured with: {one_line(shlex.join(measured))}" if measured else "",
    ]
    return [line for line in lines if line]


def accelerators_text(trial: Trial | None) -> str:
    """What the devices of a trial did while it was measured, in one line; empty where none were watched."""
    uses = [use for report in trial.reports for use in report.accelerators] if trial else []
    if not uses:
        return ""
    devices = {use.id for use in uses}
    busy = [use.utilization for use in uses if use.utilization is not None]
    power = [use.power for use in uses if use.power is not None]
    said = [f"accelerators: {len(devices)} x {one_line(uses[0].name)}"]
    said.append(f"at most {max(use.memory_used_max for use in uses) / 1e9:.1f} of {uses[0].memory / 1e9:.0f} GB in use")
    said += [f"busy {fmean(busy):.0%} of the time"] if busy else []
    said += [f"{fmean(power):.0f} W each"] if power else []
    return ", ".join(said)


def machine_text(machine: dict[str, object]) -> str:
    """The machine of a measurement in one line."""
    plain = {key: value for key, value in machine.items() if isinstance(value, str | int | float) and value != ""}
    return one_line(", ".join(_quantity(key, value) for key, value in plain.items()))


def _quantity(key: str, value: object) -> str:
    return f"{key.removesuffix('_gb')} {value} GB" if key.endswith("_gb") else f"{key} {value}"


def untested(found: Digest) -> list[str]:
    """What the measurements say nothing of."""
    study = found.study
    longest = max((report.duration for trial in found.trials for report in trial.reports), default=0.0)
    lines = [
        f"other loads than {load_text(study).partition(';')[0]}, and other prompts than this workload's",
        "other versions of the engine, other machines, other models",
        "the quality of the answers: quantization, cache types and speculative decoding can change them",
        f"anything longer than {max(longest, 1):.0f} s under load: slow leaks and heat do not show in that time",
    ]
    if study.platform.name != "docker":
        lines.append("containers: those forms hold the same arguments but were not run")
    chosen = found.trial(found.verdict.trial)
    if chosen is not None and is_embedded(study.engine.name, _measured_command(found, chosen)):
        lines.append("the llama-server program itself: the same library was measured inside servelab's own process")
    return lines
