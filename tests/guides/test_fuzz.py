"""Broken files end in one line that names the file, never in a traceback, and soon."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servelab.guides.convert import convert
from servelab.guides.parse import GuideError, parse
from servelab.guides.tree import Node

VALUES = """
modelArtifacts: {name: a/b, size: 1Gi}
routing: {proxy: {enabled: false, image: "x/y:1"}}
decode:
  replicas: 2
  parallelism: {tensor: 2}
  containers:
  - name: vllm
    image: ghcr.io/llm-d/llm-d-cuda:v0.5.0
    args: ["--max-model-len", "100", "--x={\\"a\\": 1}"]
    env: [{name: A, value: "1"}]
    resources: {limits: {cpu: 1, rdma/ib: 1}}
    volumeMounts: [{name: shm, mountPath: /dev/shm}]
  volumes: [{name: shm, emptyDir: {medium: Memory, sizeLimit: 1Gi}}]
prefill: {create: false}
"""
BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{one}: &{one} [{','.join(['*' + before] * 10)}]\n" for before, one in zip("abcdefgh", "bcdefghi", strict=True)
)
BROKEN = {
    "cut short": VALUES[:-200].encode(),
    "a bracket that stays open": b"decode: [1, 2\nmodelArtifacts: {}\n",
    "deep": b"[" * 100_000,
    "deep mappings": b"{a: " * 50_000,
    "ten megabytes": b"decode: {a: b}\n" + b"# x\n" * 2_600_000,
    "no UTF-8": b"modelArtifacts:\n  name: \xff\xfe\n",
    "an alias without its anchor": b"decode: *nothing\n",
    "an alias in itself": b"decode: &a [*a]\n",
    "a bomb": BOMB.encode(),
    "a control character": b"decode: \x01\n",
    "a list": b"- decode\n- prefill\n",
    "nothing": b"",
    "only a comment": b"# values\n",
    "an object of Python": b"!!python/object/apply:os.system ['true']\n",
    "binary": bytes(range(256)),
    "a name twice": b"modelArtifacts: {name: a/b}\ndecode: {replicas: 1}\nmodelArtifacts: {name: c/d}\n",
    "a name that is a list": b"decode:\n  ? [1, 2]\n  : 3\n",
    "many arguments": b"decode:\n  containers:\n  - args:\n" + b"    - --a\n" * 60_000,
}


def assert_converted_or_told(path: Path) -> None:
    """Every value is in the scenario or in its comments, or one line says what is wrong."""
    told, files = "", []
    try:
        files = [file.text for file in convert(str(path), form="both", explicit=True, use_tool=False).files]
    except GuideError as error:
        told = error.message
    assert files or told
    assert "\n" not in told
    values = parse(path.read_text("utf-8-sig"), str(path)) if files and path.is_file() else []
    for name, leaf in (leaf for one in values[:1] for leaf in one.leaves()):
        assert all(word in text for word in said_of(leaf) for text in files), name


def said_of(leaf: Node) -> list[str]:
    """The words of a value that has to be told, whatever quotes and escapes it stands between."""
    return [] if leaf.null else re.findall(r"[A-Za-z0-9]+", leaf.text)


@pytest.mark.parametrize("name", BROKEN)
def test_told_in_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_bytes(BROKEN[name])
    with pytest.raises(GuideError) as error:
        convert(str(path))
    assert "values.yaml" in error.value.message
    assert name == "nothing" or re.search(r"values\.yaml:\d+: |neither values", error.value.message)
    assert "\n" not in error.value.message
    assert len(error.value.message) < 500
    assert error.value.remedy


KUSTOMIZATION = """
resources: [d.yaml]
namePrefix: a-
configMapGenerator: [{name: c, literals: [a=b]}]
patches:
- target: {kind: Deployment, labelSelector: a=b}
  patch: |-
    - op: replace
      path: /spec/replicas
      value: 3
    - {op: test, path: /spec/replicas, value: 3}
    - {op: copy, from: /spec/replicas, path: /spec/more}
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: d, labels: {a: b}}
spec: {replicas: 2, template: {spec: {containers: [{name: vllm, args: [serve, a/b, --x, '1']}]}}}
"""
HELMFILE = """
environments: {default: {values: [{a: {b: c}}]}, x: {}}
---
{{- $n := (env "N") | default "name" }}
releases:
- name: {{ printf "ms-%s" $n | quote }}
  chart: x/llm-d-modelservice
  values:
  {{- if or (eq .Environment.Name "x") (not (eq $n "name")) }}
  - none.yaml
  {{- else }}
  - values.yaml
  - routing: {{ .Environment.Values.a | toYaml | nindent 4 }}
  {{- end }}
  set:
  - {name: "decode.containers[0].env[0].value", value: {{ $n }}}
