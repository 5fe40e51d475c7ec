"""The simulated engine's metrics, with vLLM's names."""

from __future__ import annotations

from servelab.engines.simulated.scheduler import Scheduler


def metrics_text(scheduler: Scheduler, model: str) -> str:
    """Prometheus text."""
    counters = scheduler.counters
    found = {
        "vllm:num_requests_running": ("gauge", len(scheduler.running)),
        "vllm:num_requests_waiting": ("gauge", len(scheduler.waiting)),
        "vllm:kv_cache_usage_perc": ("gauge", scheduler.usage),
        "vllm:num_preemptions_total": ("counter", counters.preemptions),
        "vllm:prefix_cache_queries_total": ("counter", counters.prefix_queries),
        "vllm:prefix_cache_hits_total": ("counter", counters.prefix_hits),
        "vllm:prompt_tokens_total": ("counter", counters.prompts),
        "vllm:generation_tokens_total": ("counter", counters.generated),
    }
    label = model.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    lines = ["# simulated: no engine was measured"]
    for name, (kind, value) in found.items():
        lines += [f"# TYPE {name} {kind}", f'{name}{{model_name="{label}"}} {value}']
    return "\n".join(lines) + "\n"
