"""The rules of a scenario, on small guides of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from servelab.guides.convert import Conversion, convert
from servelab.guides.parse import GuideError
from tests.guides.evaluate import Evaluated, evaluate


def converted(values: str, folder: Path, file: str = "guides/x/ms-x/values.yaml") -> tuple[Conversion, Evaluated, dict]:
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(values)
    made = convert(str(path), form="both", explicit=True)
    (declared,) = yaml.safe_load(made.files[1].text)["scenario"]
    return made, evaluate(made.files[0].text, folder), declared


def stage(fields: str, more: str = "") -> str:
    return f"modelArtifacts: {{name: a/b}}\ndecode:\n  containers: [{{name: vllm, {fields}}}]\n  {more}\n"


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("ghcr.io/llm-d/llm-d-cuda:v1", ("ghcr.io", "llm-d", "llm-d-cuda", "v1")),
        ("vllm/vllm-tpu:v1", ("docker.io", "vllm", "vllm-tpu", "v1")),
        ("busybox", ("docker.io", "library", "busybox", "auto")),
        ("r:5000/a/b/c@sha256:12", ("r:5000", "a/b", "c@sha256", "12")),
        ("r.io/a/c:v1@sha256:12", ("r.io", "a", "c", "v1@sha256:12")),
    ],
)
def test_images(image: str, parts: tuple[str, ...], tmp_path: Path) -> None:
    _, scenario, _ = converted(stage(f'image: "{image}"'), tmp_path)
    assert tuple(scenario.value(f"LLMD_IMAGE_{part}") for part in ("REGISTRY", "REPO", "NAME", "TAG")) == parts


def test_the_preprocess_volume_is_there_without_any_of_the_guide(tmp_path: Path) -> None:
    _, scenario, _ = converted(stage("args: [--x]"), tmp_path)
    assert scenario.yaml("VLLM_MODELSERVICE_DECODE_EXTRA_VOLUMES")[0]["name"] == "preprocesses"
    assert scenario.yaml("VLLM_MODELSERVICE_DECODE_EXTRA_VOLUME_MOUNTS")[0]["mountPath"] == "/setup/preprocess"


def test_an_image_with_vllm_is_started_by_us_and_a_simulator_by_itself(tmp_path: Path) -> None:
    args = "modelCommand: imageDefault, args: [--block-size=128, '--y={\"a\": [1]}']"
    _, scenario, declared = converted(stage(f"image: ghcr.io/llm-d/llm-d-hpu:v1, {args}"), tmp_path)
    assert scenario.variables["VLLM_MODELSERVICE_DECODE_MODEL_COMMAND"] == "custom"
    assert scenario.flags("DECODE")["--block-size"] == "128"
    assert scenario.flags("DECODE")["--y"] == '{"a": [1]}'
    assert "customCommand" in declared["modelservice"]["decode"]["vllm"]
    _, scenario, declared = converted(stage(f"image: ghcr.io/llm-d/llm-d-inference-sim:v1, {args}"), tmp_path)
    assert scenario.variables["VLLM_MODELSERVICE_DECODE_MODEL_COMMAND"] == "imageDefault"
    assert declared["modelservice"]["decode"]["vllm"]["args"] == ["--block-size=128", '--y={"a": [1]}']


def test_every_other_value_of_a_container_is_a_comment(tmp_path: Path) -> None:
    fields = (
        "mountModelVolume: false, command: [bash, -c], args: [vllm serve a/b], "
        "livenessProbe: {httpGet: {path: /alive}}, startupProbe: {periodSeconds: 31, failureThreshold: 7}, "
        "resources: {limits: {cpu: 8, rdma/ib: 1, x.com/efa: 2}, requests: {cpu: 4}, claims: [{name: gpus}]}"
    )
    made, scenario, declared = converted(stage(fields), tmp_path)
    at = "decode.containers[0]."
    for one in (
        "mountModelVolume: false", "command[0]: bash", "livenessProbe.httpGet.path: /alive", "resources.limits.cpu: 8",
        "startupProbe.periodSeconds: 31", "resources.limits.rdma/ib: 1", "resources.claims[0].name: gpus",
    ):  # fmt: skip
        assert f"#   {at}{one}" in made.files[0].text, one
    assert "#   decode.containers[0].startupProbe.failureThreshold" not in made.files[0].text
    assert scenario.variables["VLLM_MODELSERVICE_DECODE_CPU_NR"] == "4"
    assert declared["modelservice"]["decode"]["resources"]["limits"]["cpu"] == 8
    assert declared["modelservice"]["decode"]["resources"]["requests"]["cpu"] == 4


def test_annotations_that_pairs_cannot_hold(tmp_path: Path) -> None:
    made, scenario, declared = converted(stage("args: [--x]", "podAnnotations: {a.io/b: c, list: '[1,2]'}"), tmp_path)
    assert scenario.variables["VLLM_MODELSERVICE_DECODE_PODANNOTATIONS"] == "a.io/b:c"
    assert "#   decode.podAnnotations.list: [1,2]" in made.files[0].text
    assert declared["common"]["annotations"]["decode"]["pod"] == {"a.io/b": "c", "list": "[1,2]"}


def test_what_stages_do_not_share_is_told(tmp_path: Path) -> None:
    values = stage("image: a/b:1, args: [--max-model-len=1]", "schedulerName: one") + (
        "prefill:\n  schedulerName: two\n  containers: [{image: 'a/b:2', args: [--max-model-len=2]}]\n"
    )
    made, scenario, _ = converted(values, tmp_path)
    told = "\n".join(made.warnings)
    assert "images (a/b:1, a/b:2)" in told
    assert '"one" and "two"' in told
    assert "--max-model-len" in told
    assert all(f"# WARNING: {one}" in made.files[0].text for one in made.warnings)
    assert scenario.flags("PREFILL")["--max-model-len"] == "2"


def test_oddities_stay_and_are_told(tmp_path: Path) -> None:
    fields = "image: a/b, args: [e/f, --tensor-parallel-size, 4, --model, g/h], resources: {requests: {memory: 400G}}"
    values = stage(fields, "parallelism: {tensor: 2}") + "accelerator: {type: strange}\nprefill: {create: false}\n"
    made, scenario, _ = converted(values.replace("name: a/b", "name: a/b, uri: hf://c/d"), tmp_path)
    told = "\n".join(made.warnings)
    assert all(one in told for one in ("400G", "hf://c/d", "strange", "--tensor-parallel-size 4", "e/f", "g/h"))
    assert scenario.variables["VLLM_MODELSERVICE_DECODE_CPU_MEM"] == "400G"
    assert scenario.variables["VLLM_COMMON_ACCELERATOR_RESOURCE"] == "strange"
    assert scenario.flags("DECODE")["--tensor-parallel-size"] == "4"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("guides/my-deployment-values.yaml", "my-deployment-values"),
        ("guides/config.yaml", "config"),
        ("guides/x/ms-x/values_amd.yaml", "x-amd"),
        ("guides/x/ms-x/values-hpu.yaml", "x-hpu"),
        ("a/x/values.yaml", "x"),
        ("a/my-guide.yaml", "my-guide"),
    ],
)
def test_names(file: str, name: str, tmp_path: Path) -> None:
    assert converted(stage("args: [--x]"), tmp_path, file)[0].config.name == name


def test_a_source_names_the_lines_of_templates_and_patches_too(tmp_path: Path) -> None:
    guide = tmp_path / "guides" / "x"
    (guide / "ms-x").mkdir(parents=True)
    (guide / "ms-x" / "values.yaml").write_text(stage("args: [--x], env: [{name: A}]"))
    (guide / "helmfile.yaml.gotmpl").write_text(
        "environments: {default: {}}\n---\n"
        '{{- $name := "" | default "some-name" -}}\n'
        "releases:\n- chart: x/llm-d-modelservice\n  name: ms\n  values: [ms-x/values.yaml]\n"
        "  set:\n  - {name: 'decode.containers[0].env[0].value', value: {{ $name | quote }}}\n"
    )
    text = convert(str(guide)).files[0].text
    block = next(one for one in text.split("\n\n") if "DECODE_ENVVARS_TO_YAML=" in one)
    assert 'value: "some-name"' in block
    assert {"helmfile.yaml.gotmpl#L3-L3", "helmfile.yaml.gotmpl#L9-L9"} <= {
        line.rpartition("/")[2] for line in block.splitlines() if "SOURCE" in line
    }


def test_a_source_names_the_path_of_a_patch(tmp_path: Path) -> None:
    base = (
        "kind: Deployment\nmetadata: {name: d}\nspec:\n  template:\n    spec:\n      containers:\n"
        "      - {name: vllm, image: 'a/b:1', args: [serve, a/b], securityContext: {}}\n"
    )
    (tmp_path / "d.yaml").write_text(base)
    (tmp_path / "kustomization.yaml").write_text(
        "resources: [d.yaml]\npatches:\n- target: {kind: Deployment}\n  patch: |-\n    - op: add\n"
        "      path: /spec/template/spec/containers/0/securityContext/privileged\n      value: true\n"
    )
    text = convert(str(tmp_path), name="x").files[0].text
    assert "# SOURCE: kustomization.yaml#L6-L7" in text
    assert "privileged: true" in text


def test_plugins_of_the_guide_are_always_named(tmp_path: Path) -> None:
    guide = tmp_path / "guides" / "x"
    (guide / "ms-x").mkdir(parents=True)
    (guide / "gaie-x").mkdir()
    (guide / "ms-x" / "values.yaml").write_text(stage("args: [--x]"))
    for named in ("pluginsConfigFile: default-plugins.yaml, ", ""):
        text = f"inferenceExtension: {{{named}pluginsCustomConfig: {{default-plugins.yaml: 'plugins: []'}}}}\n"
        (guide / "gaie-x" / "values.yaml").write_text(text)
        scenario = evaluate(convert(str(guide)).files[0].text, tmp_path)
        assert scenario.variables["VLLM_MODELSERVICE_GAIE_PLUGINS_CONFIGFILE"] == "default-plugins.yaml"
        assert scenario.yaml("VLLM_MODELSERVICE_GAIE_CUSTOM_PLUGINS") == {"default-plugins.yaml": "plugins: []"}


def test_a_stage_that_there_is_not(tmp_path: Path) -> None:
    values = "modelArtifacts: {name: a/b}\nprefill: {containers: [{args: [--x]}]}\n"
    _, scenario, declared = converted(values, tmp_path)
    assert scenario.variables["VLLM_MODELSERVICE_DECODE_REPLICAS"] == "0"
    assert declared["modelservice"]["decode"] == {"replicas": 0, "enabled": False}


def test_the_role_of_a_group_of_pods(tmp_path: Path) -> None:
    lws = (
        "kind: LeaderWorkerSet\nmetadata: {name: x}\nspec: {replicas: 3, leaderWorkerTemplate: {size: 2, "
        "workerTemplate: {metadata: {labels: {llm-d.ai/role: prefill}}, "
        "spec: {containers: [{name: vllm, args: [serve, a/b]}]}}}}\n"
    )
    _, scenario, _ = converted(lws, tmp_path)
    assert scenario.variables["VLLM_MODELSERVICE_PREFILL_REPLICAS"] == "3"
    assert scenario.variables["VLLM_MODELSERVICE_PREFILL_NUM_WORKERS_PARALLELISM"] == "2"
    assert scenario.variables["VLLM_MODELSERVICE_DECODE_REPLICAS"] == "0"


@pytest.mark.parametrize(
    ("file", "variant", "fits"),
    [
        ("guides/x/ms-x/values_cpu.yaml", "cpu", True),
        ("guides/x/ms-x/values_cpu.yaml", "CPU", True),
        ("guides/x/ms-x/values_cpu.yaml", "amd", False),
        ("guides/x/ms-x/values_cpu.yaml", "default", False),
        ("guides/x/ms-x/values.yaml", "default", True),
        ("n.yaml", "amd", False),
    ],
)
def test_a_file_of_another_variant_is_refused(file: str, variant: str, fits: bool, tmp_path: Path) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(stage("args: [--x]"))
    if fits:
        assert convert(str(path), variant=variant).runnable
        return
    with pytest.raises(GuideError, match=f"{path.name}: this is not of the variant '{variant}'"):
        convert(str(path), variant=variant)
