"""What the compiler makes of the samples that the original template tool was run on, case by case from the data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from servelab.tekton.compile import compile_template
from servelab.tekton.graph import explain
from servelab.tekton.values import read_mapping
from servelab.tekton.write import to_yaml

DATA = Path(os.environ.get("SERVELAB_BLIS_DATA", Path(__file__).parents[3] / "shared/data/blis"))
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"{DATA} is not here; its files have no licence and are not part of the project"
)


def _samples() -> list[tuple[str, Path, Path]]:
    """Golden's stem, template and values of each compiled sample."""
    found = []
    for template in sorted(DATA.glob("tektoncsample/*/*.yaml.j2")):
        stem = f"{template.parent.name}.{template.name.removesuffix('.yaml.j2')}"
        found.append((f"golden-tektonc/{stem}", template, template.with_name("values.yaml")))
    blis = DATA / "tektoncsample/blis/data_pipeline.yaml.j2"
    for golden in sorted(DATA.glob("golden-variants/*.pipeline.yaml")):
        stem = golden.name.removesuffix(".pipeline.yaml")
        found.append((f"golden-variants/{stem}.pipeline", blis, golden.with_name(f"{stem}.values.yaml")))
    return found


CASES = _samples() if DATA.is_dir() else []


@pytest.mark.parametrize(("golden", "template", "values"), CASES, ids=[case[0] for case in CASES])
def test_pipeline_equals_the_golden(golden: str, template: Path, values: Path) -> None:
    compiled = compile_template(template.read_text(), read_mapping(values.read_text(), "values"), template.name)
    expected = yaml.safe_load((DATA / f"{golden}.yaml").read_text())
    assert compiled.document == expected
    assert yaml.safe_load(to_yaml(compiled.document)) == expected


@pytest.mark.parametrize(("golden", "template", "values"), CASES, ids=[case[0] for case in CASES])
def test_explanation_equals_the_golden(golden: str, template: Path, values: Path) -> None:
    file = DATA / f"{golden}.explain.txt"
    if not file.exists():
        pytest.skip("the original's table of this variant was not kept")
    compiled = compile_template(template.read_text(), read_mapping(values.read_text(), "values"), template.name)
    assert explain(compiled.document).split() == file.read_text().split()


def test_the_cases_are_found() -> None:
    assert len(CASES) >= 7
