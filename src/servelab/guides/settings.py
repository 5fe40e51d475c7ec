"""What a guide sets, as fields of a scenario: the one list that both kinds of scenario are written from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from servelab.catalog.guides import scenarios
from servelab.guides.config import ROLES, GuideConfig, Image, Role, Stage, image_of
from servelab.guides.parse import parse_one
from servelab.guides.setting import Setting, plain, spans_of
from servelab.guides.tree import Node, Scalar, made, scalar_of

NOT_IN_GUIDE = "llm-d-benchmark convention, not in the guide"
DEFAULT_PLUGINS = "default-plugins.yaml"
PAIRS = "names and values, as llm-d-benchmark reads them"
PREPROCESSES = parse_one(
    "{name: preprocesses, configMap: {defaultMode: 0755, name: llm-d-benchmark-preprocesses}}", "servelab"
)
PREPROCESS_MOUNT = made({"name": "preprocesses", "mountPath": "/setup/preprocess"})


def settings(config: GuideConfig) -> list[Setting]:
    """All that the guide sets, in the order in which a scenario has it."""
    return [one for one in _all(config) if one.value.scalar is None or not one.value.null]


def _all(config: GuideConfig) -> Iterator[Setting]:
    if config.model is not None:
        yield Setting("model", replace(config.model, content=Scalar(config.model_id)), spans_of(config.model))
    yield from plain("model_size", config.model_size)
    yield from plain("token_secret", config.token_secret)
    yield from _images(config)
    for name in ("infra", "modelservice", "gaie"):
        yield from plain(f"chart.{name}", config.charts.get(name))
    yield from plain("gateway_class", config.gateway_class)
    yield from plain("gateway_service", config.gateway_service)
    yield from _scheduler(config)
    yield from _sidecar(config)
    yield from plain("service_port", config.service_port)
    yield from _accelerator(config)
    yield from _multinode(config)
    yield from _common(config)
    for role in ROLES:
        stage = config.decode if role == "decode" else config.prefill
        if stage is not None:
            yield from _stage_settings(stage)
        else:
            yield Setting("stage.replicas", made(0), role=role, note=f"the guide has no {role} stage")


def _images(config: GuideConfig) -> Iterator[Setting]:
    own = next((stage.image for stage in config.stages if stage.image is not None), None)
    if own is not None:
        yield from _image("image", image_of(own))
    if config.sidecar.image is not None:
        yield from _image("sidecar.image", image_of(config.sidecar.image))
    scheduler = config.scheduler
    if scheduler.image_hub is not None:
        registry, _, repository = scheduler.image_hub.text.partition("/")
        yield from _part("scheduler.image.registry", registry, scheduler.image_hub)
        yield from _part("scheduler.image.repository", repository, scheduler.image_hub)
    yield from plain("scheduler.image.name", scheduler.image_name)
    yield from plain("scheduler.image.tag", scheduler.image_tag)


def _image(field: str, image: Image) -> Iterator[Setting]:
    for part in ("registry", "repository", "name", "tag"):
        text = getattr(image, part)
        note = "" if text in image.node.text else f"{image.node.text} means Docker Hub's"
        yield from _part(f"{field}.{part}", text, image.node, note)


def _part(field: str, text: str, source: Node, note: str = "") -> Iterator[Setting]:
    if text:
        yield Setting(field, Node(Scalar(text), source.span), spans_of(source), note=note)


def _scheduler(config: GuideConfig) -> Iterator[Setting]:
    scheduler = config.scheduler
    preset = scheduler.plugins_file is not None and scheduler.plugins_file.text in scenarios().presets
    note = f"setup/presets/gaie/{scheduler.plugins_file.text} exists too" if preset and scheduler.plugins_file else ""
    custom = scheduler.custom_plugins
    if custom is not None and custom.map:
        file = scheduler.plugins_file or made(DEFAULT_PLUGINS)
        said = "" if scheduler.plugins_file else "the guide names no pluginsConfigFile; this is the chart's own"
        yield Setting("scheduler.plugins_file", file, spans_of(file), note=said, always=True)
        yield from plain("scheduler.custom_plugins", custom, note=f"{note}; this takes precedence" if note else "")
    else:
        yield from plain("scheduler.plugins_file", scheduler.plugins_file)
    if scheduler.flags is not None and scheduler.flags.map:
        yield from plain("scheduler.flags", scheduler.flags)
    yield from plain("scheduler.prometheus", scheduler.prometheus)
    if scheduler.provider_config is not None and scheduler.provider_config.map:
        note = "a host in it is that of the guide's own release"
        yield from plain("scheduler.provider_config", scheduler.provider_config, note=note)


def _sidecar(config: GuideConfig) -> Iterator[Setting]:
    sidecar = config.sidecar
    if isinstance(sidecar.enabled, Node):
        yield from plain("sidecar.enabled", sidecar.enabled)
    elif sidecar.enabled is not None:
        spans = spans_of(sidecar.source) if sidecar.source else ()
        note = f"the guide's decode pods have {'a' if sidecar.enabled else 'no'} routing proxy"
        yield Setting("sidecar.enabled", made(sidecar.enabled), spans, note=note)
    yield from plain("sidecar.connector", sidecar.connector)
    yield from plain("sidecar.debug_level", sidecar.debug_level)


def _accelerator(config: GuideConfig) -> Iterator[Setting]:
    if (kind := config.accelerator) is not None:
        asked = next((one.accelerator_resource for one in config.stages if one.accelerators is not None), kind.text)
        resource = scenarios().accelerators.get(kind.text, asked)
        yield Setting("accelerator", made(resource, kind.span), spans_of(kind), note=f"accelerator.type is {kind.text}")
        return
    for stage in config.stages:
        if stage.accelerators is not None and stage.accelerator_resource != "nvidia.com/gpu":
            yield Setting("accelerator", made(stage.accelerator_resource), spans_of(stage.accelerators))
            return


def _multinode(config: GuideConfig) -> Iterator[Setting]:
    if (kind := config.leader_worker_set) is not None:
        yield Setting("multinode", made(True), spans_of(kind), note=f"the guide's pods are of a {kind.text}")
    else:
        yield from plain("multinode", config.multinode)
    if config.spans_nodes:
        for stage in config.stages:
            if (size := stage.parallelism.get("workers")) is not None:
                note = "pods of a group; the stages' own variables below are what takes effect"
                yield Setting("group_size", size, spans_of(size), note=note)
                return


def _common(config: GuideConfig) -> Iterator[Setting]:
    """What only a variable of all stages takes; where the stages differ, decode's counts."""
    for stage in config.stages:
        if stage.scheduler is not None:
            yield from plain("scheduler_name", stage.scheduler)
            break
    for flag, field in (("--max-model-len", "max_model_len"), ("--block-size", "block_size")):
        for stage in config.stages:
            found = stage.command.flag(flag) if stage.command else None
            if found is not None and found.value and found.value.isdecimal():
                yield Setting(field, Node(scalar_of(found.value), found.span), (found.span,) if found.span else ())
                break
    for stage in config.stages:
        if stage.annotations is not None and stage.annotations.map:
            yield Setting("annotations", stage.annotations, stage.annotations.spans(), note=PAIRS)
            break


