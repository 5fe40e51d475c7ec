"""Write a guide as a declarative scenario of llm-d-benchmark: ``config/scenarios/guides/NAME.yaml``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from servelab.guides.config import ROLES, GuideConfig, Image, Role, Stage, Unmapped, image_of
from servelab.guides.legacy import head, unmapped
from servelab.guides.line import Line, dumped, lines, sources, without_end
from servelab.guides.serve import IMAGE_DEFAULT, start
from servelab.guides.setting import Setting
from servelab.guides.settings import NOT_IN_GUIDE, settings
from servelab.guides.tree import Node, Scalar, Span, made, scalar_of
from servelab.guides.workload import Workload

SHARED = "/shared-config"
PREPROCESS: dict[str, Any] = {
    "name": "preprocess",
    "imageKey": "benchmark",
    "imagePullPolicy": "Always",
    "command": ["set_llmdbench_environment.py", "-e", f"{SHARED}/llmdbench_env.sh", "-i"],
    "volumeMounts": [{"name": "shared-config", "mountPath": SHARED}],
}
MODELSERVICE = ("gateway", "routing", "router", "decode", "prefill")
"""Parts of a scenario below ``modelservice``; the others are below ``common``."""
NO_MODEL = "this-guide-names-no-model"


Said = Span | str
"""A comment: where something is from, or what else is to be said of it."""


@dataclass(frozen=True)
class _Leaf:
    value: Node
    said: tuple[Said, ...] = ()
    origins: Mapping[str, Span] = field(default_factory=dict)
    """Where lines of its text stand in the guide, by what they say."""


_Tree = dict[str, Any]
_Field = tuple[str, Node, tuple[Said, ...]] | tuple[str, Node, tuple[Said, ...], Mapping[str, Span]]


class Variables:
    """What llm-d-benchmark sets in the environment of a stage's command."""

    model = "$MODEL_PATH"
    name = "$MODEL_NAME"
    fields = {
        "max_model_len": "$VLLM_MAX_MODEL_LEN",
        "block_size": "$VLLM_BLOCK_SIZE",
        "stage.memory_utilization": "$VLLM_ACCELERATOR_MEM_UTIL",
        "stage.tensor": "$TP_SIZE",
    }

    def preprocess(self, role: Role) -> str:
        """See Words."""
        return f". {SHARED}/llmdbench_env.sh"

    def port(self, role: Role) -> str:
        """Decode has the routing proxy before it; prefill takes requests itself."""
        return "$VLLM_METRICS_PORT" if role == "decode" else "$VLLM_INFERENCE_PORT"

    def field(self, field: str, role: Role) -> str:
        """See Words."""
        return self.fields[field]


def scenario(config: GuideConfig, workload: Workload) -> tuple[Line, ...]:
    """The scenario."""
    given = settings(config)
    tree: _Tree = {}
    for one in _model(config):
        _put(tree, *one)
    for setting in given:
        if setting.path and setting.field != "model":
            _put(tree, setting.path, setting.value, _comments(setting))
    for one in (*_images(config), *_stages(config, given)):
        _put(tree, *one)
    if (utilization := _utilization(given)) is not None:
        _put(tree, "model.gpuMemoryUtilization", utilization.value, _comments(utilization))
    _put(tree, "modelservice.enabled", made(True), (f"SOURCE: {NOT_IN_GUIDE}",))
    body = {
        "common": {name: value for name, value in tree.items() if name not in (*MODELSERVICE, "modelservice")},
        "modelservice": {**tree["modelservice"], **{name: tree[name] for name in MODELSERVICE if name in tree}},
        "harness": {
            "name": _Leaf(made(workload.harness), (f"SOURCE: {workload.source}",)),
            "experimentProfile": _Leaf(made(workload.profile)),
        },
        "workDir": _Leaf(Node(Scalar(f"~/data/{config.name}", style='"')), (f"SOURCE: {NOT_IN_GUIDE}",)),
    }
    texts = [*lines(head(config)), *lines(["scenario:", f"  - name: {config.name}"]), *_lines(body, "    "), Line("")]
    rest = [Unmapped(f"{one.role}.accelerators", one.value) for one in given if one.field == "stage.accelerators"]
    return without_end([*texts, *unmapped((*config.unmapped, *rest))])


def _model(config: GuideConfig) -> Iterator[_Field]:
    name = config.model_id or NO_MODEL
    spans = config.model.spans() if config.model else ()
    comments: tuple[Said, ...] = (
        spans if config.model_id else ("WARNING: the guide names no model; this is none, and cannot be downloaded",)
    )
    yield "model.name", made(name), comments
    yield "model.shortName", made(name.replace("/", "-").replace(".", "-").lower()), ()
    yield "model.path", made(f"models/{name}"), ()
    yield "model.huggingfaceId", made(name), ()


