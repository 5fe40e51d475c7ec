"""Check the options that a study gives to a plug-in."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import ValidationError

from servelab.spec.base import Spec
from servelab.spec.errors import DocumentError, Fault

Options = TypeVar("Options", bound=Spec)


def read_options(kind: type[Options], options: Mapping[str, Any], owner: str) -> Options:
    """The options of plug-in ``owner`` as ``kind``.

    Raises:
        DocumentError: one is unknown or wrong; names the nearest.
    """
    try:
        return kind.model_validate(dict(options))
    except ValidationError as error:
        faults = []
        for fault in error.errors():
            name = ".".join(str(part) for part in fault["loc"])
            nearest = get_close_matches(name, list(kind.model_fields), n=1)
            hint = f", did you mean `{nearest[0]}`?" if nearest and fault["type"] == "extra_forbidden" else ""
            told = f"options.{name} of {owner}: {fault['msg'].removeprefix('Value error, ')}{hint}"
            faults.append(Fault(told, ("options", *fault["loc"])))
        raise DocumentError(tuple(faults)) from None
