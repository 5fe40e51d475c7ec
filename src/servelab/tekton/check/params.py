"""Parameters: what is declared, what is given, and whether the two fit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from servelab.tekton.check.names import wrong_param_name
from servelab.tekton.check.problem import Path
from servelab.tekton.check.references import Reference

Type = Literal["string", "array", "object"]
Found = tuple[Path, str]
"""Where something is wrong, and what."""

_WHOLE = re.compile(r"\$\([^()\s]+\)")


@dataclass(frozen=True)
class Declared:
    """A declared parameter."""

    type: Type
    required: bool = False
    keys: frozenset[str] = frozenset()
    """The keys of an object; none where they are not known."""
    needed: frozenset[str] = frozenset()
    """The keys that have to be given."""


def items(owner: Mapping[str, Any], field: str) -> list[tuple[int, dict[str, Any]]]:
    """The mappings in the list ``field`` of ``owner``, with their indexes; what is of another kind is left out."""
    listed = owner.get(field)
    return [(i, item) for i, item in enumerate(listed) if isinstance(item, dict)] if isinstance(listed, list) else []


def declared(owner: Mapping[str, Any]) -> dict[str, Declared]:
    """The parameters that a Task, StepAction or Pipeline declares, types as Tekton's defaults set them."""
    found = {}
    for _, spec in items(owner, "params"):
        properties = spec.get("properties")
        keys = frozenset(properties) if isinstance(properties, dict) else frozenset()
        default = spec.get("default")
        given = frozenset(default) if isinstance(default, dict) else frozenset()
        kind = spec.get("type") or ("object" if keys else value_type(default) if default is not None else "string")
        if kind in {"string", "array", "object"}:
            found[str(spec.get("name"))] = Declared(kind, default is None, keys | given, keys - given)
    return found


def propagated(owner: Mapping[str, Any]) -> dict[str, Declared]:
    """What the parameters that a run gives are to the specs that are embedded in it."""
    return {str(param.get("name")): Declared(value_type(param.get("value"))) for _, param in items(owner, "params")}


def an(kind: Type) -> str:
    """The type with its article."""
    return f"a {kind}" if kind == "string" else f"an {kind}"


def value_type(value: Any) -> Type:
    """The type that Tekton takes a value for: only lists and mappings of texts are arrays and objects.

    Everything else becomes a string, nested values as JSON (pkg/apis/pipeline/v1/param_types.go).
    """
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "array"
    if isinstance(value, dict) and all(isinstance(item, str) for item in value.values()):
        return "object"
    return "string"


def check_declarations(owner: Mapping[str, Any]) -> Iterator[Found]:
    """Names, types and defaults of the parameters that ``owner`` declares."""
    seen: set[str] = set()
    for index, spec in items(owner, "params"):
        path: Path = ("params", index)
        name, kind, default = spec.get("name"), spec.get("type"), spec.get("default")
        wrong = wrong_param_name(name, kind == "object")
        if wrong:
            yield path, wrong
        if name in seen:
            yield path, f"parameter `{name}` is declared twice"
        seen.add(str(name))
        if kind not in {None, "string", "array", "object"}:
            yield (*path, "type"), f"type `{kind}` is none of string, array and object"
        elif kind is not None and default is not None and value_type(default) != kind:
            yield (*path, "default"), f"parameter `{name}` is of type {kind}, its default is {an(value_type(default))}"
        if kind == "object" and not isinstance(spec.get("properties"), dict):
            yield path, f"parameter `{name}` of type object does not say its `properties`"
        allowed = spec.get("enum")
        if isinstance(allowed, list) and default is not None and default not in allowed:
            yield (*path, "default"), f"`{default}`, the default of parameter `{name}`, is not in its enum"


def check_given(
    owner: Mapping[str, Any],
    known: Mapping[str, Declared] | None,
    callee: str,
    given: Sequence[str] = (),
    passed: Sequence[str] = (),
    extra: bool = False,
) -> Iterator[Found]:
    """The parameters that ``owner`` gives to ``callee``, whose parameters are ``known``, or None.

    ``given`` names those that it gets elsewhere, ``passed`` those that are for somebody else. With ``extra`` there
    may be others, since the specs within ``callee`` see them too.
    """
    names: set[str] = set()
    for index, param in items(owner, "params"):
        name, path = str(param.get("name")), ("params", index)
        if name in names:
            yield path, f"parameter `{name}` is given twice"
        names.add(name)
        if "value" in param and param["value"] is None:
            yield (*path, "value"), f"the value of parameter `{name}` is nothing"
        elif name in passed:
            continue
        elif known is not None and name not in known:
            if not extra:
                yield path, f"{callee} has no parameter `{name}`{_listed(known)}"
        elif known is not None:
            yield from _check_value(param.get("value"), name, known[name], (*path, "value"), callee)
    for name, spec in (known or {}).items():
        if spec.required and name not in names and name not in given:
            yield ("params",), f"{callee} needs parameter `{name}`"


def _check_value(value: Any, name: str, spec: Declared, path: Path, callee: str) -> Iterator[Found]:
    kind = value_type(value)
    if isinstance(value, str) and _WHOLE.fullmatch(value) and (spec.type != "string" or "[*]" in value):
        return
    if kind != spec.type:
        yield path, f"parameter `{name}` of {callee} is of type {spec.type}, the value is {an(kind)}{_why(value, kind)}"
    elif kind == "object" and spec.needed - set(value):
        missing = ", ".join(f"`{key}`" for key in sorted(spec.needed - set(value)))
        yield path, f"parameter `{name}` of {callee} lacks {missing}"


def _why(value: Any, kind: Type) -> str:
    if kind == "object":
        return " (a mapping of texts only; give it as text, or nest a value that is no text)"
    if isinstance(value, list | dict):
        return " (not all of its values are texts)"
    return ""


def _listed(known: Mapping[str, Declared]) -> str:
    return f"; it has {', '.join(known)}" if known else "; it has none"


def check_param_reference(reference: Reference, known: Mapping[str, Declared]) -> str | None:
    """Why a ``$(params...)`` variable does not fit the declared parameters."""
    name = ".".join(reference.parts[1:])
    spec = known.get(name)
    if spec is None and len(reference.parts) == 3:
        owner = known.get(reference.parts[1])
        if owner is not None and owner.type == "object":
            key = reference.parts[2]
            return None if not owner.keys or key in owner.keys else f"`{reference.text}`: there is no key `{key}`"
    if spec is None:
        return f"`{reference.text}`: parameter `{name}` is not declared{_listed(known)}"
    if spec.type == "string":
        return f"`{reference.text}`: parameter `{name}` is a string" if reference.index else None
    if reference.index is None:
        hint = f"$(params.{name}[*])" if spec.type == "array" else f"$(params.{name}.KEY)"
        return f"`{reference.text}`: parameter `{name}` is {an(spec.type)}; write {hint}"
    if reference.index == "*" and not reference.isolated:
        return f"`{reference.text}`: all of {an(spec.type)} has to be an item of its own"
    return None