def _images(config: GuideConfig) -> Iterator[_Field]:
    own = next((stage.image for stage in config.stages if stage.image is not None), None)
    for key, node in (("vllm", own), ("routingSidecar", config.sidecar.image)):
        if node is not None:
            image = image_of(node)
            yield f"images.{key}.repository", made(_repository(image)), node.spans()
            if image.tag:
                yield f"images.{key}.tag", Node(Scalar(image.tag)), ()
    scheduler = config.scheduler
    if scheduler.image_name is not None and scheduler.image_hub is not None:
        text = f"{scheduler.image_hub.text}/{scheduler.image_name.text}"
        sources = (*scheduler.image_hub.spans(), *scheduler.image_name.spans())
        yield "images.routerEndpointPicker.repository", made(text), sources
    if scheduler.image_tag is not None:
        yield "images.routerEndpointPicker.tag", scheduler.image_tag, scheduler.image_tag.spans()


def _repository(image: Image) -> str:
    return "/".join(part for part in (image.registry, image.repository, image.name) if part)


def _stages(config: GuideConfig, given: list[Setting]) -> Iterator[_Field]:
    for stage in config.stages:
        role = stage.role
        enabled = stage.create.true if stage.create is not None else True
        yield f"{role}.enabled", made(enabled), ()
        yield from _command(stage, given, config.spans_nodes)
        for name in ("cpu", "memory"):
            limit, asked = stage.limits.get(name), getattr(stage, name)
            if limit is not None:
                yield f"{role}.resources.limits.{name}", limit, limit.spans()
            elif asked is not None:
                note = "NOTE: the guide sets no limit; this is its request, since llm-d-benchmark's own may be lower"
                yield f"{role}.resources.limits.{name}", asked, (note,)
        if role == "decode" and (size := stage.shared_memory) is not None:  # prefill has no such field
            yield "decode.shm.size", size, size.spans()
        if stage.volumes:
            yield (
                f"{role}.additionalVolumes",
                Node([_typed(one) for one in stage.volumes]),
                _all_spans(stage.volumes),
            )
        if stage.mounts:
            yield f"{role}.additionalVolumeMounts", Node(list(stage.mounts)), _all_spans(stage.mounts)
    if any(stage.command for stage in config.stages):
        volume = {"name": "shared-config", "type": "emptyDir", "emptyDir": {}}
        yield "vllmCommon.volumes", made([volume]), (f"SOURCE: {NOT_IN_GUIDE}",)
        yield "vllmCommon.volumeMounts", made([{"name": "shared-config", "mountPath": SHARED}]), ()
    for role in (role for role in ROLES if getattr(config, role) is None):
        yield f"{role}.enabled", made(False), (f"NOTE: the guide has no {role} stage",)


def _command(stage: Stage, given: list[Setting], multinode: bool) -> Iterator[_Field]:
    utilization = _utilization(given)
    own = [one for one in given if one.field != "stage.memory_utilization" or utilization is not None]
    found = start(stage, own, multinode, Variables())
    if found is None:
        return
    role = stage.role
    sources = stage.command.spans if stage.command else ()
    if found.kind == IMAGE_DEFAULT:
        yield (
            f"{role}.vllm.modelCommand",
            made(IMAGE_DEFAULT),
            stage.model_command.spans() if stage.model_command else (),
        )
        if found.lines[0]:
            yield f"{role}.vllm.args", made(list(found.lines[0])), sources
        return
    notes = tuple(f"NOTE: {flag.written} {flag.raw} ({flag.span}) is set by the chart" for flag in found.left_out)
    text = "\n".join(" \\\n".join(parts) for parts in found.lines)
    yield f"{role}.vllm.customCommand", Node(Scalar(text + "\n", style="|")), (*sources, *notes), found.origins
    yield f"{role}.initContainers", made([PREPROCESS]), (f"SOURCE: {NOT_IN_GUIDE}",)


def _utilization(given: list[Setting]) -> Setting | None:
    """The memory utilization, where all stages that set it have the same: there is one for all."""
    found = [one for one in given if one.field == "stage.memory_utilization"]
    return found[0] if found and len({one.text for one in found}) == 1 else None


def _typed(volume: Node) -> Node:
    """A volume with its kind beside it, as llm-d-benchmark reads it."""
    kind = next((name for name in volume.map if name != "name"), "emptyDir")
    name = volume.map.get("name", made(""))
    return Node({"name": name, "type": Node(scalar_of(kind)), **{k: v for k, v in volume.map.items() if k != "name"}})


def _comments(setting: Setting) -> tuple[Said, ...]:
    return (*setting.spans, *((f"NOTE: {setting.note}",) if setting.note else ()))


def _all_spans(nodes: tuple[Node, ...]) -> tuple[Span, ...]:
    return Node(list(nodes)).spans()


def _put(
    tree: _Tree, path: str, value: Node, said: tuple[Said, ...], origins: Mapping[str, Span] | None = None
) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
    tree[last] = _Leaf(value, said, origins or {})


def _lines(tree: _Tree, indent: str) -> Iterator[Line]:
    for name, value in tree.items():
        if isinstance(value, _Leaf):
            spans = tuple(one for one in value.said if isinstance(one, Span))
            for line in (*sources(value.said), *dumped(Node({name: value.value}))):
                origin = value.origins.get(line.text.strip().removesuffix(" \\"))
                yield line.otherwise((origin,) if origin else spans).indented(indent)
        elif value:
            yield Line(f"{indent}{name}:")
            yield from _lines(value, indent + "  ")
