"""Whatever values a guide has, a shell that sources its scenario and a reader of its YAML get them back unchanged."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servelab.guides.convert import convert
from tests.guides.evaluate import Evaluated, evaluate, flags_of

NASTY = [
    "$(POD_IP)",
    "a'b",
    'say "hi"',
    "back\\slash",
    "`date`",
    "${HOME}",
    "{}",
    "line\nbreak",
    "EOF",
    "tab\there",
    "ü",
    "#no",
]
names = st.text(string.ascii_uppercase + "_", min_size=1, max_size=12)
labels = st.text(string.ascii_lowercase, min_size=1, max_size=8)
texts = st.one_of(
    st.sampled_from(NASTY),
    st.text(string.printable.replace("\x0b", "").replace("\x0c", "").replace("\r", ""), max_size=25),
)
numbers = st.integers(0, 64)
json_values = st.dictionaries(
    labels, st.one_of(labels, numbers, st.booleans(), st.sampled_from(NASTY)), min_size=1, max_size=3
)
flag_values = st.one_of(st.none(), labels, numbers.map(str), json_values.map(json.dumps), st.sampled_from(NASTY))
variables = st.builds(
    lambda name, value, ref: {"name": name, **({"value": value} if ref is None else {"valueFrom": {"fieldRef": ref}})},
    names, texts, st.one_of(st.none(), st.just({"fieldPath": "status.podIP"})),
)  # fmt: skip
volumes = st.builds(
    lambda name, limit: {"name": name, "emptyDir": {"medium": "Memory", "sizeLimit": limit}},
    labels,
    st.sampled_from(["1Gi", "400G"]),
)


@st.composite
def stages(draw: st.DrawFn) -> dict[str, Any]:
    args: list[str] = []
    for flag, value in draw(st.dictionaries(labels.map(lambda name: f"--x-{name}"), flag_values, max_size=5)).items():
        joined = draw(st.booleans()) and value is not None
        args += [f"{flag}={value}"] if joined else [flag] if value is None else [flag, str(value)]
    own = draw(st.lists(volumes, max_size=3, unique_by=lambda one: one["name"]))
    return {
        "create": draw(st.booleans()),
        "replicas": draw(numbers),
        "parallelism": {"tensor": draw(st.integers(1, 8)), "data": draw(st.integers(1, 8))},
        "containers": [
            {
                "name": "vllm",
                "image": f"ghcr.io/llm-d/{draw(labels)}:v{draw(numbers)}",
                "modelCommand": "vllmServe",
                "args": [one for one in args if not one.startswith("-") or one.startswith("--")],
                "env": draw(st.lists(variables, max_size=4, unique_by=lambda one: one["name"])),
                "resources": {"requests": {"cpu": str(draw(numbers)), "memory": f"{draw(numbers)}Gi"}},
                "volumeMounts": [{"name": one["name"], "mountPath": f"/mnt/{one['name']}"} for one in own],
                "securityContext": {"runAsUser": draw(numbers)},
            }
        ],
        "volumes": own,
    }


@st.composite
def guides(draw: st.DrawFn) -> dict[str, Any]:
    guide = {
        "modelArtifacts": {"name": f"{draw(labels)}/{draw(labels)}", "size": f"{draw(numbers)}Gi"},
        "decode": draw(stages()),
    }
    return guide | ({"prefill": draw(stages())} if draw(st.booleans()) else {})


def path_of(guide: dict[str, Any], directory: Path) -> Path:
    path = directory / "values.yaml"
    path.write_text(yaml.safe_dump(guide, sort_keys=False, allow_unicode=True))
    return path


QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@QUICK
@given(guide=guides())
def test_a_shell_gets_everything_back(guide: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("guide")
    made = convert(str(path_of(guide, directory)), explicit=True, use_tool=False)
    scenario = evaluate(made.files[0].text, directory)
    assert scenario.value("DEPLOY_MODEL_LIST") == guide["modelArtifacts"]["name"]
    assert scenario.value("VLLM_COMMON_PVC_MODEL_CACHE_SIZE") == guide["modelArtifacts"]["size"]
    for role in ("decode", "prefill"):
        if role in guide:
            assert_stage(guide[role], role.upper(), scenario)
        else:
            assert scenario.value("VLLM_MODELSERVICE_PREFILL_REPLICAS") == "0"


def assert_stage(stage: dict[str, Any], role: str, scenario: Evaluated) -> None:
    base = f"VLLM_MODELSERVICE_{role}"
    container = stage["containers"][0]
    assert scenario.value(f"{base}_REPLICAS") == str(stage["replicas"] if stage["create"] else 0)
    assert scenario.value(f"{base}_TENSOR_PARALLELISM") == str(stage["parallelism"]["tensor"])
    assert scenario.value(f"{base}_DATA_PARALLELISM") == str(stage["parallelism"]["data"])
    assert scenario.value(f"{base}_CPU_NR") == container["resources"]["requests"]["cpu"]
    assert scenario.value(f"{base}_CPU_MEM") == container["resources"]["requests"]["memory"]
    assert (scenario.yaml(f"{base}_ENVVARS_TO_YAML") or []) == container["env"]
    own = [one for one in scenario.yaml(f"{base}_EXTRA_VOLUMES") or [] if one["name"] != "preprocesses"]
    assert [one["name"] for one in own] == [one["name"] for one in stage["volumes"]]
    assert scenario.yaml(f"{base}_EXTRA_CONTAINER_CONFIG") == {"securityContext": container["securityContext"]}
    found = scenario.flags(role)
    for name, value in expected_flags(container["args"]).items():
        assert found[name] == value


def expected_flags(args: list[str]) -> dict[str, str | bool]:
    wanted: dict[str, str | bool] = {}
    last = ""
    for word in args:
        if word.startswith("--"):
            last, sign, value = word.partition("=")
            wanted[last] = value if sign else True
        else:
            wanted[last] = word if wanted[last] is True else f"{wanted[last]} {word}"
    return wanted


@QUICK
@given(guide=guides())
def test_a_reader_of_yaml_gets_everything_back(guide: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("guide")
    made = convert(str(path_of(guide, directory)), form="declarative", use_tool=False)
    scenario = yaml.safe_load(made.files[0].text)["scenario"][0]
    assert scenario["common"]["model"]["name"] == guide["modelArtifacts"]["name"]
    assert scenario["common"]["storage"]["modelPvc"]["size"] == guide["modelArtifacts"]["size"]
    for role in ("decode", "prefill"):
        if role not in guide:
            assert scenario["modelservice"]["prefill"]["enabled"] is False
            continue
        stage, found = guide[role], scenario["modelservice"][role]
        container = stage["containers"][0]
        assert found["enabled"] == stage["create"]
        assert found["replicas"] == (stage["replicas"] if stage["create"] else 0)
        assert found["parallelism"] == {"tensor": stage["parallelism"]["tensor"], "data": stage["parallelism"]["data"]}
        assert found["resources"]["requests"] == container["resources"]["requests"]
        assert found.get("extraEnvVars", []) == container["env"]
        volumes = [{k: v for k, v in one.items() if k != "type"} for one in found.get("additionalVolumes", [])]
        assert volumes == stage["volumes"]
        assert found.get("additionalVolumeMounts", []) == container["volumeMounts"]
        assert found["extraContainerConfig"] == {"securityContext": container["securityContext"]}
        flags = flags_of(found["vllm"]["customCommand"])
        for name, value in expected_flags(container["args"]).items():
            assert flags[name] == value
    image = scenario["common"]["images"]["vllm"]
    assert f"{image['repository']}:{image['tag']}" == guide["decode"]["containers"][0]["image"]
