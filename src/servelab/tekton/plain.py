"""Whether a string may stand bare in YAML text and still be read as what it is."""

from __future__ import annotations

import json
import re
from functools import lru_cache

import yaml

_WORDS = re.compile(r"[A-Za-z_/$][\w./@$()+-]*(?: [\w./@$()+-]+)*", re.ASCII)
_RESOLVED = frozenset(("true", "false", "yes", "no", "on", "off", "null", "y", "n"))


@lru_cache(maxsize=4096)
def is_plain_word(text: str) -> bool:
    """Whether ``text`` is words that YAML can only read as this string."""
    return _WORDS.fullmatch(text) is not None and text.lower() not in _RESOLVED


@lru_cache(maxsize=4096)
def reads_back(text: str) -> bool:
    """Whether bare ``text`` is one YAML scalar with the same characters, as ``8080`` is and ``1.10`` is not.

    And whether it stays as it is between quotes.
    """
    if is_plain_word(text):
        return True
    if any(character in text for character in "'\"\\"):
        return False
    try:
        node = yaml.compose(f"[{text}\n]", Loader=yaml.SafeLoader)
        read = yaml.safe_load(f"[{text}\n]")
    except (yaml.YAMLError, ValueError):
        return False
    if not isinstance(node, yaml.SequenceNode) or len(node.value) != 1:
        return False
    (scalar,) = node.value
    if not isinstance(scalar, yaml.ScalarNode) or scalar.style or scalar.value != text:
        return False
    (value,) = read
    return value == text or (isinstance(value, bool | int | float) and json.dumps(value) == text)


def typed(text: str) -> str | int | float | bool:
    """What YAML reads bare ``text`` as; the text itself where it does not read back."""
    if is_plain_word(text) or not reads_back(text):
        return text
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, bool | int | float) else text
