"""What a guide deploys, whatever it is written in: the form between reading and writing.

Every value is a node of a file, so that it knows its lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from servelab.guides.command import Command
from servelab.guides.shell import unquoted
from servelab.guides.tree import Node, Scalar

Role = Literal["decode", "prefill"]
ROLES: tuple[Role, ...] = ("decode", "prefill")
_REFERENCE = re.compile(r"\$[{(]?(?P<name>\w+)(?::?-(?P<otherwise>[^})]*))?[})]?")
DOCKER_HUB = "docker.io"
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - of a pod


@dataclass(frozen=True)
class Image:
    """An image reference in its parts; empty where it does not say."""

    node: Node
    registry: str
    repository: str
    name: str
    tag: str


def image_of(node: Node) -> Image:
    """The parts of ``registry/repository/name:tag``; without a registry it is Docker Hub's."""
    reference, _, digest = node.text.partition("@")
    kind, _, rest = digest.partition(":")
    path, sign, tag = reference.rpartition(":")
    if not sign or "/" in tag:
        path, tag = reference, ""
    *before, name = path.split("/")
    has_registry = bool(before) and (any(sign in before[0] for sign in ".:") or before[0] == "localhost")
    registry = before.pop(0) if has_registry else DOCKER_HUB
    if digest and tag:
        tag = f"{tag}@{digest}"
    elif digest:
        name, tag = f"{name}@{kind}", rest  # which a scenario puts together again with a colon
    repository = "/".join(before) or ("library" if registry == DOCKER_HUB else "")
    return Image(node, registry, repository, name, tag)


@dataclass(frozen=True)
class Stage:
    """The pods of one role."""

    role: Role
    create: Node | None = None
    """Whether it is deployed at all."""
    replicas: Node | None = None
    parallelism: Mapping[str, Node] = field(default_factory=dict)
    """tensor, data, data_local, workers."""
    image: Node | None = None
    model_command: Node | None = None
    """vllmServe, custom or imageDefault; None where manifests start vLLM themselves."""
    command: Command | None = None
    env: tuple[Node, ...] = ()
    volumes: tuple[Node, ...] = ()
    mounts: tuple[Node, ...] = ()
    cpu: Node | None = None
    memory: Node | None = None
    ephemeral_storage: Node | None = None
    limits: Mapping[str, Node] = field(default_factory=dict)
    """cpu and memory, where they are limited."""
    network: Node | None = None
    """How many of a network resource."""
    network_resource: str = ""
    accelerator_resource: str = ""
    accelerators: Node | None = None
    scheduler: Node | None = None
    annotations: Node | None = None
    pod_annotations: Node | None = None
    container_config: Mapping[str, Node] = field(default_factory=dict)
    pod_config: Mapping[str, Node] = field(default_factory=dict)
    probes: Mapping[str, Node] = field(default_factory=dict)
    """startupProbe, readinessProbe, livenessProbe."""

    def environment(self, name: str) -> Node | None:
        """The value of an environment variable."""
        found = (one.get("value") for one in reversed(self.env) if one.get("name") and one.map["name"].text == name)
        return next(found, None)

    @property
    def model(self) -> Node | None:
        """The model that its command serves; None where it names none, or names it by what is set elsewhere."""
        if self.command is None:
            return None
        flags = [self.command.flag("--model"), self.command.flag("--served-model-name")]
        named = [(self.command.model, self.command.model_span), *((one.value, one.span) for one in flags if one)]
        found = [(self._expanded(text.split()[0]), span) for text, span in named if text and text.split()]
        told = [Node(Scalar(text), span) for text, span in found if text and "$" not in text]
        return next((one for one in told if not one.text.startswith("/")), told[0] if told else None)

    def _expanded(self, text: str) -> str:
        """The value where a text is but a variable (``$MODEL``, ``$(MODEL)``, ``${MODEL:-else}``) that is set here."""
        reference = _REFERENCE.fullmatch(text)
        if reference is None or self.command is None:
            return text
        name = reference["name"]
        set_here = re.search(rf"(?m)^\s*(?:export\s+)?{name}=(\S+)$", self.command.preamble)
        own = self.environment(name)
        value = set_here[1] if set_here else own.text if own else reference["otherwise"]
        return unquoted(value) if value else text

    @property
    def shared_volume(self) -> Node | None:
        """The volume at /dev/shm."""
        mounted = [
            name.text
            for one in self.mounts
            if (path := one.get("mountPath")) and (name := one.get("name")) and path.text.rstrip("/") == SHARED_MEMORY
        ]
        names = mounted or ["dshm", "shm"]
        return next((one for one in self.volumes if (name := one.get("name")) and name.text in names), None)

    @property
    def shared_memory(self) -> Node | None:
        """Its size limit."""
        volume = self.shared_volume
        return volume.get("emptyDir", "sizeLimit") if volume else None


@dataclass(frozen=True)
class Sidecar:
    """The routing proxy beside decode."""

    enabled: Node | bool | None = None
    image: Node | None = None
    connector: Node | None = None
    debug_level: Node | None = None
    source: Node | None = None


@dataclass(frozen=True)
class Scheduler:
    """The inference extension: endpoint picker and its plugins."""

    image_name: Node | None = None
    image_hub: Node | None = None
    image_tag: Node | None = None
    plugins_file: Node | None = None
    custom_plugins: Node | None = None
    """File name -> YAML text."""
    flags: Node | None = None
    prometheus: Node | None = None
    provider_config: Node | None = None


@dataclass(frozen=True)
class Unmapped:
    """A value that no variable takes."""

    path: str
    node: Node


@dataclass(frozen=True)
class GuideConfig:
    """A guide."""

    name: str
    title: str
    """What the user gave."""
    variant: str
    files: tuple[str, ...] = ()
    """The files that it was read from, as comments name them."""
    kustomizations: tuple[str, ...] = ()
    model: Node | None = None
    model_id: str = ""
    model_size: Node | None = None
    token_secret: Node | None = None
    accelerator: Node | None = None
    multinode: Node | None = None
    leader_worker_set: Node | None = None
    """The kind of an object that needs one."""
    service_port: Node | None = None
    decode: Stage | None = None
    prefill: Stage | None = None
    sidecar: Sidecar = Sidecar()
    scheduler: Scheduler = Scheduler()
    gateway_class: Node | None = None
    gateway_service: Node | None = None
    charts: Mapping[str, Node] = field(default_factory=dict)
    """infra, modelservice, gaie -> version."""
    unmapped: tuple[Unmapped, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def spans_nodes(self) -> bool:
        """Whether a stage's pods are groups over several nodes."""
        return self.leader_worker_set is not None or bool(self.multinode and self.multinode.true)

    @property
    def stages(self) -> Iterator[Stage]:
        """Those that there are."""
        return (one for one in (self.decode, self.prefill) if one is not None)
