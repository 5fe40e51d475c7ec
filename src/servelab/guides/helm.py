"""Read the values of the llm-d-modelservice chart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from servelab.guides.command import read_command, replaced
from servelab.guides.config import ROLES, GuideConfig, Role, Sidecar, Stage, Unmapped
from servelab.guides.containers import PROBES, elements, named, other_probes, other_resources, probes, resources
from servelab.guides.kinds import MODEL_VALUES, check
from servelab.guides.tree import Node

MAPPED = {
    "modelArtifacts": ("name", "size", "authSecretName"),
    "routing": ("servicePort", "proxy"),
    "accelerator": ("type",),
}
MAPPED_STAGE = (
    "create", "replicas", "parallelism", "containers", "volumes", "schedulerName", "annotations", "podAnnotations",
    "extraConfig", "initContainers",
)  # fmt: skip
MAPPED_PARALLELISM = {"tensor": "tensor", "data": "data", "dataLocal": "data_local", "workers": "workers"}
MAPPED_CONTAINER = (
    "name", "image", "modelCommand", "command", "args", "env", "resources", "volumeMounts", "extraConfig",
    "securityContext", "imagePullPolicy", *PROBES,
)  # fmt: skip
MAPPED_PROXY = ("enabled", "image", "connector", "debugLevel")
IN_CONTAINER = ("securityContext", "imagePullPolicy")


def is_values(node: Node) -> bool:
    """Whether a document looks like values of the chart."""
    return bool({"modelArtifacts", "decode", "prefill"} & set(node.map))


def with_values(config: GuideConfig, values: Node) -> GuideConfig:
    """The guide with what the chart's values say.

    Raises:
        GuideError: one of them is of a wrong kind.
    """
    check(values, MODEL_VALUES)
    uri = values.get("modelArtifacts", "uri")
    decode, prefill = (_stage(role, values.get(role)) for role in ROLES)
    served = next((one.model for one in (decode, prefill) if one and one.model), None)
    model = values.get("modelArtifacts", "name") or (uri if uri and uri.text.startswith("hf://") else served)
    proxy = values.get("routing", "proxy")
    multinode = values.get("multinode")
    warnings = list(config.warnings)
    if uri and model and uri.text.startswith("hf://") and model.text.removeprefix("hf://") != uri.text[5:]:
        warnings.append(f"modelArtifacts.uri is {uri.text}, but its name {model.text}; the scenario has the name")
    unmapped = [Unmapped(path, node) for path, node in _rest(values)]
    return replace(
        config,
        model=model,
        model_id=model.text.removeprefix("hf://") if model else "",
        model_size=values.get("modelArtifacts", "size"),
        token_secret=values.get("modelArtifacts", "authSecretName"),
        accelerator=values.get("accelerator", "type"),
        multinode=multinode,
        service_port=values.get("routing", "servicePort"),
        decode=decode,
        prefill=prefill,
        sidecar=Sidecar(
            enabled=proxy.get("enabled") if proxy else None,
            image=proxy.get("image") if proxy else None,
            connector=proxy.get("connector") if proxy else None,
            debug_level=proxy.get("debugLevel") if proxy else None,
            source=proxy,
        ),
        unmapped=(*config.unmapped, *unmapped),
        warnings=tuple(warnings),
    )


def _stage(role: Role, node: Node | None) -> Stage | None:
    if node is None:
        return None
    container = named(elements(node, "containers"), "vllm")
    parallelism = node.get("parallelism")
    stage = Stage(
        role,
        create=node.get("create"),
        replicas=node.get("replicas"),
        parallelism={
            ours: found
            for theirs, ours in MAPPED_PARALLELISM.items()
            if parallelism and (found := parallelism.get(theirs))
        },
        volumes=elements(node, "volumes"),
        scheduler=node.get("schedulerName"),
        annotations=node.get("annotations"),
        pod_annotations=node.get("podAnnotations"),
        pod_config={
            **({"initContainers": found} if (found := node.get("initContainers")) else {}),
            **(extra.map if (extra := node.get("extraConfig")) else {}),
        },
    )
    if container is None:
        return stage
    return replace(
        stage,
        image=container.get("image"),
        model_command=container.get("modelCommand"),
        command=read_command(container.get("command"), container.get("args")),
        env=elements(container, "env"),
        mounts=elements(container, "volumeMounts"),
        container_config={
            **{name: found for name in IN_CONTAINER if (found := container.get(name))},
            **(extra.map if (extra := container.get("extraConfig")) else {}),
        },
        probes=probes(container),
        **resources(container),
    )


def _rest(values: Node) -> Iterator[tuple[str, Node]]:
    """Every value that nothing above takes, with its path."""
    for name, value in values.map.items():
        if name in ("decode", "prefill"):
            yield from _rest_of_stage(name, value)
        elif name in MAPPED:
            for field, inner in value.map.items():
                if name == "routing" and field == "proxy":
                    yield from _others(f"{name}.{field}", inner, MAPPED_PROXY)
                elif field not in MAPPED[name]:
                    yield from inner.leaves(f"{name}.{field}")
        elif name != "multinode":
            yield from value.leaves(name)


def _rest_of_stage(role: str, stage: Node) -> Iterator[tuple[str, Node]]:
    yield from _others(role, stage, MAPPED_STAGE)
    if (parallelism := stage.get("parallelism")) is not None:
        yield from _others(f"{role}.parallelism", parallelism, tuple(MAPPED_PARALLELISM))
    containers = elements(stage, "containers")
    chosen = named(containers, "vllm")
    for index, container in enumerate(containers):
        path = f"{role}.containers[{index}]"
        if container is chosen:
            yield from _others(path, container, MAPPED_CONTAINER)
            if (name := container.get("name")) is not None and name.text != "vllm":
                yield f"{path}.name", name
            yield from other_resources(container, path)
            yield from other_probes(container, path)
            yield from replaced(container, path)
        else:
            yield from container.leaves(path)


def _others(path: str, node: Node, mapped: tuple[str, ...]) -> Iterator[tuple[str, Node]]:
    for name, value in node.map.items():
        if name not in mapped:
            yield from value.leaves(f"{path}.{name}")
