"""The command that was measured, made fit to serve: as typed in a shell, or inside a container."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from servelab.catalog.containers import Mount, mounted
from servelab.spec.base import Spec


class ContainerCommand(Spec):
    """What runs inside a container: program, its arguments, and the local paths they need."""

    entrypoint: tuple[str, ...]
    arguments: tuple[str, ...]
    mounts: tuple[Mount, ...] = ()


def with_option(command: Sequence[str], flag: str, value: str) -> tuple[str, ...]:
    """``command`` with ``flag`` set to ``value``, replaced where it stands or added at the end."""
    found = list(command)
    for index, word in enumerate(found):
        if word == flag and index + 1 < len(found):
            found[index + 1] = value
            return tuple(found)
        if word.startswith(f"{flag}="):
            found[index] = f"{flag}={value}"
            return tuple(found)
    return (*found, flag, value)


def split_program(command: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The program (``vllm serve``, ``python3 -m sglang.launch_server``, ``llama-server``) and its arguments."""
    if PurePosixPath(command[0]).name.startswith("python") and len(command) > 2 and command[1] == "-m":
        return ("python3", "-m", command[2]), tuple(command[3:])
    if len(command) > 1 and command[1] == "serve":
        return (command[0], "serve"), tuple(command[2:])
    return (command[0],), tuple(command[1:])


def is_embedded(engine: str, measured: Sequence[str]) -> bool:
    """Whether llama.cpp ran as a library in a Python process of servelab's, with llama-server's flags."""
    return engine == "llamacpp" and bool(measured) and len(split_program(measured)[0]) == 3


def shell_command(engine: str, measured: Sequence[str], port: int) -> tuple[str, ...]:
    """The measured command on the engine's usual port; llama-server where its library was measured."""
    program, arguments = split_program(measured)
    if engine == "llamacpp" and (is_embedded(engine, measured) or program[0] == "/app/llama-server"):
        program = ("llama-server",)
    return with_option((*program, *arguments), "--port", str(port))


def container_command(engine: str, measured: Sequence[str], port: int) -> ContainerCommand:
    """The same inside a container: listening to everyone, with local paths below /models."""
    program, arguments = split_program(shell_command(engine, measured, port))
    arguments = with_option(arguments, "--host", "0.0.0.0")  # noqa: S104 - of the container's own network
    arguments, mounts = mounted(arguments, positional=program[-1] == "serve")
    entrypoint = ("/app/llama-server",) if engine == "llamacpp" else (PurePosixPath(program[0]).name, *program[1:])
    return ContainerCommand(entrypoint=entrypoint, arguments=arguments, mounts=mounts)
