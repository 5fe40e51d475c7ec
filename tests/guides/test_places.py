"""Odd files and directories end in one line, and nothing outside of a guide is read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from servelab.guides.convert import convert
from servelab.guides.parse import GuideError

VALUES = "modelArtifacts: {name: a/b}\ndecode: {replicas: 2}\n"
DEPLOYMENT = """
kind: Deployment
metadata: {name: d}
spec: {template: {spec: {containers: [{name: vllm, image: a/b:1, args: [serve, a/b]}]}}}
"""


def told(path: Path | str) -> str:
    with pytest.raises(GuideError) as error:
        convert(str(path), use_tool=False)
    assert "\n" not in error.value.message
    assert error.value.exit_code == 2
    return error.value.message


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_no_plain_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    (tmp_path / "folder.yaml").mkdir()
    assert "no plain file" in told(tmp_path / "pipe.yaml")
    assert "no such file" in told(tmp_path / "loop.yaml")
    assert "zero.yaml" in told(tmp_path / "zero.yaml")
    assert "folder.yaml" in told(tmp_path / "folder.yaml")
    assert "no such file" in told("x" * 5000)
    assert "no guide" in told("/dev/zero")


def test_directories_without_end(tmp_path: Path) -> None:
    for name in "abcdef":
        (tmp_path / name).symlink_to(".")
    assert "too many directories" in told(tmp_path)


@pytest.mark.parametrize("name", ["a b", "a'b", "ü/π", "a\nb", "-x", "$(id)"])
def test_odd_names(name: str, tmp_path: Path) -> None:
    made = convert(str(put(tmp_path / name / "values.yaml", VALUES)), name="x", form="both")
    assert "DECODE_REPLICAS=2" in made.files[0].text


@pytest.mark.parametrize("way", ["{}", "../{}", "link"])
def test_files_outside_are_not_read(way: str, tmp_path: Path) -> None:
    secret = put(tmp_path / "secret", "token: hidden")
    guide = tmp_path / "repo" / "guides" / "x"
    put(guide / "deployment.yaml", DEPLOYMENT)
    path = {"{}": str(secret), "../{}": "../../../secret", "link": "link"}[way]
    (guide / "link").symlink_to(secret)
    put(
        guide / "kustomization.yaml",
        f"resources: [deployment.yaml]\nconfigMapGenerator: [{{name: c, files: ['{path}']}}]",
    )
    assert "outside" in told(guide)


def test_names_that_are_none(tmp_path: Path) -> None:
    put(tmp_path / "kustomization.yaml", 'resources: ["a\\0b.yaml"]')
    assert "kustomization.yaml" in told(tmp_path) or "null" in told(tmp_path)


def test_a_template_of_values(tmp_path: Path) -> None:
    text = 'modelArtifacts: {name: a/b}\n{{- if eq .Environment.Name "x" }}\ndecode: {replicas: 3}\n{{- end }}\n'
    path = put(tmp_path / "values.yaml.gotmpl", text)
    assert "DECODE_REPLICAS=3" in convert(str(path), variant="x").files[0].text
    assert "DECODE_REPLICAS=0" in convert(str(path)).files[0].text


def test_variants_of_one_guide_have_names_of_their_own(tmp_path: Path) -> None:
    made = []
    for place in ("cpu/manifests/vllm/lmcache", "storage/manifests/vllm/lmcache", "manifests/modelserver/base"):
        folder = tmp_path / "guides" / "tiered" / place
        put(folder / "deployment.yaml", DEPLOYMENT)
        put(folder / "kustomization.yaml", "resources: [deployment.yaml]")
        made.append(convert(str(folder), use_tool=False).config.name)
    assert made == ["tiered-cpu-lmcache", "tiered-storage-lmcache", "tiered"]
