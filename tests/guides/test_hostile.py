"""What a guide says never runs where its scenario is sourced, and survives unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from servelab.guides.convert import convert
from tests.guides.evaluate import evaluate

EVIL = [
    "é\u2028x",
    "$(touch pwned)",
    "`touch pwned`",
    "a\ntouch pwned\n",
    "a\rtouch pwned\r",
    "EOF\ntouch pwned\nEOF\n",
    "'; touch pwned; '",
]


def values(evil: str) -> dict:
    return {
        "modelArtifacts": {"name": f"org/{evil}", evil: evil, "size": evil},
        "routing": {"proxy": {"image": evil, evil: evil}},
        evil: {evil: [evil, {evil: evil}]},
        "decode": {
            "schedulerName": evil,
            "podAnnotations": {evil: evil},
            "annotations": {"a": evil},
            "volumes": [{"name": evil, evil: evil}],
            "containers": [
                {
                    "name": "vllm",
                    "image": evil,
                    "args": ["--a", evil, f"--b={evil}", f"--{evil}"],
                    "env": [{"name": evil, "value": evil}, {"name": "LAST", "value": evil}],
                    "resources": {"limits": {"cpu": evil, f"x/{evil}": evil}},
                    "startupProbe": {"httpGet": {"path": evil}},
                }
            ],
        },
        "prefill": {"containers": [{"command": ["bash", "-c"], "args": [f"{evil}\nvllm serve {evil}\n{evil}"]}]},
    }


@pytest.mark.parametrize("evil", EVIL)
def test_nothing_of_a_guide_runs(evil: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "guides" / "x"
    folder.mkdir(parents=True)
    file = folder / "values_a\ntouch pwned\n.yaml"
    file.write_text(yaml.safe_dump(values(evil)))
    made = convert(str(file), form="both", explicit=True)
    scenario = evaluate(made.files[0].text, tmp_path)
    assert not list(tmp_path.rglob("pwned"))
    assert scenario.variables["DEPLOY_MODEL_LIST"] == f"org/{evil}"
    env = scenario.yaml("VLLM_MODELSERVICE_DECODE_ENVVARS_TO_YAML")
    assert env == [{"name": evil, "value": evil}, {"name": "LAST", "value": evil}]
    (declared,) = yaml.safe_load(made.files[1].text)["scenario"]
    assert declared["modelservice"]["decode"]["extraEnvVars"] == env
    assert declared["common"]["annotations"]["decode"]["pod"] == {evil: evil}


@pytest.mark.parametrize(
    "text", ["a\u2028b", "a\x85b", "a\u00a0b", "\t", " lead", "trail ", "a\n\n\n", "#x", "a: b", "0755", "~", ""]
)
def test_odd_texts_survive(text: str, tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump({"decode": {"containers": [{"env": [{"name": "A", "value": text}]}]}}))
    made = convert(str(file), name="x", form="declarative").files[0].text
    assert yaml.safe_load(made)["scenario"][0]["modelservice"]["decode"]["extraEnvVars"][0]["value"] == text
    scenario = evaluate("MODEL=a/b\n" + convert(str(file), name="x").files[0].text, tmp_path)
    assert scenario.yaml("VLLM_MODELSERVICE_DECODE_ENVVARS_TO_YAML") == [{"name": "A", "value": text}]
