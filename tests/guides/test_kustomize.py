# ruff: noqa: E501 - YAML as it is written
"""kustomize in Python, held against kustomize itself where it is installed, and against its recorded results."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from servelab.guides.kustomize import tool
from servelab.guides.kustomize.build import Build
from servelab.guides.parse import GuideError
from servelab.guides.place import place_of
from tests.guides.test_cases import DATA

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: model, labels: {app: model}}
spec:
  replicas: 2
  selector: {matchLabels: {app: model}}
  template:
    metadata: {labels: {app: model}}
    spec:
      serviceAccountName: runner
      initContainers:
      - {name: proxy, image: "example.com/proxy:1", args: [--port=8000]}
      containers:
      - name: vllm
        image: SERVER
        args: ["serve", "a/b", "--port", "8000"]
        env:
        - {name: A, value: "1"}
        - {name: B, value: "2"}
        - {name: FROM, valueFrom: {configMapKeyRef: {name: settings, key: x}}}
        ports: [{containerPort: 8000}]
        volumeMounts: [{name: data, mountPath: /data}]
      volumes: [{name: data, emptyDir: {}}, {name: conf, configMap: {name: settings}}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: runner}
---
apiVersion: v1
kind: Service
metadata: {name: model}
spec: {selector: {app: model}, ports: [{port: 80, targetPort: 8000}]}
"""
LWS = """
apiVersion: leaderworkerset.x-k8s.io/v1
kind: LeaderWorkerSet
metadata: {name: wide}
spec:
  replicas: 1
  leaderWorkerTemplate:
    size: 2
    workerTemplate:
      spec:
        containers:
        - {name: vllm, image: SERVER, env: [{name: A, value: "1"}, {name: B, value: "2"}]}
        volumes: [{name: shm, emptyDir: {medium: Memory}}]
"""
BASE = {"base/kustomization.yaml": "resources: [objects.yaml]\n", "base/objects.yaml": DEPLOYMENT}
LWS_BASE = {"base/kustomization.yaml": "resources: [objects.yaml]\n", "base/objects.yaml": LWS}
CASES = {
    "images": {"top/kustomization.yaml": "resources: [../base]\nimages: [{name: SERVER, newName: ghcr.io/x/y, newTag: v1}]\n"},
    "image tags": {
        "top/kustomization.yaml": "resources: [../base]\nimages: [{name: example.com/proxy, newTag: v2}, "
        "{name: SERVER, newName: a/b, digest: 'sha256:00aa'}]\n"
    },
    "replicas": {"top/kustomization.yaml": "resources: [../base]\nreplicas: [{name: model, count: 5}]\n"},
    "prefix, suffix, namespace": {
        "top/kustomization.yaml": "resources: [../base]\nnamePrefix: pre-\nnameSuffix: -suf\nnamespace: other\n"
    },
    "labels": {
        "top/kustomization.yaml": "resources: [../base]\nlabels: [{pairs: {x: why}, includeTemplates: true}, {pairs: {p: q}}]\n"
    },
    "common labels": {"top/kustomization.yaml": "resources: [../base]\ncommonLabels: {team: a}\ncommonAnnotations: {note: m}\n"},
    "strategic merge": {
        "top/kustomization.yaml": "resources: [../base]\npatches:\n- path: p.yaml\n",
        "top/p.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: model}\nspec:\n  replicas: 3\n  template:\n"
        "    spec:\n      containers:\n      - name: vllm\n        args: [only]\n        env:\n"
        "        - {name: B, value: '3'}\n        - {name: C, value: '4'}\n        - {name: A, $patch: delete}\n"
        "        ports: [{containerPort: 8000, name: http}]\n"
        "        volumeMounts: [{name: shm, mountPath: /dev/shm}]\n"
        "      volumes: [{name: shm, emptyDir: {medium: Memory}}, {name: data, emptyDir: {sizeLimit: 1Gi}}]\n"
        "      serviceAccountName: null\n",
    },
    "merge of two containers": {
        "top/kustomization.yaml": "resources: [../base]\npatchesStrategicMerge: [p.yaml]\n",
        "top/p.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: model}\nspec: {template: {spec: "
        "{containers: [{name: side, image: x}, {name: vllm, imagePullPolicy: Always}]}}}\n",
    },
    "json patches by index and name": {
        "top/kustomization.yaml": "resources: [../base]\npatches:\n- target: {kind: Deployment, name: mod.*}\n  patch: |-\n"
        "    - {op: replace, path: /spec/template/spec/containers/0/args/3, value: '9000'}\n"
        "    - {op: add, path: /spec/template/spec/containers/0/env/-, value: {name: Z, value: '9'}}\n"
        "    - {op: add, path: /spec/template/spec/containers/0/env/0, value: {name: W, value: '8'}}\n"
        "    - {op: remove, path: /spec/template/spec/initContainers}\n"
        "    - {op: add, path: /metadata/annotations, value: {a~1b: c}}\n"
        "    - {op: test, path: /spec/replicas, value: 2}\n"
        "    - {op: copy, from: /spec/replicas, path: /spec/revisionHistoryLimit}\n"
    },
    "patch by label": {
        "top/kustomization.yaml": "resources: [../base]\npatches:\n- target: {labelSelector: app=model}\n"
        "  patch: '[{\"op\": \"replace\", \"path\": \"/spec/replicas\", \"value\": 7}]'\n"
    },
    "config maps": {
        "top/kustomization.yaml": "resources: [../base]\nconfigMapGenerator:\n- name: settings\n  literals: [x=1, y='<&>']\n"
        "- name: files\n  files: [f.sh, other=f.sh]\n- name: plain\n  literals: [k=v]\n"
        "  options: {disableNameSuffixHash: true, labels: {l: m}}\n- name: env\n  envs: [e.env]\n",
        "top/f.sh": "#!/bin/sh\necho ünicode\n",
        "top/e.env": "# a comment\nA=1\nB=x=y\n",
    },
    "config maps merged": {
        "mid/kustomization.yaml": "resources: [../base]\nconfigMapGenerator: [{name: settings, literals: [x=1, z=3]}]\n",
        "top/kustomization.yaml": "resources: [../mid]\nnamePrefix: a-\n"
        "configMapGenerator: [{name: settings, behavior: merge, literals: [x=2]}]\n",
    },
    "components": {
        "comp/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\npatches:\n"
        "- target: {kind: Deployment}\n  patch: '[{\"op\": \"replace\", \"path\": \"/spec/replicas\", \"value\": 9}]'\n",
        "top/kustomization.yaml": "resources: [../base]\ncomponents: [../comp]\nnameSuffix: -x\n",
    },
    "a merge with a target keeps kind and name": {
        "top/kustomization.yaml": "resources: [../base]\npatches:\n- target: {kind: Deployment}\n  patch: |-\n"
        "    kind: other\n    metadata: {name: other}\n    spec: {replicas: 6}\n",
    },
    "patch finds an old name": {
        "mid/kustomization.yaml": "resources: [../base]\nnamePrefix: mid-\n",
        "top/kustomization.yaml": "resources: [../mid]\npatches:\n- target: {kind: Deployment, name: mid-model}\n"
        "  patch: '[{\"op\": \"replace\", \"path\": \"/spec/replicas\", \"value\": 4}]'\n",
    },
}  # fmt: skip
LWS_CASES = {
    "lists of unknown kinds are replaced": {
        "top/kustomization.yaml": "resources: [../base]\nimages: [{name: SERVER, newName: a/b, newTag: c}]\npatches:\n- path: p.yaml\n",
        "top/p.yaml": "apiVersion: leaderworkerset.x-k8s.io/v1\nkind: LeaderWorkerSet\nmetadata: {name: wide}\nspec:\n"
        "  leaderWorkerTemplate:\n    size: 4\n    workerTemplate:\n      spec:\n        containers:\n"
        "        - {name: vllm, image: SERVER, env: [{name: C, value: '3'}]}\n",
    },
    "what unknown kinds name is not renamed": {
        "top/kustomization.yaml": "resources: [../base]\nnamePrefix: p-\nconfigMapGenerator: [{name: cm, literals: [a=b]}]\n"
        "patches:\n- target: {kind: LeaderWorkerSet}\n  patch: |\n    - op: add\n"
        "      path: /spec/leaderWorkerTemplate/workerTemplate/spec/volumes/-\n"
        "      value: {name: cm, configMap: {name: cm}}\n",
    },
    "index patches": {
        "top/kustomization.yaml": "resources: [../base]\npatches:\n- target: {kind: LeaderWorkerSet}\n  patch: |\n"
        "    - op: add\n      path: /spec/leaderWorkerTemplate/workerTemplate/spec/containers/0/env/-\n"
        "      value: {name: NEW, value: 'on'}\n    - op: replace\n      path: /spec/leaderWorkerTemplate/size\n      value: 8\n",
    },
}


