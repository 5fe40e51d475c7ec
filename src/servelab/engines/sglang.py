"""SGLang."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import ClassVar

from servelab.engines.diagnose import diagnose
from servelab.engines.flags import flags
from servelab.engines.installed import installed_version, launched_version
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
        "preemptions": "sglang:num_retracted_requests_total",
    }

    def version(self, config: EngineConfig) -> str | None:
        """The version of what ``launch`` starts, else what the study says."""
        if config.image is not None:
            return config.version
        launched = config.executable
        return (launched_version("sglang", launched) if launched else installed_version("sglang")) or config.version

    def launch(self, model: Model, config: EngineConfig, parameters: Parameters, address: Address) -> Launch:
        """The command that serves the model."""
        identity = {"served_model_name": model.name}
        if model.revision:
            identity["revision"] = model.revision
        if model.tokenizer:
            identity["tokenizer_path"] = model.tokenizer
        arguments = {**identity, **config.arguments, **parameters, "enable_metrics": True}
        module = ("python3" if config.image else sys.executable, "-m", "sglang.launch_server")
        program = (config.executable,) if config.executable else module
        words = flags(self.name, arguments, negatives=False)
        listening = ("--host", address.host, "--port", str(address.port))
        return Launch(
            command=(*program, "--model-path", model.path or model.id, *listening, *words),
            environment=config.environment,
            environment_from=config.environment_from,
            image=config.image,
            address=address,
        )

    def diagnose(self, log: str, exit_code: int | None) -> Failure | None:
        """Read the cause of a failure out of the log; see data/failures.yaml."""
        return diagnose(self.name, log, exit_code)
