"""Each line that is written knows the lines of the guide that it is from."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelab.guides.convert import Conversion, convert
from servelab.guides.upload import uploaded
from tests.guides.test_cases import DATA, GIVEN

VALUES = """\
modelArtifacts: {name: a/b}
decode:
  containers:
  - name: vllm
    modelCommand: vllmServe
    args:
    - "--max-model-len"
    - "100"
    - --enforce-eager
    env:
    - name: A
      value: "1"
    - name: B
      valueFrom:
        fieldRef: {fieldPath: status.podIP}
  volumes:
  - name: own
    emptyDir: {}
"""
POOL = """\
inferenceExtension:
  pluginsConfigFile: own.yaml
  pluginsCustomConfig:
    own.yaml: |
      # mine
      plugins:
      - type: queue-scorer

    other.yaml: >
      folded
      text
inferencePool: {targetPorts: [{number: 8000}]}
"""


def converted() -> Conversion:
    sent = uploaded([("x/ms-x/values.yaml", VALUES.encode()), ("x/gaie-x/values.yaml", POOL.encode())])
    return convert((sent, "x"), form="both")


def origin(made: Conversion, file: int, text: str) -> str:
    """The lines of the guide that the line with this text is from."""
    (line,) = [one for one in made.files[file].lines if one.text.strip().removesuffix(" \\") == text]
    texts = made.sources
    return "\n".join("\n".join(texts[s.file].splitlines()[s.first - 1 : s.last]) for s in line.spans)


@pytest.mark.parametrize("file", [0, 1])
def test_a_line_is_from_the_lines_that_say_it(file: int) -> None:
    made = converted()
    assert origin(made, file, "- name: A").strip() == "- name: A"
    assert origin(made, file, 'value: "1"').strip() == 'value: "1"'
    assert "fieldPath" in origin(made, file, "fieldPath: status.podIP")
    assert origin(made, file, "--enforce-eager").strip() == "- --enforce-eager"
    assert origin(made, file, "# mine").strip() == "# mine"
    assert origin(made, file, "- type: queue-scorer").strip() == "- type: queue-scorer"
    assert "folded" in origin(made, file, "folded text")
    assert "own" in origin(made, file, "- name: own")


def test_what_is_not_the_guides_is_from_nowhere() -> None:
    made = converted()
    assert origin(made, 0, "mountPath: /setup/preprocess") == ""
    assert all(span.file in made.sources for file in made.files for line in file.lines for span in line.spans)
    assert set(made.sources) == {"x/ms-x/values.yaml", "x/gaie-x/values.yaml"}


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no guides in {DATA}; set SERVELAB_SHARED")
@pytest.mark.parametrize("case", GIVEN)
def test_a_guide_that_is_sent_becomes_what_it_does_in_a_directory(case: str) -> None:
    top = DATA / "cases" / case
    files = [(str(one.relative_to(top)), one.read_bytes()) for one in (top / "guides").rglob("*") if one.is_file()]
    sent = convert((uploaded(files), GIVEN[case]), form="both", use_tool=False)
    local = convert(str(top / GIVEN[case]), form="both", use_tool=False)
    for one, other in zip(sent.files, local.files, strict=True):
        assert body(one.text) == body(other.text)
        assert [line.spans for line in one.lines] == [line.spans for line in other.lines]
    assert sent.sources == local.sources
    assert all(Path(name).suffix for name in sent.sources)


def body(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("# Based on")]