def laid_out(files: dict[str, str], directory: Path) -> Path:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory / "top"


def ours(top: Path) -> dict:
    place, path = place_of(str(top))
    return keyed([one.plain() for one in Build(place).objects(path)])


def keyed(objects: list[dict]) -> dict:
    return {(one["kind"], one["metadata"]["name"]): one for one in objects}


@pytest.mark.skipif(tool.command() is None, reason="neither kustomize nor kubectl is installed")
@pytest.mark.parametrize("name", [*CASES, *LWS_CASES])
def test_as_kustomize_itself(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool, "TIMEOUT", 240.0)
    files = {**BASE, **CASES[name]} if name in CASES else {**LWS_BASE, **LWS_CASES[name]}
    top = laid_out(files, tmp_path)
    theirs = tool.run(tool.command() or [], top)
    assert not isinstance(theirs, str), theirs
    assert ours(top) == keyed([one.plain() for one in theirs])


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no guides in {DATA}; set SERVELAB_SHARED")
@pytest.mark.parametrize(
    ("case", "folder"),
    [
        ("tiered-prefix-cache.offloading", "tiered-prefix-cache/cpu/manifests/vllm/offloading-connector"),
        ("wide-ep-lws", "wide-ep-lws/manifests/modelserver/base"),
    ],
)
def test_as_kustomize_once_did(case: str, folder: str) -> None:
    given = DATA / "cases" / case
    recorded = (given / "rendered.kubectl-kustomize-v5.5.0.yaml").read_text()
    assert ours(given / "guides" / folder) == keyed([one for one in yaml.safe_load_all(recorded) if one])


