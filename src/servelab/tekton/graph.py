"""The graph of a pipeline's tasks: what each waits for, as a table and as a drawing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

NAME_WIDTH = 60
RULE_WIDTH = 90

_RESULT = re.compile(r"\$\(tasks\.([^.()\s]+)\.results[.\[]")


def texts(node: Any) -> Iterable[str]:
    """Every string in plain data."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from texts(value)


def run_after(task: Mapping[str, Any]) -> list[str]:
    """The tasks that ``task`` names in runAfter."""
    named = task.get("runAfter")
    return [str(name) for name in named] if isinstance(named, list) else []


def result_sources(task: Mapping[str, Any]) -> list[str]:
    """The tasks whose results ``task`` uses, for which Tekton makes it wait as well."""
    used = {name: task.get(name) for name in ("params", "when", "matrix", "displayName", "taskSpec")}
    found = (text for text in texts(used) if "$(tasks." in text)
    return list(dict.fromkeys(name for text in found for name in _RESULT.findall(text)))


def explain(document: Mapping[str, Any]) -> str:
    """The tasks of a pipeline and what each runs after, as a table."""
    spec = document.get("spec") or {}
    parts = [_table("spec.tasks", spec.get("tasks") or [])]
    if "finally" in spec:
        parts.append(_table("spec.finally", spec["finally"] or []))
    return "\n".join(parts)


def _table(title: str, tasks: Iterable[Any]) -> str:
    lines = [f"# {title}", f"{'TASK NAME':<{NAME_WIDTH}}  RUNAFTER", "-" * RULE_WIDTH]
    for task in tasks:
        if isinstance(task, dict):
            lines.append(f"{task.get('name', '<unnamed>')!s:<{NAME_WIDTH}}  {', '.join(run_after(task))}")
    return "\n".join(lines) + "\n"


def dot(document: Mapping[str, Any]) -> str:
    """The tasks as a graph in Graphviz' language; edges of results are dashed, final tasks stand apart."""
    spec = document.get("spec") or {}
    name = (document.get("metadata") or {}).get("name", "pipeline")
    lines = [f"digraph {json.dumps(str(name))} {{", "  rankdir=LR;", "  node [shape=box];"]
    for task in spec.get("tasks") or []:
        lines += _drawn(task, "  ")
    if spec.get("finally"):
        lines += ["  subgraph cluster_finally {", '    label="finally";']
        for task in spec["finally"]:
            lines += _drawn(task, "    ")
        lines.append("  }")
    return "\n".join([*lines, "}"]) + "\n"


def _drawn(task: Mapping[str, Any], lead: str) -> list[str]:
    name, after = json.dumps(str(task.get("name"))), run_after(task)
    lines = [f"{lead}{name};"]
    lines += [f"{lead}{json.dumps(earlier)} -> {name};" for earlier in after]
    sources = [source for source in result_sources(task) if source not in after]
    return lines + [f"{lead}{json.dumps(source)} -> {name} [style=dashed];" for source in sources]
