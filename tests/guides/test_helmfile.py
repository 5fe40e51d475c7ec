"""Helmfiles: layers of values, environments, and what cannot be resolved."""

from __future__ import annotations

from pathlib import Path

import pytest

from servelab.guides.convert import convert
from servelab.guides.gotemplate import Template
from servelab.guides.helmfile import assigned, read_helmfile
from servelab.guides.parse import GuideError, parse_one
from servelab.guides.place import place_of
from tests.guides.evaluate import evaluate

HELMFILE = """\
environments:
  default: &D
    values:
      - env.yaml
  amd:
    <<: *D
  gke_tpu:
    values:
      - flags: {v: 5}
---
{{- $ns := .Namespace | default "ns" -}}
{{/* a comment
  over lines */}}
releases:
  - name: {{ printf "gaie-%s" (env "POSTFIX" | default "x") | quote }}
    chart: oci://registry.k8s.io/charts/inferencepool
    version: v1.3.0
    values:
      - gaie-x/values.yaml
      - inferenceExtension:
          flags:
            {{ .Environment.Values.flags | toYaml | nindent 12 }}
  - name: ms
    chart: llm-d-modelservice/llm-d-modelservice
    version: {{ .Environment.Values.version | default "v9" }}
    values:
    {{- if eq .Environment.Name "amd" }}
      - ms-x/values_amd.yaml
    {{- else if and (ne .Environment.Name "amd") (not (eq .Environment.Name "gke_tpu")) }}
      - ms-x/values.yaml
    {{- else }}
      - ms-x/values_tpu.yaml
    {{- end }}
    {{- if and (eq .Environment.Name "default") }}
      - decode:
          replicas: 7
    {{- end }}
    set:
      - name: decode.containers[0].env[1].value
        value: {{ printf "tcp://gaie-%s.%s:5557" "x" $ns | quote }}
      - name: decode.labels.a\\.b
        value: {{ lookup "v1" "Secret" "a" }}
"""
VALUES = """\
modelArtifacts: {name: a/b, size: 1Gi}
decode:
  replicas: 1
  containers:
  - name: vllm
    image: ghcr.io/llm-d/llm-d-cuda:v1
    modelCommand: vllmServe
    args: ["--x", "1", '--kv-events-config={"endpoint":"tcp://$(POD_IP):5557"}']
    env: [{name: A, value: "1"}, {name: ENDPOINT, value: ""}]
"""


@pytest.fixture
def guide(tmp_path: Path) -> Path:
    files = {
        "helmfile.yaml.gotmpl": HELMFILE,
        "env.yaml": "flags: {v: 1}\nversion: v0.4.5\n",
        "gaie-x/values.yaml": "inferenceExtension: {pluginsConfigFile: p.yaml, flags: {a: b}}\n",
        "ms-x/values.yaml": VALUES,
        "ms-x/values_amd.yaml": VALUES.replace("llm-d-cuda", "llm-d-rocm"),
        "ms-x/values_tpu.yaml": VALUES.replace("llm-d-cuda", "llm-d-tpu"),
    }
    folder = tmp_path / "guides" / "x"
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_layers_come_over_one_another(guide: Path, tmp_path: Path) -> None:
    made = convert(str(guide))
    scenario = evaluate(made.files[0].text, tmp_path)
    assert scenario.value("VLLM_MODELSERVICE_DECODE_REPLICAS") == "7"
    assert scenario.value("VLLM_MODELSERVICE_CHART_VERSION") == "v0.4.5"
    assert scenario.yaml("VLLM_MODELSERVICE_GAIE_FLAGS") == {"a": "b", "v": 1}
    env = scenario.yaml("VLLM_MODELSERVICE_DECODE_ENVVARS_TO_YAML")
    assert env == [{"name": "A", "value": "1"}, {"name": "ENDPOINT", "value": "tcp://gaie-x.ns:5557"}]
    assert scenario.flags("DECODE")["--kv-events-config"] == '{"endpoint":"tcp://$(POD_IP):5557"}'


@pytest.mark.parametrize(("variant", "image"), [("", "llm-d-cuda"), ("amd", "llm-d-rocm"), ("gke-tpu", "llm-d-tpu")])
def test_variants_are_environments(variant: str, image: str, guide: Path, tmp_path: Path) -> None:
    made = convert(str(guide), variant=variant)
    assert evaluate(made.files[0].text, tmp_path).value("LLMD_IMAGE_NAME") == image
    assert made.variants == ("default", "amd", "gke_tpu")


def test_a_values_file_finds_its_environment(guide: Path, tmp_path: Path) -> None:
    made = convert(str(guide / "ms-x" / "values_amd.yaml"))
    assert made.config.name == "x-amd"
    assert made.config.charts["gaie"].text == "v1.3.0"
    assert evaluate(made.files[0].text, tmp_path).value("VLLM_MODELSERVICE_GAIE_PLUGINS_CONFIGFILE") == "p.yaml"


def test_what_cannot_be_resolved_is_told_with_its_line(guide: Path) -> None:
    made = convert(str(guide))
    line = HELMFILE.splitlines().index('        value: {{ lookup "v1" "Secret" "a" }}') + 1
    assert any(f"helmfile.yaml.gotmpl:{line}:" in one and "lookup" in one for one in made.warnings)
    assert f"# WARNING: guides/x/helmfile.yaml.gotmpl:{line}:" in made.files[0].text


def test_an_unknown_variant_is_told_with_those_there_are(guide: Path) -> None:
    with pytest.raises(GuideError) as error:
        convert(str(guide), variant="xpu")
    assert "default, amd, gke_tpu" in error.value.remedy


def test_a_missing_values_file_is_a_warning(guide: Path) -> None:
    (guide / "gaie-x" / "values.yaml").unlink()
    assert any("gaie-x/values.yaml is not there" in one for one in convert(str(guide)).warnings)


def test_lines_stay_where_they_are() -> None:
    text = 'a: 1\n{{- if eq .Environment.Name "x" }}\nb: 2\n{{- else }}\nc: {{ "v" | quote }}\n{{- end }}\nd: 4\n'
    assert Template("y").render(text).text == 'a: 1\n\n\n\nc: "v"\n\nd: 4\n'
    assert Template("x").render(text).text == "a: 1\n\nb: 2\n\n\n\nd: 4\n"


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("a.b", {"a": {"b": "v", "c": [1, 2]}}),
        ("a.c[1]", {"a": {"c": [1, "v"]}}),
        ("a.c[3].d", {"a": {"c": [1, 2, {}, {"d": "v"}]}}),
        ("x\\.y/z", {"a": {"c": [1, 2]}, "x.y/z": "v"}),
    ],
)
def test_set_changes_one_value(path: str, wanted: object) -> None:
    values = parse_one("a: {c: [1, 2]}", "f")
    assert assigned(values, path, parse_one("v", "g")).plain() == wanted


def test_no_helmfile(tmp_path: Path) -> None:
    place, path = place_of(str(tmp_path))
    assert read_helmfile(place, path) is None