def test_a_value_knows_the_patch_that_set_it(tmp_path: Path) -> None:
    place, path = place_of(str(laid_out({**BASE, **CASES["json patches by index and name"]}, tmp_path)))
    deployment = Build(place).objects(path)[0]
    container = ("spec", "template", "spec", "containers", 0)
    port = deployment.get(*container, "args", 3)
    assert port is not None
    assert port.text == "9000"
    assert str(port.span) == "kustomization.yaml#L5-L5"
    first = deployment.get(*container, "env", 1, "value")
    assert first is not None
    assert str(first.span).startswith("../base/objects.yaml#L")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"top/kustomization.yaml": "resources: [nothing.yaml]\n"}, "nothing.yaml: there is no such file"),
        ({"top/kustomization.yaml": "resources: [../gone]\n"}, "kustomization.yaml:1: ../gone is no kustomization"),
        ({"top/kustomization.yaml": "resources: [../top]\n"}, "refer to one another"),
        ({"top/kustomization.yaml": "resources: [/etc/passwd]\n"}, "no file in or below its directory"),
        (
            {**BASE, "top/kustomization.yaml": "resources: [../base]\npatches:\n- patch: '[{op: remove, path: /x}]'\n"},
            "kustomization.yaml:3: a JSON patch needs a target",
        ),
        (
            {
                **BASE,
                "top/kustomization.yaml": "resources: [../base]\npatches:\n- target: {kind: Deployment}\n  patch: |\n"
                "    - op: replace\n      path: /spec/nothing\n      value: 1\n",
            },
            "kustomization.yaml:5: this patch replaces 'nothing', which is not there",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_line(files: dict[str, str], said: str, tmp_path: Path) -> None:
    place, path = place_of(str(laid_out(files, tmp_path)))
    with pytest.raises(GuideError) as error:
        Build(place).objects(path)
    assert said in error.value.message


def test_what_lies_elsewhere_is_told_and_left_out(tmp_path: Path) -> None:
    files = {
        **BASE,
        "top/kustomization.yaml": "resources: [../base, 'https://example.com/x?ref=v1']\nhelmCharts: [{name: a}]\n",
    }
    place, path = place_of(str(laid_out(files, tmp_path)))
    build = Build(place)
    assert len(build.objects(path)) == 3
    assert build.remote
    assert any("lies elsewhere" in one for one in build.warnings)
    assert any("helmCharts" in one for one in build.warnings)
