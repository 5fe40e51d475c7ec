"""Experiments for the pipeline that comes with servelab: of a study, or of files that leave out what it brings."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML

from servelab.catalog.study import load_study
from servelab.tekton import shipped
from servelab.tekton.experiment import TEMPLATE, VALUES, Experiment
from servelab.tekton.render import GROUP, render_study
from servelab.tekton.values import read_mapping
from servelab.tekton.write import to_yaml


def study_experiment(study: str, source: str, values: Mapping[str, Any] | None = None, name: str = "") -> Experiment:
    """The experiment that runs a study with explicit treatments; ``name`` is its id, else the study's name.

    Raises:
        DocumentError: the study is not valid, or has something that the pipeline cannot do.
    """
    rendered = render_study(load_study(study, source), experiment=name or None, values=values)
    return Experiment(shipped.text(GROUP, TEMPLATE), to_yaml(rendered.values), to_yaml(rendered.run), study)


def with_shipped_pipeline(texts: Mapping[str, str]) -> dict[str, str]:
    """Files without a template, as ``servelab ask`` writes them, with ours and with the values that it needs."""
    return {**texts, TEMPLATE: shipped.text(GROUP, TEMPLATE), VALUES: _completed(texts[VALUES])}


def _completed(values: str) -> str:
    own = read_mapping(shipped.text(GROUP, VALUES), VALUES)
    there = read_mapping(values, VALUES)
    yaml = YAML(typ="rt", pure=True)
    yaml.preserve_quotes, yaml.width = True, 4096
    tree = yaml.load(values)
    for name in own.keys() - there.keys():
        tree[name] = own[name]
    stream = io.StringIO()
    yaml.dump(tree, stream)
    return stream.getvalue()
