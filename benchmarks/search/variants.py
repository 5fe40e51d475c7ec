"""Variants of the surface that nobody fitted anything to: other workloads, SLOs, memory and hidden incompatibilities.

The step times stay those of the one measured model, so the variants are less realistic than the surface itself.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

DENSE = "A_dense_h200"

VARIANTS: dict[str, dict[str, Any]] = {
    "long_prompts_80gb": {"gpu": 80, "C": 96, "isl": 8000, "osl": 300, "ttft": 2500, "itl": 34, "hit": 0.5},
    "chat_other_rules": {"C": 768, "isl": 600, "osl": 250, "ttft": 1500, "itl": 61, "hit": 0.1, "rules": "other"},
    "mixture_of_experts": {"W": 55.0, "C": 320, "isl": 3000, "osl": 800, "ttft": 2500, "itl": 25, "moe": True},
}


def add_variants(module: ModuleType) -> None:
    """Define the variants in a loaded surface module."""
    for name, changes in VARIANTS.items():
        module.S[name] = {**module.S[DENSE], **changes}
        if changes.get("moe"):
            module.S[name]["case"] = "experts"
    _add_expert_tables(module)
    _add_rules(module)


def _add_expert_tables(module: ModuleType) -> None:
    """Step times with experts: cheaper in small batches; with expert parallelism cheaper still, at a fixed cost."""
    for (case, backend, tp, kv, _), (table,) in list(module.TAB.items()):
        if case == "dense":
            module.TAB[("experts", backend, tp, kv, False)] = (table * 0.6,)
            module.TAB[("experts", backend, tp, kv, True)] = (table * 0.45 + 2.5,)


def _add_rules(module: ModuleType) -> None:
    """Surfaces with ``rules: other`` have undocumented incompatibilities of their own."""
    original = module.model

    def model(s: dict[str, Any], x: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
        full = kwargs.get("full", True)
        other = s.get("rules") == "other"
        if other and full and _forbidden(x):
            return {"ok": False, "reason": "hidden"}
        turned = {**x, "block": {16: 64, 32: 32, 64: 16}[x["block"]]} if other else x
        found: dict[str, Any] = original(s, turned, *args, **kwargs)
        return found

    setattr(module, "model", model)  # noqa: B010 -- mypy knows no attribute of a module loaded by path


def _forbidden(x: dict[str, Any]) -> bool:
    return (
        (x["spec"] == "ngram" and x["chunked"])
        or (x["graph"] == "full" and x["kv"] == "fp8" and x["tp"] == 1)
        or (not x["prefix"] and x["mnbt"] > 20000)
    )
