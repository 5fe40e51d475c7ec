"""SGLang."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import ClassVar

from servelab.engines.diagnose import diagnose
from servelab.engines.flags import flags
from servelab.spec.base import Parameters
from servelab.spec.deployment import Address, Failure, Launch
from servelab.spec.model import EngineConfig, Model


class SGLang:
    """``python -m sglang.launch_server``."""

    name: ClassVar[str] = "sglang"
    simulated: ClassVar[bool] = False
    server_metrics: ClassVar[Mapping[str, str]] = {
        "running": "sglang:num_running_reqs",
        "waiting": "sglang:num_queue_reqs",
        "kv_cache_usage": "sglang:token_usage",
        "prefix_cache_hit_rate": "sglang:cache_hit_rate",
    }

    def version(self, config: EngineConfig) -> str | None:
        """The installed version, read without importing torch."""
        try:
            return version("sglang")
        except PackageNotFoundError:
            return config.version

    def launch(self, model: Model, config: EngineConfig, parameters: Parameters, address: Address) -> Launch:
        """The command that serves the model."""
        identity = {"served_model_name": model.name}
        if model.revision:
            identity["revision"] = model.revision
        if model.tokenizer:
            identity["tokenizer_path"] = model.tokenizer
        arguments = {**identity, **config.arguments, **parameters, "enable_metrics": True}
        program = (config.executable,) if config.executable else (sys.executable, "-m", "sglang.launch_server")
        listening = ("--host", address.host, "--port", str(address.port))
        return Launch(
            command=(*program, "--model-path", model.path or model.id, *listening, *flags(self.name, arguments)),
            environment=config.environment,
            environment_from=config.environment_from,
            image=config.image,
            address=address,
        )

    def diagnose(self, log: str, exit_code: int | None) -> Failure | None:
        """Read the cause of a failure out of the log; see data/failures.yaml."""
        return diagnose(self.name, log, exit_code)
