"""What a guide sets, as fields of a scenario: the one list that both kinds of scenario are written from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from servelab.catalog.guides import scenarios
from servelab.guides.config import GuideConfig, Image, Role, Stage, image_of
from servelab.guides.parse import parse_one
from servelab.guides.tree import Node, Scalar, Span, made, scalar_of

NOT_IN_GUIDE = "llm-d-benchmark convention, not in the guide"
PAIRS = "names and values, as llm-d-benchmark reads them"
PREPROCESSES = parse_one(
    "{name: preprocesses, configMap: {defaultMode: 0755, name: llm-d-benchmark-preprocesses}}", "servelab"
)
PREPROCESS_MOUNT = made({"name": "preprocesses", "mountPath": "/setup/preprocess"})


@dataclass(frozen=True)
class Setting:
    """A field of a scenario with its value, where that was written, and what a reader should know."""

    field: str
    value: Node
    spans: tuple[Span, ...] = ()
    role: Role | None = None
    note: str = ""
    """Why, where ``spans`` alone do not say it."""

    @property
    def text(self) -> str:
        """The value of a scalar, as the guide writes it."""
        return self.value.text

    @property
    def variable(self) -> str:
        """The variable that takes it, without its prefix; see catalog/data/guides.yaml."""
        return scenarios().fields[self.field].variable.replace("STAGE", (self.role or "").upper())

    @property
    def path(self) -> str:
        """Its place in a declarative scenario; empty where it has none."""
        path = scenarios().fields[self.field].path
        return ".".join((self.role or "") if part == "stage" else part for part in path.split("."))


def settings(config: GuideConfig) -> list[Setting]:
    """All that the guide sets, in the order in which a scenario has it."""
    return [one for one in _all(config) if one.value.scalar is None or not one.value.null]


def _all(config: GuideConfig) -> Iterator[Setting]:
    if config.model is not None:
        yield Setting("model", replace(config.model, content=Scalar(config.model_id)), _spans(config.model))
    yield from _plain("model_size", config.model_size)
    yield from _plain("token_secret", config.token_secret)
    yield from _images(config)
    for name in ("infra", "modelservice", "gaie"):
        yield from _plain(f"chart.{name}", config.charts.get(name))
    yield from _plain("gateway_class", config.gateway_class)
    yield from _plain("gateway_service", config.gateway_service)
    yield from _scheduler(config)
    yield from _sidecar(config)
    yield from _plain("service_port", config.service_port)
    yield from _accelerator(config)
    yield from _multinode(config)
    yield from _common(config)
    yield from _stage_settings(config.decode)
    if config.prefill is not None:
        yield from _stage_settings(config.prefill)
    else:
        yield Setting("stage.replicas", made(0), role="prefill", note="the guide has no prefill stage")


def _plain(field: str, node: Node | None, role: Role | None = None, note: str = "") -> Iterator[Setting]:
    if node is not None:
        yield Setting(field, node, _spans(node), role, note)


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
    yield from _plain("scheduler.image.name", scheduler.image_name)
    yield from _plain("scheduler.image.tag", scheduler.image_tag)


def _image(field: str, image: Image) -> Iterator[Setting]:
    for part in ("registry", "repository", "name", "tag"):
        text = getattr(image, part)
        note = "" if text in image.node.text else f"{image.node.text} means Docker Hub's"
        yield from _part(f"{field}.{part}", text, image.node, note)


def _part(field: str, text: str, source: Node, note: str = "") -> Iterator[Setting]:
    if text:
        yield Setting(field, Node(Scalar(text), source.span), _spans(source), note=note)


def _scheduler(config: GuideConfig) -> Iterator[Setting]:
    scheduler = config.scheduler
    preset = scheduler.plugins_file is not None and scheduler.plugins_file.text in scenarios().presets
    note = f"setup/presets/gaie/{scheduler.plugins_file.text} exists too" if preset and scheduler.plugins_file else ""
    custom = scheduler.custom_plugins
    yield from _plain("scheduler.plugins_file", scheduler.plugins_file)
    if custom is not None and custom.map:
        yield from _plain("scheduler.custom_plugins", custom, note=f"{note}; this takes precedence" if note else "")
    if scheduler.flags is not None and scheduler.flags.map:
        yield from _plain("scheduler.flags", scheduler.flags)
    yield from _plain("scheduler.prometheus", scheduler.prometheus)
    if scheduler.provider_config is not None and scheduler.provider_config.map:
        note = "a host in it is that of the guide's own release"
        yield from _plain("scheduler.provider_config", scheduler.provider_config, note=note)


def _sidecar(config: GuideConfig) -> Iterator[Setting]:
    sidecar = config.sidecar
    if isinstance(sidecar.enabled, Node):
        yield from _plain("sidecar.enabled", sidecar.enabled)
    elif sidecar.enabled is not None:
        spans = _spans(sidecar.source) if sidecar.source else ()
        note = f"the guide's decode pods have {'a' if sidecar.enabled else 'no'} routing proxy"
        yield Setting("sidecar.enabled", made(sidecar.enabled), spans, note=note)
    yield from _plain("sidecar.connector", sidecar.connector)
    yield from _plain("sidecar.debug_level", sidecar.debug_level)


def _accelerator(config: GuideConfig) -> Iterator[Setting]:
    if (kind := config.accelerator) is not None:
        asked = next((one.accelerator_resource for one in config.stages if one.accelerators is not None), kind.text)
        resource = scenarios().accelerators.get(kind.text, asked)
        yield Setting("accelerator", made(resource, kind.span), _spans(kind), note=f"accelerator.type is {kind.text}")
        return
    for stage in config.stages:
        if stage.accelerators is not None and stage.accelerator_resource != "nvidia.com/gpu":
            yield Setting("accelerator", made(stage.accelerator_resource), _spans(stage.accelerators))
            return


def _multinode(config: GuideConfig) -> Iterator[Setting]:
    if (kind := config.leader_worker_set) is not None:
        yield Setting("multinode", made(True), _spans(kind), note=f"the guide's pods are of a {kind.text}")
    else:
        yield from _plain("multinode", config.multinode)
    if config.spans_nodes:
        for stage in config.stages:
            if (size := stage.parallelism.get("workers")) is not None:
                note = "pods of a group; the stages' own variables below are what takes effect"
                yield Setting("group_size", size, _spans(size), note=note)
                return


def _common(config: GuideConfig) -> Iterator[Setting]:
    """What only a variable of all stages takes; where the stages differ, decode's counts."""
    for stage in config.stages:
        if stage.scheduler is not None:
            yield from _plain("scheduler_name", stage.scheduler)
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


