"""The simulated engine, as an engine."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import ClassVar

from servelab.engines.diagnose import diagnose
from servelab.engines.flags import flags
from servelab.engines.simulated.api import VERSION
from servelab.engines.simulated.profile import DEFAULT_PROFILE, profiles
from servelab.engines.vllm import SERVER_METRICS
from servelab.spec.base import Parameters
from servelab.spec.deployment import Address, Failure, Launch
from servelab.spec.errors import DeployError
from servelab.spec.model import EngineConfig, Model


class Simulated:
    """Plays vLLM on a machine that is not here."""

    name: ClassVar[str] = "simulated"
    simulated: ClassVar[bool] = True
    server_metrics: ClassVar[Mapping[str, str]] = SERVER_METRICS

    def version(self, config: EngineConfig) -> str | None:
        """A version that says what it is."""
        return f"{VERSION} ({config.profile or DEFAULT_PROFILE})"

    def launch(self, model: Model, config: EngineConfig, parameters: Parameters, address: Address) -> Launch:
        """The server's command.

        Raises:
            DeployError: there is no such profile.
        """
        profile: tuple[str, ...] = ()
        if config.profile is not None:
            if config.profile not in profiles():
                raise DeployError(
                    f"the simulated engine has no profile {config.profile!r}", f"Known are: {', '.join(profiles())}."
                )
            profile = ("--profile", config.profile)
        arguments = {**config.arguments, **parameters}
        listening = ("--host", address.host, "--port", str(address.port))
        python = "python3" if config.image else sys.executable
        program = (python, "-m", "servelab.engines.simulated")
        return Launch(
            command=(*program, model.name, *profile, *listening, *flags(self.name, arguments)),
            environment=config.environment,
            image=config.image,
            address=address,
        )

    def diagnose(self, log: str, exit_code: int | None) -> Failure | None:
        """Read the cause of a failure out of the log; see data/failures.yaml."""
        return diagnose(self.name, log, exit_code)
