"""genai-bench's traffic scenarios, as workloads."""

from __future__ import annotations

import re
from typing import Any

from servelab.spec.errors import DocumentError

_NUMBER = r"\s*(\d+(?:\.\d+)?)\s*"
_FIXED = re.compile(rf"D\({_NUMBER},{_NUMBER}\)")
_NORMAL = re.compile(rf"N\({_NUMBER},{_NUMBER}\)/\({_NUMBER},{_NUMBER}\)")
_UNIFORM = re.compile(r"U\(\s*(\d+)\s*,\s*(\d+)\s*\)(?:/\(\s*(\d+)\s*,\s*(\d+)\s*\))?")


def workload(scenario: str) -> dict[str, Any]:
    """Prompt and output lengths of a scenario: D(in,out), N(mean,stdev)/(mean,stdev), U(min,max)/(min,max), U(in,out).

    Notation: genai-bench, docs/getting-started/metrics-definition.md and scenarios/text.py.

    Raises:
        DocumentError: it is none of these.
    """
    if (found := _FIXED.fullmatch(scenario)) is not None:
        return {"prompt": int(float(found[1])), "output": int(float(found[2]))}
    if (found := _NORMAL.fullmatch(scenario)) is not None:
        both = (found[1], found[2]), (found[3], found[4])
        pair = [{"mean": float(mean), "stdev": float(stdev)} for mean, stdev in both]
        return {"prompt": pair[0], "output": pair[1]}
    if (found := _UNIFORM.fullmatch(scenario)) is not None:
        prompt, output = (
            ((found[1], found[2]), (found[3], found[4])) if found[3] else (("1", found[1]), ("1", found[2]))
        )
        sides = [{"distribution": "uniform", "min": int(low), "max": int(high)} for low, high in (prompt, output)]
        return {"prompt": sides[0], "output": sides[1]}
    raise DocumentError(
        (f"{scenario!r} is no scenario of text: D(in,out), N(mean,stdev)/(mean,stdev) or U(min,max)/(min,max)",),
        "Correct benchmark.traffic_scenarios.",
    )
