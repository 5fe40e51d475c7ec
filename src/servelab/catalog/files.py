"""Read the catalog's YAML files."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from ruamel.yaml import YAML


def read_data(name: str) -> Any:
    """The plain data of ``data/NAME.yaml``.

    Raises:
        FileNotFoundError: there is no such file.
    """
    text = (files("servelab.catalog") / "data" / f"{name}.yaml").read_text(encoding="utf-8")
    return YAML(typ="safe", pure=True).load(text)
