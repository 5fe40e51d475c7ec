"""The filters of the template language, beside Jinja's own."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any

from jinja2 import Undefined, UndefinedError

from servelab.tekton.limits import MAX_OUTPUT, MAX_RANGE, weigh
from servelab.tekton.slots import JsonText

LABEL_LENGTH = 63


def dns(value: Any) -> str:
    """``value`` as a DNS label: lower case, dashes for all else, a hash in place of what is past 63 characters."""
    label = re.sub(r"[^a-z0-9-]+", "-", str(value).lower()).strip("-")
    if len(label) <= LABEL_LENGTH:
        return label
    digest = hashlib.sha1(label.encode(), usedforsecurity=False).hexdigest()[:8]
    return f"{label[: LABEL_LENGTH - 9]}-{digest}".strip("-")


def slug(value: Any) -> str:
    """``value`` with a dash for each run of anything but letters, digits, dots, underscores and dashes."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", str(value))


def tojson(value: Any, indent: int | None = None, **options: Any) -> JsonText:
    """``value`` as JSON.

    Raises:
        ValueError: it is too large, or the indent is.
        TypeError: it has no JSON form.
    """
    if indent is not None and not 0 <= indent <= 16:
        raise ValueError("tojson indents by 0 to 16 spaces")
    if weigh(value, {}) > MAX_OUTPUT:
        raise ValueError("the value is too large for tojson")
    return JsonText(json.dumps(value, indent=indent, default=_refused, **options))


def _refused(value: Any) -> Any:
    if isinstance(value, Undefined):
        raise UndefinedError(value._undefined_message)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def enumerate_list(items: Iterable[Any] | None) -> list[dict[str, Any]]:
    """Each item with its index and its neighbours: i, item, prev_i, next_i, is_first, is_last, prev_item, next_item."""
    try:
        every = [] if items is None else list(items)
    except TypeError:
        return []
    last = len(every) - 1
    return [
        {
            "i": index,
            "item": item,
            "prev_i": index - 1,
            "next_i": index + 1 if index < last else None,
            "is_first": index == 0,
            "is_last": index == last,
            "prev_item": every[index - 1] if index else None,
            "next_item": every[index + 1] if index < last else None,
        }
        for index, item in enumerate(every)
    ]


def bounded_range(*bounds: int) -> range:
    """Python's range, of at most MAX_RANGE numbers.

    Raises:
        ValueError: it is longer.
    """
    numbers = range(*bounds)
    if numbers and abs(numbers[-1] - numbers[0]) // abs(numbers.step) >= MAX_RANGE:
        raise ValueError(f"range is longer than {MAX_RANGE:,}")
    return numbers
