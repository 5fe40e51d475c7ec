"""llama.cpp: through the xllamacpp wheel that servelab brings, or a llama-server of the user's."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from typing import ClassVar

from servelab.engines.diagnose import diagnose
from servelab.engines.flags import flags
from servelab.engines.installed import installed_version
from servelab.spec.base import Parameters
from servelab.spec.deployment import Address, Failure, Launch
from servelab.spec.errors import DeployError
from servelab.spec.model import EngineConfig, Model

EMBEDDED = (sys.executable, "-m", "servelab.engines.llamacpp.server")
LLAMA_SERVER = "llama-server"
IN_IMAGE = "/app/llama-server"  # which is on no PATH there
PATIENCE = 10.0  # seconds for a program to say its version


class LlamaCpp:
    """llama.cpp's HTTP server, with flags as llama-server names them."""

    name: ClassVar[str] = "llamacpp"
    simulated: ClassVar[bool] = False
    server_metrics: ClassVar[Mapping[str, str]] = {
        "running": "llamacpp:requests_processing",
        "waiting": "llamacpp:requests_deferred",
    }

    def version(self, config: EngineConfig) -> str | None:
        """The version of the program that ``launch`` would start; None when there is none here."""
        if config.image is not None:
            return config.version
        program = _program(config)
        if program == EMBEDDED:
            return f"xllamacpp {installed_version('xllamacpp')}"
        return (_stated_version(program[0]) if program else None) or config.version

    def launch(self, model: Model, config: EngineConfig, parameters: Parameters, address: Address) -> Launch:
        """The server's command: ``config.executable`` if given, else the embedded one, else llama-server.

        Raises:
            DeployError: none of them is here, or the model has no file.
        """
        if model.path is None and config.image is None:
            missing = DeployError(
                f"llama.cpp needs the file of {model.id}", "Give it as model.path in the study: a GGUF file."
            )
            missing.about = ("model", "path")
            raise missing
        program = _program(config)
        if not program:
            raise DeployError("llama.cpp is not installed", "Install it: pip install xllamacpp")
        arguments = {"alias": model.name, **config.arguments, **parameters, "metrics": True}
        listening = ("--host", address.host, "--port", str(address.port))
        return Launch(
            command=(*program, "--model", model.path or model.id, *listening, *flags(self.name, arguments)),
            environment=config.environment,
            environment_from=config.environment_from,
            image=config.image,
            address=address,
        )

    def diagnose(self, log: str, exit_code: int | None) -> Failure | None:
        """Read the cause of a failure out of the log; see data/failures.yaml."""
        return diagnose(self.name, log, exit_code)


def _program(config: EngineConfig) -> tuple[str, ...]:
    """What is started, without its flags; empty when nothing is here."""
    if config.executable is not None:
        return (config.executable,)
    if config.image is not None:
        return (IN_IMAGE,)
    if installed_version("xllamacpp") is not None:
        return EMBEDDED
    found = shutil.which(LLAMA_SERVER)
    return (found,) if found else ()


@cache
def _stated_version(program: str) -> str | None:
    """What ``llama-server --version`` says, as ``version: 6000 (abc1234)`` on its standard error."""
    try:
        told = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"^version: (.+)$", told.stderr + told.stdout, re.MULTILINE)
    return f"llama-server {found[1]}" if found else None
