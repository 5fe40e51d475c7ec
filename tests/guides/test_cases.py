"""The given guides: what is expected of each lies beside it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from servelab.guides.convert import convert
from tests.guides.evaluate import Evaluated, evaluate

SHARED = Path(os.environ.get("SERVELAB_SHARED", Path(__file__).parents[3] / "shared"))
DATA = SHARED / "data" / "convert-guide"
GIVEN = {
    "inference-scheduling": "guides/inference-scheduling",
    "inference-scheduling.cpu": "guides/inference-scheduling/ms-inference-scheduling/values_cpu.yaml",
    "pd-disaggregation": "guides/pd-disaggregation",
    "simulated-accelerators": "guides/simulated-accelerators",
    "tiered-prefix-cache.offloading": "guides/tiered-prefix-cache/cpu/manifests/vllm/offloading-connector",
    "wide-ep-lws": "guides/wide-ep-lws",
}
AUTOMATIC = ("--data-parallel-address", "--data-parallel-rpc-port", "--data-parallel-start-rank")
OURS = ("preprocesses", "/setup/preprocess")
OURS_IN = {
    "_MODEL_COMMAND": "custom",
    "_NETWORK_RESOURCE": "auto",
    "_MULTINODE": "true",
    "_REPLICAS": "0",
    "_ACCELERATOR_RESOURCE": "nvidia.com/gpu",
    "_EXTRA_VOLUMES": "configMap:|defaultMode:",
    "_PROVIDER_CONFIG": r"gaie-[\w.-]+\.svc\.cluster\.local",
}
"""What a scenario says by itself in a block that has a NOTE."""

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no guides in {DATA}; set SERVELAB_SHARED")


def expected(case: str) -> dict:
    return json.loads((DATA / "cases" / case / "expected.json").read_text())


@pytest.fixture(scope="module", params=GIVEN)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Evaluated, str, Path]:
    folder = DATA / "cases" / request.param
    conversion = convert(str(folder / GIVEN[request.param]), explicit=True)
    text = conversion.files[0].text
    return expected(request.param), evaluate(text, tmp_path_factory.mktemp("scenario")), text, folder


def same(found: str | bool | None, wanted: object) -> bool:
    """Equal as text, or as JSON, or as yes and no."""
    if isinstance(wanted, bool) or isinstance(found, bool):
        return str(found).lower() == str(wanted).lower()
    try:
        return json.loads(str(found)) == json.loads(str(wanted))
    except ValueError:
        return found == str(wanted)


def test_every_variable(case: tuple[dict, Evaluated, str, Path]) -> None:
    wanted, scenario, _, _ = case
    wrong = {}
    for name, value in wanted["variables"].items():
        found = scenario.value(name.removeprefix("LLMDBENCH_"))
        if not same(found, value):
            wrong[name] = (value, found)
    assert not wrong


def test_every_environment_variable(case: tuple[dict, Evaluated, str, Path]) -> None:
    wanted, scenario, _, _ = case
    for role, env in wanted["env"].items():
        assert (scenario.yaml(f"VLLM_MODELSERVICE_{role}_ENVVARS_TO_YAML") or []) == env


def test_every_flag(case: tuple[dict, Evaluated, str, Path]) -> None:
    wanted, scenario, _, _ = case
    for role, flags in wanted["vllm_args"].items():
        found = scenario.flags(role)
        for name, value in flags.items():
            if name in AUTOMATIC:
                assert name not in found
            elif name == "--port":
                assert found[name] in ("8000", "8200")
            elif value == "ARITH":
                assert found[name] == "$((LWS_GROUP_SIZE * DP_SIZE_LOCAL))"
            elif str(value).startswith("$TP_SIZE"):
                assert found[name] == next(e["value"] for e in wanted["env"][role] if e["name"] == "TP_SIZE")
            else:
                assert same(found.get(name), value), (role, name)


def test_every_volume_and_mount(case: tuple[dict, Evaluated, str, Path]) -> None:
    wanted, scenario, _, _ = case
    for role, names in wanted["volumes"].items():
        found = scenario.yaml(f"VLLM_MODELSERVICE_{role}_EXTRA_VOLUMES")
        assert found[0]["name"] == "preprocesses"
        assert [one["name"] for one in found if one["name"] not in OURS] == names
    for role, mounts in wanted["volumeMounts"].items():
        found = scenario.yaml(f"VLLM_MODELSERVICE_{role}_EXTRA_VOLUME_MOUNTS")
        assert [[m["name"], m["mountPath"]] for m in found if m["mountPath"] not in OURS] == mounts


def test_plugins_and_flags_of_the_scheduler(case: tuple[dict, Evaluated, str, Path]) -> None:
    wanted, scenario, _, _ = case
    plugins = scenario.yaml("VLLM_MODELSERVICE_GAIE_CUSTOM_PLUGINS") or {}
    assert {name: yaml.safe_load(text) for name, text in plugins.items()} == wanted.get("customPlugins", {})
    assert wanted.get("gaieFlags", {}).items() <= scenario.yaml("VLLM_MODELSERVICE_GAIE_FLAGS").items()


def test_images_and_security_context(case: tuple[dict, Evaluated, str, Path]) -> None:
    wanted, scenario, _, _ = case
    image = "{}/{}/{}:{}".format(*(scenario.value(f"LLMD_IMAGE_{p}") for p in ("REGISTRY", "REPO", "NAME", "TAG")))
    assert image in wanted["image"].values()
    for role, context in wanted.get("securityContext", {}).items():
        config = scenario.yaml(f"VLLM_MODELSERVICE_{role}_EXTRA_CONTAINER_CONFIG") or {}
        assert config.get("securityContext") == context


def test_what_has_no_variable_is_a_comment(case: tuple[dict, Evaluated, str, Path]) -> None:
    wanted, _, text, _ = case
    comments = [line for line in text.splitlines() if line.startswith("#")]
    for argument in wanted.get("routing_proxy_args", []):
        assert any(argument in line for line in comments)
    for kind in wanted.get("guide_command", {}).values():
        assert any(kind in line for line in comments) or f"MODEL_COMMAND={kind}" in text


def test_only_known_variables(case: tuple[dict, Evaluated, str, Path]) -> None:
    from servelab.catalog.guides import scenarios

    _, scenario, _, _ = case
    assert [name for name in scenario.variables if not scenarios().known(name)] == []


def test_every_source_line_is_true(case: tuple[dict, Evaluated, str, Path]) -> None:
    """The lines exist, and hold the value: every word of it that the guide can have."""
    _, _, text, folder = case
    found = 0
    for comments, body in blocks(text):
        spans = re.findall(r"SOURCE: (\S+)#L(\d+)-L(\d+)", comments)
        held = ""
        for file, first, last in spans:
            lines = (folder / file).read_text().splitlines()
            assert 1 <= int(first) <= int(last) <= len(lines), (file, first, last)
            held += "\n".join(lines[int(first) - 1 : int(last)]) + "\n"
            found += 1
        for word in words(body) if spans else ():
            assert word in held or ("NOTE" in comments and is_ours(word, body)), (word, spans)
    assert found > 10


def is_ours(word: str, body: str) -> bool:
    """Whether a NOTE explains the word: the scenario says it otherwise than the guide."""
    variable = body.partition("=")[0]
    return any(variable.endswith(name) and re.fullmatch(own, word) for name, own in OURS_IN.items())


def blocks(text: str) -> list[tuple[str, str]]:
    """Comments, and the export or heredoc below them."""
    parts = []
    for block in text.split("\n\n"):
        lines = block.splitlines()
        comments = [line for line in lines if line.startswith("#")]
        body = [line for line in lines if not line.startswith("#")]
        if body:
            parts.append(("\n".join(comments), "\n".join(body)))
    return parts


def words(body: str) -> list[str]:
    """The values of a block: of an export its right side, of a heredoc every word that is not llm-d-benchmark's."""
    if "<< EOF" not in body:
        return [
            re.sub(r' # default$|^"|"$', "", line.split("=", 1)[1]) for line in body.splitlines() if "$" not in line
        ]
    inner = body.split("\n", 2)[2].rsplit("\n", 1)[0]
    inner = re.sub(r"(?s)^REPLACE_ENV.*?--port \S+", "", inner)
    found = re.findall(r"[\w./:@%-]{3,}", re.sub(r"REPLACE_ENV_\w+|--tensor-parallel-size", "", inner))
    return [word for word in found if "preprocess" not in word and word not in ("configMap", "defaultMode", "0755")]


@pytest.mark.parametrize("name", GIVEN)
def test_every_declarative_key_is_known_today(name: str) -> None:
    """It is in defaults.yaml, maybe as a comment of what may be overridden, or a scenario of today has it."""
    config = DATA / "today" / "config"
    text = (config / "templates" / "values" / "defaults.yaml").read_text()
    scenarios = "".join(path.read_text() for path in (config / "scenarios" / "guides").glob("*.yaml"))
    made = convert(str(DATA / "cases" / name / GIVEN[name]), form="declarative").files[0].text
    (scenario,) = yaml.safe_load(made)["scenario"]
    own = {**scenario.pop("common"), **scenario.pop("modelservice"), **scenario}
    assert own.pop("enabled") is True
    assert list(unknown(own, yaml.safe_load(text), text + scenarios)) == []


def unknown(made: object, known: object, text: str, path: str = "") -> Iterator[str]:
    if isinstance(made, dict) and isinstance(known, dict) and known:
        for name, value in made.items():
            if name in known:
                yield from unknown(value, known[name], text, f"{path}.{name}")
            elif not re.search(rf"(?m)(^|[ #.`]){re.escape(name)}[:`]", text):
                yield f"{path}.{name}"
