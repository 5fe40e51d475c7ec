"""kustomize itself, where it is installed: its result counts, and ours says where each value was written."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from servelab.guides.parse import parse
from servelab.guides.tree import Node, Scalar, made

TIMEOUT = 60.0  # seconds


def command() -> list[str] | None:
    """How kustomize is called here; None where it is not installed."""
    if found := shutil.which("kustomize"):
        return [found, "build"]
    if found := shutil.which("kubectl"):
        return [found, "kustomize"]
    return None


def run(call: Sequence[str], folder: Path) -> list[Node] | str:
    """All objects that kustomize makes of a directory; or why it makes none."""
    try:
        done = subprocess.run(
            [*call, str(folder)], capture_output=True, timeout=TIMEOUT, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit code {done.returncode}"
    return parse(done.stdout.decode(errors="replace"), "kustomize")


def grafted(theirs: Sequence[Node], ours: Sequence[Node]) -> tuple[list[Node], list[str]]:
    """Their objects with our places, and the paths at which the two differ."""
    own = {_key(one): one for one in ours}
    result, differences = [], []
    for one in theirs:
        node, found = _graft(one, own.get(_key(one)))
        result.append(node)
        differences += [f"{' '.join(_key(one))}: {path or 'all of it'}" for path in found]
    missing = own.keys() - {_key(one) for one in theirs}
    return result, [*differences, *(f"{' '.join(key)}: not made by kustomize" for key in sorted(missing))]


def _graft(theirs: Node, ours: Node | None, path: str = "") -> tuple[Node, list[str]]:
    if ours is None:
        return made(theirs.plain()), [path]
    if isinstance(theirs.content, Mapping) and isinstance(ours.content, Mapping):
        fields, differences = {}, [f"{path}.{name}".strip(".") for name in ours.map.keys() - theirs.map.keys()]
        in_our_order = [*(name for name in ours.map if name in theirs.map), *theirs.map]
        for name, value in ((name, theirs.map[name]) for name in dict.fromkeys(in_our_order)):
            fields[name], found = _graft(value, ours.map.get(name), f"{path}.{name}".strip("."))
            differences += found
        return replace(ours, content=fields), differences
    if theirs.items and len(theirs.items) == len(ours.items):
        pairs = [
            _graft(one, other, f"{path}[{i}]")
            for i, (one, other) in enumerate(zip(theirs.items, ours.items, strict=True))
        ]
        return replace(ours, content=[one for one, _ in pairs]), [path for _, found in pairs for path in found]
    if theirs.plain() == ours.plain():
        # Numbers and quotes as the guide has them.
        return (ours if isinstance(ours.content, Scalar) else replace(theirs, span=ours.span, also=ours.also)), []
    return made(theirs.plain(), ours.span), [path]


def _key(node: Node) -> tuple[str, str]:
    kind, name = node.get("kind"), node.get("metadata", "name")
    return (kind.text if kind else "", name.text if name else "")
