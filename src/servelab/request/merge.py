"""The files of a pipeline run: a copy of the values file with the changes in it, and the run's parameters."""

from __future__ import annotations

import io
from collections.abc import Sequence
from difflib import SequenceMatcher
from importlib.resources import files
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from servelab.request.match import Change, flag_text
from servelab.request.name import slug
from servelab.request.numbers import Numbers
from servelab.request.values import LOAD, OWN, WORKLOAD, Values
from servelab.spec.errors import DocumentError


def merged_values(values: Values, changes: Sequence[Change], numbers: Numbers) -> str:
    """The text of the values file with the changes in it, comments and order kept; as it is when nothing changes."""
    if not any(change.changed for change in changes):
        return values.text
    yaml = _yaml()
    tree = yaml.load(values.text)
    before = _written(yaml, tree)
    for change in changes:
        if not change.changed:
            continue
        if change.path == WORKLOAD:
            _set_workload(tree["stack"]["workload"], change.new, numbers)
        elif change.parameter.startswith("--"):
            _set_argument(_vllm(tree), change)
        elif change.parameter.startswith("images."):
            (_vllm(tree) if change.parameter == "images.main" else _decode(tree)["initContainers"][0])["image"] = (
                change.new
            )
        else:
            _set(tree, change.path, change.new)
    return _as_it_was(values.text, before, _written(yaml, tree))


def pipeline_run(values: Values, experiment_id: str, model: str, namespace: str, base: str | None = None) -> str:
    """A PipelineRun with the experiment's parameters, from ``base`` (the text of one) or from servelab's own.

    Raises:
        DocumentError: the base is no PipelineRun.
    """
    own = (files("servelab.request") / "data" / "pipelinerun.yaml").read_text(encoding="utf-8")
    yaml = _yaml()
    tree = yaml.load(base or own)
    if not isinstance(tree, CommentedMap) or tree.get("kind") != "PipelineRun" or "spec" not in tree:
        raise DocumentError(("the file beside the values is no PipelineRun",), "See docs/ask.md.")
    tree.setdefault("metadata", CommentedMap())["name"] = experiment_id
    if base is None or "pipelineRef" not in tree["spec"]:
        tree["spec"]["pipelineRef"] = {"name": slug(values.pipeline) or slug(OWN)}
    wanted = {"experimentId": experiment_id, "model": model, "namespace": namespace}
    given = tree["spec"].setdefault("params", CommentedSeq())
    for name, value in wanted.items():
        param = next((param for param in given if param.get("name") == name), None)
        if param is None:
            given.append({"name": name, "value": value})
        else:
            param["value"] = DoubleQuotedScalarString(value)
    return _written(yaml, tree)


def _yaml() -> YAML:
    yaml = YAML(typ="rt", pure=True)
    yaml.preserve_quotes = True
    yaml.width = 4096  # no line of the original is broken
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _written(yaml: YAML, tree: Any) -> str:
    stream = io.StringIO()
    yaml.dump(tree, stream)
    return stream.getvalue()


def _as_it_was(original: str, before: str, after: str) -> str:
    """``after`` in the original's own layout: ``before`` is the original as the dumper lays it out.

    Where the two differ in more than indentation and empty lines, or the outcome would not say the same, ``after`` as
    it is.
    """
    old, laid_out, new = _lines(original), _lines(before), _lines(after)
    if [line.strip() for line in old] != [line.strip() for line in laid_out]:
        return after
    lines, shift = list[str](), 0
    for kind, i, end, j, stop in SequenceMatcher(None, laid_out, new, autojunk=False).get_opcodes():
        if kind == "equal":
            lines += old[i:end]
            continue
        for line in new[j:stop]:
            beside = next((n for n in reversed(range(end)) if _indent(laid_out[n]) == _indent(line)), None)
            # A line deeper than all before it stands below one that was just written.
            shift = shift if beside is None else _indent(old[beside]) - _indent(laid_out[beside])
            lines.append(" " * max(_indent(line) + shift, 0) + line.strip())
    text = "\n".join(lines) + (original[len(original.rstrip("\n")) :] or "\n")
    return text if _plain(text) == _plain(after) else after


def _lines(text: str) -> list[str]:
    """The lines of a text, each with the empty lines before it."""
    found, empty = [], ""
    for line in text.splitlines():
        if line.strip():
            found.append(empty + line)
            empty = ""
        else:
            empty += line + "\n"
    return found


def _indent(line: str) -> int:
    last = line.rpartition("\n")[2]
    return len(last) - len(last.lstrip())


def _plain(text: str) -> Any:
    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        return None


def _decode(tree: Any) -> Any:
    return tree["stack"]["model"]["helmValues"]["decode"]


def _vllm(tree: Any) -> Any:
    return next(container for container in _decode(tree)["containers"] if container.get("name") == "vllm")


def _set(tree: Any, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    node = tree
    for parent in parents:
        node = node[parent]
    if isinstance(value, list) and isinstance(node.get(last), CommentedSeq):
        _refill(node[last], value)
    else:
        node[last] = value


def _refill(sequence: CommentedSeq, wanted: list[Any]) -> None:
    """Change a list in place, so that its comments stay; the last item holds those that follow the list."""
    below = sequence.ca.items.pop(len(sequence) - 1, None)
    for index in reversed(range(len(sequence))):
        if sequence[index] not in wanted:
            del sequence[index]
    for value in wanted:
        if value not in sequence:
            sequence.append(value)
    if below is not None:
        sequence.ca.items[len(sequence) - 1] = below


def _set_workload(node: Any, name: str, numbers: Numbers) -> None:
    """Another workload: its numbers replace the old ones, keys that are not ours stay."""
    node["app"] = name
    profile = node["profile"]
    data = profile.setdefault("data", CommentedMap())
    for key, value in numbers.plain.items():
        (profile if key in LOAD else data)[key] = value


def _set_argument(container: Any, change: Change) -> None:
    """One engine argument: in the place of the old one, or at the end."""
    args = container.get("args")
    if args is None:
        args = container["args"] = CommentedSeq()
    text = flag_text(change.parameter, change.new)
    for index, part in enumerate(args):
        flag, equals, _ = str(part).partition("=")
        if flag == change.parameter:
            args[index] = text
            if not equals and index + 1 < len(args) and not str(args[index + 1]).startswith("--"):
                del args[index + 1]
            return
    args.append(text)