def _stage_settings(stage: Stage) -> Iterator[Setting]:
    role = stage.role
    if stage.create is not None and not stage.create.true:
        asked = f", whatever replicas ({stage.replicas.text}) says" if stage.replicas is not None else ""
        yield Setting("stage.replicas", made(0), spans_of(stage.create), role, f"create is {stage.create.text}{asked}")
    else:
        yield from plain("stage.replicas", stage.replicas, role)
    for name in ("tensor", "data", "data_local", "workers"):
        yield from plain(f"stage.{name}", stage.parallelism.get(name), role)
    yield from plain("stage.cpu", stage.cpu, role)
    yield from plain("stage.memory", stage.memory, role)
    yield from plain("stage.ephemeral_storage", stage.ephemeral_storage, role)
    if stage.network is not None:
        note = f"the guide asks for {stage.network_resource}; `auto` finds the cluster's own"
        yield Setting("stage.network_resource", made("auto"), spans_of(stage.network), role, note)
        yield from plain("stage.network", stage.network, role)
    if _counts_differ(stage):
        yield from plain("stage.accelerators", stage.accelerators, role)
    yield from plain("stage.shared_memory", stage.shared_memory, role)
    utilization = stage.command.flag("--gpu-memory-utilization") if stage.command else None
    if utilization is not None and utilization.value:
        yield from plain("stage.memory_utilization", Node(scalar_of(utilization.value), utilization.span), role)
    if stage.pod_annotations is not None and stage.pod_annotations.map:
        yield Setting("stage.pod_annotations", stage.pod_annotations, stage.pod_annotations.spans(), role, PAIRS)
    yield from _probes(stage)
    yield from _files(stage)


def _counts_differ(stage: Stage) -> bool:
    """Whether the pods have another number of accelerators than their parallelism makes."""
    if stage.accelerators is None:
        return False
    product = 1
    for name in ("tensor", "data_local"):
        text = stage.parallelism[name].text if name in stage.parallelism else "1"
        product *= int(text) if text.isdecimal() else 1
    return stage.accelerators.text != str(product)


def _probes(stage: Stage) -> Iterator[Setting]:
    for probe, path, field in (
        ("startupProbe", ("httpGet", "path"), "startup_path"),
        ("startupProbe", ("initialDelaySeconds",), "startup_delay"),
        ("startupProbe", ("failureThreshold",), "startup_failures"),
        ("readinessProbe", ("httpGet", "path"), "readiness_path"),
    ):
        found = stage.probes[probe].get(*path) if probe in stage.probes else None
        yield from plain(f"stage.{field}", found, stage.role)


def _files(stage: Stage) -> Iterator[Setting]:
    role = stage.role
    if stage.env:
        yield _file("stage.env", Node(list(stage.env)), role)
    names = {one.map["name"].text for one in stage.volumes if "name" in one.map}
    if stage.volumes or stage.mounts or stage.command is not None:
        ours = "preprocesses" not in names
        volumes = [*([PREPROCESSES] if ours else []), *stage.volumes]
        mounts = [*stage.mounts, *([PREPROCESS_MOUNT] if ours else [])]
        note = "preprocesses is llm-d-benchmark's own" if ours else ""
        yield Setting("stage.volumes", Node(volumes), Node(list(stage.volumes)).spans(), role, note)
        yield Setting("stage.mounts", Node(mounts), Node(list(stage.mounts)).spans(), role, note)
    if stage.container_config:
        yield _file("stage.container_config", Node(dict(stage.container_config)), role)
    if stage.pod_config:
        yield _file("stage.pod_config", Node(dict(stage.pod_config)), role)


def _file(field: str, node: Node, role: Role) -> Setting:
    return Setting(field, node, node.spans(), role)
