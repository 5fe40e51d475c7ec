"""Read Kubernetes manifests: Deployments, LeaderWorkerSets, and what else runs vLLM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from servelab.guides.command import read_command, replaced
from servelab.guides.config import GuideConfig, Role, Sidecar, Stage, Unmapped
from servelab.guides.containers import elements, other_probes, other_resources, probes, resources
from servelab.guides.kinds import WORKLOAD, check
from servelab.guides.tree import Node, Scalar, scalar_of

LWS = "LeaderWorkerSet"
WORKLOADS = ("Deployment", "StatefulSet", LWS)
PROXY = ("routing-proxy", "routing-sidecar")
ROLE = "llm-d.ai/role"
TAKEN_POD = ("containers", "volumes", "initContainers", "schedulerName")
TAKEN_CONTAINER = (
    "name", "image", "command", "args", "env", "resources", "volumeMounts", "startupProbe", "readinessProbe",
    "livenessProbe",
)  # fmt: skip
IN_CONTAINER = ("securityContext", "imagePullPolicy", "lifecycle", "workingDir", "envFrom")
TEMPLATES = ("spec.template", "spec.leaderWorkerTemplate.workerTemplate")
TAKEN = tuple(f"{template}.{part}." for template in TEMPLATES for part in ("spec", "metadata.annotations"))
TAKEN_FIELDS = ("apiVersion", "kind", "metadata.name", "spec.replicas", "spec.leaderWorkerTemplate.size")
FROM_ENVIRONMENT = {"tensor": "TP_SIZE", "data_local": "DP_SIZE_LOCAL"}


def with_manifests(config: GuideConfig, objects: Sequence[Node]) -> GuideConfig:
    """The guide with what its objects say.

    Raises:
        GuideError: a value of what runs vLLM is of a wrong kind.
    """
    for one in objects:
        kind = one.map["kind"].text if "kind" in one.map else ""
        if kind in WORKLOADS:
            check(one, WORKLOAD)
        pod = _pod(one) if kind in WORKLOADS else None
        container = _server(pod) if pod else None
        if pod is None or container is None:
            config = replace(config, unmapped=(*config.unmapped, Unmapped(f"{kind} {_name(one)}", one)))
            continue
        config = _with_stage(config, one, kind, pod, container)
    return config


def _with_stage(config: GuideConfig, one: Node, kind: str, pod: Node, container: Node) -> GuideConfig:
    role = _role(one, pod)
    stage = _stage(role, one, kind, pod, container)
    if getattr(config, role) is not None:
        warning = f"{kind} {_name(one)} is a second {role} stage; it is left out, since a scenario has one"
        return replace(config, warnings=(*config.warnings, warning))
    config = replace(config, decode=stage) if role == "decode" else replace(config, prefill=stage)
    if not config.model_id and (model := stage.model) is not None:
        config = replace(config, model=model, model_id=model.text)
    if kind == LWS:
        config = replace(config, leader_worker_set=one.get("kind"))
    if role == "decode":
        proxy = _proxy(pod)
        config = replace(config, sidecar=_sidecar(proxy) if proxy else Sidecar(enabled=False))
    rest = [Unmapped(f"{_name(one)}: {path}", node) for path, node in _rest(one, pod, container)]
    return replace(config, unmapped=(*config.unmapped, *rest))


def _stage(role: Role, one: Node, kind: str, pod: Node, container: Node) -> Stage:
    command = read_command(container.get("command"), container.get("args"))
    template = one.get("spec", "template", "metadata", "annotations") or one.get(
        "spec", "leaderWorkerTemplate", "workerTemplate", "metadata", "annotations"
    )
    stage = Stage(
        role,
        replicas=one.get("spec", "replicas") or Node(Scalar("1", "tag:yaml.org,2002:int"), one.span),
        image=container.get("image"),
        command=command,
        env=elements(container, "env"),
        volumes=elements(pod, "volumes"),
        mounts=elements(container, "volumeMounts"),
        scheduler=pod.get("schedulerName"),
        pod_annotations=template,
        container_config={name: found for name in IN_CONTAINER if (found := container.get(name))},
        pod_config={
            **({"initContainers": own} if (own := _init_containers(pod)) else {}),
            **{
                name: value
                for name, value in pod.map.items()
                if name not in (*TAKEN_POD, "serviceAccountName") and not value.null
            },
        },
        probes=probes(container),
        **resources(container),
    )
    parallelism = {}
    for name, variable in FROM_ENVIRONMENT.items():
        if (value := stage.environment(variable)) is not None:
            parallelism[name] = Node(scalar_of(value.text), value.span)
    flag = command.flag("--tensor-parallel-size")
    if "tensor" not in parallelism and flag and flag.value and flag.value.isdecimal():
        parallelism["tensor"] = Node(scalar_of(flag.value), flag.span)
    if kind == LWS and (size := one.get("spec", "leaderWorkerTemplate", "size")):
        parallelism["workers"] = size
    return replace(stage, parallelism=parallelism)


def _sidecar(proxy: Node) -> Sidecar:
    connector = None
    for argument in elements(proxy, "args"):
        name, _, value = argument.text.partition("=")
        if name == "--connector":
            connector = replace(argument, content=Scalar(value))
    return Sidecar(True, proxy.get("image"), connector, None, proxy)


def _pod(one: Node) -> Node | None:
    return one.get("spec", "template", "spec") or one.get("spec", "leaderWorkerTemplate", "workerTemplate", "spec")


def _server(pod: Node) -> Node | None:
    """The container that runs vLLM."""
    containers = elements(pod, "containers")
    for container in containers:
        words = [one.text for one in (*elements(container, "command"), *elements(container, "args"))]
        if any("vllm" in word and ("serve" in word or "entrypoints" in word) for word in (*words, " ".join(words))):
            return container
    return next((one for one in containers if "name" in one.map and one.map["name"].text == "vllm"), None)


def _proxy(pod: Node) -> Node | None:
    everyone = (*elements(pod, "initContainers"), *elements(pod, "containers"))
    return next((one for one in everyone if _is_proxy(one)), None)


def _role(one: Node, pod: Node) -> Role:
    templates = (("template",), ("leaderWorkerTemplate", "workerTemplate"))
    labels = (one.get("spec", *path, "metadata", "labels", ROLE) for path in templates)
    label = one.get("metadata", "labels", ROLE) or next((found for found in labels if found), None)
    prefill = label.text == "prefill" if label else "prefill" in _name(one)
    return "prefill" if prefill else "decode"


def _rest(one: Node, pod: Node, container: Node) -> Iterator[tuple[str, Node]]:
    """Every value that nothing above takes, with its path."""
    for name, value in container.map.items():
        if name not in (*TAKEN_CONTAINER, *IN_CONTAINER):
            yield from value.leaves(f"containers[vllm].{name}")
    yield from other_resources(container, "containers[vllm]")
    yield from other_probes(container, "containers[vllm]")
    yield from replaced(container, "containers[vllm]")
    if (account := pod.get("serviceAccountName")) is not None:
        yield "serviceAccountName", account
    for name in ("initContainers", "containers"):
        for index, other in enumerate(elements(pod, name)):
            if other is container or (name == "initContainers" and not _is_proxy(other)):
                continue
            fields = {k: v for k, v in other.map.items() if not (_is_proxy(other) and k in ("name", "image"))}
            yield from replace(other, content=fields).leaves(f"{name}[{index}]")
    for path, value in one.leaves():
        if not path.startswith(TAKEN) and path not in TAKEN_FIELDS:
            yield path, value


def _init_containers(pod: Node) -> Node | None:
    own = [one for one in elements(pod, "initContainers") if not _is_proxy(one)]
    return replace(pod.map["initContainers"], content=own) if own else None


def _is_proxy(container: Node) -> bool:
    return "name" in container.map and container.map["name"].text in PROXY


def _name(one: Node) -> str:
    found = one.get("metadata", "name")
    return found.text if found else ""
