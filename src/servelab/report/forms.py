"""A recommendation as text for a shell: script, env file, docker run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from servelab.report.recommend import Recommendation, wrapped
from servelab.report.words import one_line

BANNER = "!!! SIMULATED ENGINE: no real machine was measured. Do not serve by these numbers. !!!"
_CACHE = '"${HOME}/.cache/huggingface":/root/.cache/huggingface'


def comment_lines(advice: Recommendation) -> list[str]:
    """What every form says of itself, one comment a line."""
    lines = [f"servelab recommendation: study {advice.study}, trial {advice.trial}"]
    if advice.simulated:
        lines.append(BANNER)
    if advice.warning:
        lines.append(f"WARNING: {advice.warning}")
    lines += [advice.sentence, *advice.evidence, *(f"not tested: {line}" for line in advice.untested)]
    return [one_line(line) for line in lines]


def container_notes(advice: Recommendation) -> list[str]:
    """What a container changes against what was measured."""
    measured_without = "the image is the engine's published one; servelab measured without this container"
    notes = [] if advice.contained else [measured_without]
    if advice.accelerators and not advice.resources.accelerators:
        notes.append(f"{advice.accelerators} GPU(s) assumed, since the study's engine.resources does not say")
    return notes


def commented(lines: Sequence[str]) -> str:
    """Lines as comments of shell or YAML."""
    return "".join(f"# {line}\n" for line in lines)


def _quoted(words: Sequence[str]) -> list[str]:
    return [shlex.quote(word) for word in words]


def command_script(advice: Recommendation) -> str:
    """A shell script that serves."""
    lines = ["#!/bin/sh", commented(comment_lines(advice)).rstrip()]
    if advice.environment_from:
        lines.append(f"# needs these from your environment: {', '.join(advice.environment_from)}")
    lines.append("# listens on this machine only; add or change --host 0.0.0.0 to serve others")
    lines += [f"export {name}={shlex.quote(value)}" for name, value in advice.environment.items()]
    return "\n".join(lines) + f"\nexec {advice.command_lines}\n"


def env_file(advice: Recommendation) -> str:
    """Variables for systemd's EnvironmentFile, docker compose or a shell (``set -a; . ./serve.env``)."""
    lines = [f"{name}={shlex.quote(value)}" for name, value in advice.environment.items()]
    lines.append(f"SERVE_MODEL={shlex.quote(advice.model)}")
    lines.append(f"SERVE_PORT={advice.port}")
    if advice.image:
        lines.append(f"SERVE_IMAGE={shlex.quote(advice.image)}")
    lines.append(f"SERVE_COMMAND={shlex.quote(advice.command_line)}")
    secrets = [
        f"# {name}=  (a secret: set it where you keep those, not in this file)" for name in advice.environment_from
    ]
    return commented(comment_lines(advice)) + "\n".join([*lines, *secrets]) + "\n"


def docker_script(advice: Recommendation) -> str:
    """A shell script with ``docker run``.

    Raises:
        ServelabError: the engine has no image.
    """
    inside = advice.container
    assert advice.image is not None  # or there would be no container
    words = ["docker", "run", "--rm", "--name", advice.name, "-p", f"127.0.0.1:{advice.port}:{advice.port}"]
    if advice.accelerators:
        words += ["--gpus", str(advice.accelerators), "--ipc", "host"]
    for mount in inside.mounts:
        words += ["--mount", shlex.quote(f"type=bind,src={mount.source},dst={mount.target},readonly")]
    if not inside.mounts:
        words += ["-v", _CACHE]
    for name, value in advice.environment.items():
        words += ["-e", shlex.quote(f"{name}={value}")]
    for name in advice.environment_from:
        words += ["-e", name]
    words += ["--entrypoint", shlex.quote(inside.entrypoint[0])]
    tail = _quoted([advice.image, *inside.entrypoint[1:]])
    notes = commented([*comment_lines(advice), *container_notes(advice)])
    if advice.environment_from:
        notes += f"# passed on from your environment: {', '.join(advice.environment_from)}\n"
    run = f"{wrapped(words)} \\\n  {' '.join(tail)} {wrapped(_quoted(inside.arguments))}"
    return f"#!/bin/sh\n{notes}exec {run}\n"
