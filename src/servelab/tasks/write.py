"""A study's document as text."""

from __future__ import annotations

from io import StringIO

from ruamel.yaml import YAML

from servelab.catalog.study import load_study
from servelab.spec.study import Study
from servelab.tasks.study import Imported


def study_text(imported: Imported) -> str:
    """YAML, with what a person should know on top."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None
    yaml.width = 110
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.representer.ignore_aliases = lambda _: True
    stream = StringIO()
    yaml.dump(imported.document, stream)
    return "".join(f"# note: {note}\n" for note in imported.notes) + stream.getvalue()


def study_of(imported: Imported, source: str = "the imported study") -> Study:
    """The study, checked as any other.

    Raises:
        DocumentError: it cannot run; one line per fault.
    """
    return load_study(study_text(imported), source)
