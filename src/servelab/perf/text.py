"""YAML of plain data."""

from __future__ import annotations

from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString


def yaml_text(data: Any) -> str:
    """Plain data as YAML; text of several lines stays readable."""
    yaml = YAML(typ="rt", pure=True)
    yaml.width = 4096
    stream = StringIO()
    yaml.dump(_readable(data), stream)
    return stream.getvalue()


def _readable(data: Any) -> Any:
    if isinstance(data, dict):
        return {name: _readable(value) for name, value in data.items()}
    if isinstance(data, list):
        return [_readable(value) for value in data]
    return LiteralScalarString(data) if isinstance(data, str) and "\n" in data else data
