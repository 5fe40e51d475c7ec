"""What the recommendation says for clusters is taken as it is by a real API server. All data are generated."""

from __future__ import annotations

from typing import Any

import pytest
from ruamel.yaml import YAML

from servelab.kube.accepted import dropped
from servelab.kube.cluster import Cluster
from servelab.kube.openapi import check_openapi
from servelab.kube.schemas import cluster_schemas
from servelab.platforms.ome.kinds import INFERENCE_SERVICE
from servelab.report.recommend import Recommendation, recommendation
from servelab.spec.errors import ServelabError
from tests.kubernetes import definitions

PARAMETERS = {"max_num_seqs": 64}
OWN = {"name": "vllm", "environment": {"A": "$(B)"}, "environment_from": ["HF_TOKEN"]}

CHART: dict[str, Any] = {
    "fullnameOverride": None,
    "multinode": None,
    "accelerator": {"type": None},
    "modelArtifacts": dict.fromkeys(("name", "labels", "uri", "size", "authSecretName", "mountPath")),
    "routing": {"servicePort": None, "proxy": {"enabled": None}},
    "decode": {
        "create": None,
        "replicas": None,
        "parallelism": {"tensor": None},
        "containers": {
            **dict.fromkeys(("name", "image", "modelCommand", "command", "args", "ports", "env", "resources")),
            **dict.fromkeys(("startupProbe", "readinessProbe", "mountModelVolume")),
        },
    },
    "prefill": {"create": None},
}
"""Fields of values.yaml and its templates in llm-d-incubation/llm-d-modelservice (024c0f2), as far as they are used."""


@pytest.fixture
def advise(generated, document):
    def build(simulated=False, **changes) -> Recommendation:
        made = generated(document=document(**changes), simulated=simulated, noise=0.01)
        made.baseline()
        made.add(PARAMETERS, 1300)
        made.verify({0: (1000, 0.3), 1: (1300, 0.3)})
        return recommendation(made.record(), made.trials)

    return build


def load_all(text: str) -> list[Any]:
    return list(YAML(typ="safe", pure=True).load_all(text))


@pytest.mark.parametrize("engine", [OWN, {"name": "sglang", "resources": {"accelerators": 2, "memory_gb": 64}}])
async def test_every_cluster_form_is_taken_as_it_is(cluster: Cluster, advise, engine) -> None:
    definitions("ome")
    advice = advise(engine=engine)
    objects = [*load_all(advice.form("kubernetes")), *load_all(advice.form("ome"))]
    assert [one["kind"] for one in objects] == ["Deployment", "Service", "InferenceService"]
    for one in objects:
        assert list(dropped(one, await cluster.apply(one, dry_run=True))) == []
    schemas = await cluster_schemas(cluster, [INFERENCE_SERVICE])
    assert schemas is not None
    schema = schemas(INFERENCE_SERVICE.api_version, INFERENCE_SERVICE.name)
    assert schema is not None
    assert list(check_openapi(objects[-1], schema)) == []


def test_an_inference_service_runs_what_was_measured_with_omes_own_path(advise) -> None:
    (service,) = load_all(advise(engine=OWN).form("ome"))
    runner = service["spec"]["engine"]["runner"]
    assert runner["name"] == "ome-container"
    assert [*runner["command"], runner["args"][0]] == ["vllm", "serve", "$(MODEL_PATH)"]
    assert runner["args"][runner["args"].index("--port") + 1] == "8080"
    assert "--max-num-seqs=64" in runner["args"]
    assert {"name": "A", "value": "$$(B)"} in runner["env"]
    assert runner["image"].startswith("vllm/vllm-openai")
    assert service["spec"]["model"] == {"kind": "ClusterBaseModel", "name": "qwen3-0-6b"}
    assert "runtime" not in service["spec"]


def test_a_study_on_ome_keeps_its_model_runtime_and_image(advise) -> None:
    options = {"model": "my-model", "runtime": {"name": "rt", "kind": "ServingRuntime"}}
    advice = advise(platform={"name": "ome", "options": options})
    (service,) = load_all(advice.form("ome"))
    assert service["spec"]["model"]["name"] == "my-model"
    assert service["spec"]["runtime"] == {"kind": "ServingRuntime", "name": "rt"}
    assert "image" not in service["spec"]["engine"]["runner"]


def test_a_path_of_the_cluster_is_no_path_elsewhere(generated, document) -> None:
    made = generated(document=document(platform="ome", engine={"name": "sglang"}), noise=0.01)
    made.baseline()
    made.add(PARAMETERS, 1300)
    made.verify({0: (1000, 0.3), 1: (1300, 0.3)})
    command = ("python3", "-m", "sglang.launch_server", "--model-path", "$(MODEL_PATH)", "--port", "8080")
    made.trials = [trial.model_copy(update={"command": command}) for trial in made.trials]
    advice = recommendation(made.record(), made.trials)
    for form in ("command", "docker", "compose", "kubernetes", "modelservice"):
        lines = [line for line in advice.form(form).splitlines() if not line.startswith("#")]
        assert not any("MODEL_PATH" in line for line in lines), form
        assert any("Qwen/Qwen3-0.6B" in line for line in lines), form
    (service,) = load_all(advice.form("ome"))
    assert "$(MODEL_PATH)" in service["spec"]["engine"]["runner"]["args"]


def test_values_of_the_chart(advise) -> None:
    resources = {"accelerators": 2, "memory_gb": 64, "cpus": 8}
    (values,) = load_all(advise(engine={**OWN, "resources": resources}).form("modelservice"))
    assert list(unknown(values, CHART)) == []
    (container,) = values["decode"]["containers"]
    assert container["modelCommand"] == "custom"
    assert [*container["command"], *container["args"]][:3] == ["vllm", "serve", "Qwen/Qwen3-0.6B"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "2"}
    assert values["decode"]["parallelism"]["tensor"] == 2
    assert values["routing"]["servicePort"] == container["ports"][0]["containerPort"]
    assert values["modelArtifacts"]["uri"] == "hf://Qwen/Qwen3-0.6B"
    assert values["modelArtifacts"]["authSecretName"] == "chat-on-vllm-env"
    assert values["modelArtifacts"]["size"].endswith("Gi")


def test_a_simulated_engine_is_not_recommended_to_a_cluster(advise) -> None:
    for form in ("ome", "modelservice"):
        with pytest.raises(ServelabError, match="simulated"):
            advise(simulated=True).form(form)


def unknown(values: Any, known: Any, path: str = "") -> Any:
    """Fields that the chart does not have."""
    if known is None:
        return
    for value in values if isinstance(values, list) else [values]:
        for name, child in value.items():
            if name not in known:
                yield f"{path}.{name}"
            else:
                yield from unknown(child, known[name], f"{path}.{name}")
