"""llama.cpp: through the xllamacpp wheel that servelab brings, or a llama-server of the user's."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import ClassVar

from servelab.engines.diagnose import diagnose
from servelab.engines.flags import flags
from servelab.spec.base import Parameters
from servelab.spec.deployment import Address, Failure, Launch
from servelab.spec.errors import DeployError
from servelab.spec.model import EngineConfig, Model

EMBEDDED = (sys.executable, "-m", "servelab.engines.llamacpp.server")


class LlamaCpp:
    """llama.cpp's HTTP server, with flags as llama-server names them."""

    name: ClassVar[str] = "llamacpp"
    simulated: ClassVar[bool] = False
    server_metrics: ClassVar[Mapping[str, str]] = {
        "running": "llamacpp:requests_processing",
        "waiting": "llamacpp:requests_deferred",
    }

    def version(self, config: EngineConfig) -> str | None:
        """The version of the wheel; None for a llama-server of the user's, which is not asked."""
        if config.executable is not None:
            return config.version
        try:
            return f"xllamacpp {version('xllamacpp')}"
        except PackageNotFoundError:
            return None

    def launch(self, model: Model, config: EngineConfig, parameters: Parameters, address: Address) -> Launch:
        """The server's command: ``config.executable`` if given, else the embedded one, else llama-server.

        Raises:
            DeployError: none of them is here, or the model has no file.
        """
        if model.path is None and config.image is None:
            raise DeployError(
                f"llama.cpp needs the file of {model.id}", "Give it as model.path in the study: a GGUF file."
            )
        arguments = {"alias": model.name, **config.arguments, **parameters}
        listening = ("--host", address.host, "--port", str(address.port))
        program = self._program(config)
        metrics = () if program == EMBEDDED else ("--metrics",)
        return Launch(
            command=(*program, "--model", model.path or model.id, *listening, *metrics, *flags(self.name, arguments)),
            environment=config.environment,
            environment_from=config.environment_from,
            image=config.image,
            address=address,
        )

    def diagnose(self, log: str, exit_code: int | None) -> Failure | None:
        """Read the cause of a failure out of the log; see data/failures.yaml."""
        return diagnose(self.name, log, exit_code)

    def _program(self, config: EngineConfig) -> tuple[str, ...]:
        if config.executable is not None:
            return (config.executable,)
        if self.version(config) is not None:
            return EMBEDDED
        found = shutil.which("llama-server")
        if found is None:
            raise DeployError("llama.cpp is not installed", "Install it: pip install xllamacpp")
        return (found,)