"""
TREES = [
    {"values.yaml": VALUES},
    {"kustomization.yaml": KUSTOMIZATION, "d.yaml": DEPLOYMENT},
    {"helmfile.yaml.gotmpl": HELMFILE, "values.yaml": VALUES},
]
ODD = [
    b"[",
    b"{",
    b": ",
    b"- ",
    b"&a ",
    b"*a",
    b"null",
    b"!!binary ",
    b"\t",
    b"|",
    b">",
    b"{{",
    b"}}",
    b"{{ if eq }}",
    b"'",
]


def damaged(data: bytearray, rng: random.Random) -> bytearray:
    """Bytes are cut, doubled or changed."""
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data))
        kind = rng.randrange(4)
        if kind == 0:
            del data[at : at + rng.randint(1, 40)]
        elif kind == 1:
            data[at:at] = data[max(0, at - rng.randint(1, 40)) : at]
        elif kind == 2:
            data[at] = rng.randrange(256)
        else:
            data[at:at] = rng.choice(ODD)
        data = data or bytearray(b"x")
    return data


def test_words_of_no_flag_are_told(tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(VALUES.replace('"--max-model-len", "100"', '"model", "and more"'))
    assert "and more" in path.read_text()
    assert_converted_or_told(path)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(seed=st.integers(0, 10**9), tree=st.sampled_from(TREES))
def test_any_damage(seed: int, tree: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> None:
    """A conversion or one line, nothing else."""
    rng = random.Random(seed)
    folder = tmp_path_factory.mktemp("damage")
    hurt = rng.choice(list(tree))
    for name, text in tree.items():
        data = bytearray(text.encode())
        (folder / name).write_bytes(damaged(data, rng) if name == hurt else data)
    assert_converted_or_told(folder if len(tree) > 1 else folder / hurt)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    values=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "args", "env", "volumes", "containers", "resources", "limits", "image", "replicas", "create",
                 "parallelism", "tensor", "command", "volumeMounts", "emptyDir", "value", "proxy", "provider", "flags"]
            ),
            inner,
            max_size=4,
        ),
        max_leaves=20,
    ),
    where=st.sampled_from(["decode", "prefill", "routing", "modelArtifacts", "inferenceExtension", "accelerator"]),
)  # fmt: skip
def test_wrong_types_everywhere(values: object, where: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    import yaml

    path = tmp_path_factory.mktemp("types") / "values.yaml"
    given = {"decode": {"replicas": 1}, where: unique(values, count(70_001))}
    path.write_text(yaml.safe_dump(given, allow_unicode=True))
    assert_converted_or_told(path)


def unique(values: object, numbers: Iterator[int]) -> object:
    """The same with no number or text that is also elsewhere, so that none is found by chance."""
    if isinstance(values, dict):
        return {name: unique(value, numbers) for name, value in values.items()}
    if isinstance(values, list):
        return [unique(value, numbers) for value in values]
    if isinstance(values, str):
        return f"{values} {next(numbers)}"
    return values if values is None or isinstance(values, bool) else next(numbers)


CONTAINER = "decode:\n  containers: [{name: vllm, %s}]\n"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("decode:\n  containers: x", ":3: decode.containers is 'x', and must be a list"),
        ("decode:\n  volumes: 7", ":3: decode.volumes is '7', and must be a list"),
        ("decode:\n  volumes: [7]", ":3: decode.volumes[0] is '7', and must be a mapping of fields"),
        ("decode:\n  parallelism: 4", ":3: decode.parallelism is '4', and must be a mapping of fields"),
        (
            "decode:\n  parallelism: {tensor: [4]}",
            ":3: decode.parallelism.tensor is a list",
        ),
        ("decode:\n  replicas: two", ":3: decode.replicas is 'two', and must be a whole number"),
        ("decode:\n  podAnnotations: [x, y]", ":3: decode.podAnnotations is a list, and must be a mapping of fields"),
        (
            "decode:\n  podAnnotations: {a: {b: c}}",
            ":3: decode.podAnnotations.a is a mapping",
        ),
        (CONTAINER % "resources: 5", ":3: decode.containers[0].resources is '5', and must be a mapping of fields"),
        (CONTAINER % "resources: {limits: {cpu: [1]}}", ":3: decode.containers[0].resources.limits.cpu is a list"),
        (CONTAINER % "env: {FOO: bar}", ":3: decode.containers[0].env is a mapping, and must be a list"),
        (CONTAINER % "args: [{a: b}]", ":3: decode.containers[0].args[0] is a mapping, and must be a single value"),
        ("decode: 5", ":2: decode is '5', and must be a mapping of fields"),
        ("routing: x", ":2: routing is 'x', and must be a mapping of fields"),
        ("accelerator: [x]", ":2: accelerator is a list, and must be a mapping of fields"),
        ("modelArtifacts: {name: c/d}", ":2: 'modelArtifacts' is there twice, first in line 1"),
    ],
)
def test_a_value_of_a_wrong_kind_is_refused_with_its_line(values: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(f"modelArtifacts: {{name: a/b}}\n{values}\n")
    with pytest.raises(GuideError) as error:
        convert(str(path))
    assert said in error.value.message


def test_a_manifest_and_a_pool_of_a_wrong_kind_are_refused_too(tmp_path: Path) -> None:
    path = tmp_path / "d.yaml"
    path.write_text(DEPLOYMENT.replace("replicas: 2", "replicas: two"))
    with pytest.raises(GuideError, match=r"d.yaml:5: spec.replicas is 'two'"):
        convert(str(path))
    pool = tmp_path / "guides" / "x" / "gaie-x" / "values.yaml"
    pool.parent.mkdir(parents=True)
    pool.write_text("inferenceExtension:\n  pluginsCustomConfig: 5\n")
    values = tmp_path / "guides" / "x" / "ms-x" / "values.yaml"
    values.parent.mkdir()
    values.write_text(VALUES)
    with pytest.raises(GuideError, match=r"values.yaml:2: inferenceExtension.pluginsCustomConfig is '5'"):
        convert(str(values))


def test_a_level_of_resources_that_is_a_single_value_is_told(tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_text("modelArtifacts: {name: a/b}\n" + CONTAINER % "resources: {other: 71}")
    assert "decode.containers[0].resources.other: 71" in convert(str(path)).files[0].text
