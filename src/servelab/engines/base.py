"""What an engine is to servelab."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol, cast

from servelab.spec.base import Parameters
from servelab.spec.deployment import Address, Failure, Launch
from servelab.spec.model import EngineConfig, Model
from servelab.spec.plugins import load_plugin


class Engine(Protocol):
    """Knows how one inference engine is started and what its words mean. Holds no state."""

    name: ClassVar[str]
    simulated: ClassVar[bool]
    server_metrics: ClassVar[Mapping[str, str]]
    """Our names (running, waiting, kv_cache_usage, prefix_cache_hit_rate, preemptions) -> the engine's own."""

    def version(self, config: EngineConfig) -> str | None:
        """The version of what ``launch`` would start, else what the study says it is; None when neither is known."""
        ...

    def launch(self, model: Model, config: EngineConfig, parameters: Parameters, address: Address) -> Launch:
        """The command that serves ``model`` with ``config.arguments`` and ``parameters`` at ``address``.

        Raises:
            DeployError: the engine cannot be started with this at all.
        """
        ...

    def diagnose(self, log: str, exit_code: int | None) -> Failure | None:
        """Read the cause of a failed start or a death out of the log's tail; None when nothing is known."""
        ...


def engine(name: str) -> Engine:
    """The engine called ``name``.

    Raises:
        NotFoundError: no plug-in of that name.
    """
    return cast(Engine, load_plugin("servelab.engines", name)())