def _stage_settings(stage: Stage | None) -> Iterator[Setting]:
    if stage is None:
        return
    role = stage.role
    if stage.create is not None and not stage.create.true:
        asked = f", whatever replicas ({stage.replicas.text}) says" if stage.replicas is not None else ""
        yield Setting("stage.replicas", made(0), _spans(stage.create), role, f"create is {stage.create.text}{asked}")
    else:
        yield from _plain("stage.replicas", stage.replicas, role)
    for name in ("tensor", "data", "data_local", "workers"):
        yield from _plain(f"stage.{name}", stage.parallelism.get(name), role)
    yield from _plain("stage.cpu", stage.cpu, role)
    yield from _plain("stage.memory", stage.memory, role)
    yield from _plain("stage.ephemeral_storage", stage.ephemeral_storage, role)
    if stage.network is not None:
        note = f"the guide asks for {stage.network_resource}; `auto` finds the cluster's own"
        yield Setting("stage.network_resource", made("auto"), _spans(stage.network), role, note)
        yield from _plain("stage.network", stage.network, role)
    if _counts_differ(stage):
        yield from _plain("stage.accelerators", stage.accelerators, role)
    yield from _plain("stage.shared_memory", stage.shared_memory, role)
    utilization = stage.command.flag("--gpu-memory-utilization") if stage.command else None
    if utilization is not None and utilization.value:
        yield from _plain("stage.memory_utilization", Node(scalar_of(utilization.value), utilization.span), role)
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
        yield from _plain(f"stage.{field}", found, stage.role)


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


def _spans(node: Node | None) -> tuple[Span, ...]:
    return node.spans() if node is not None else ()
