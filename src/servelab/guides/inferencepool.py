"""Read the values of the inference extension's chart and of the gateway."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from servelab.guides.config import GuideConfig, Scheduler, Unmapped
from servelab.guides.kinds import POOL_VALUES, check
from servelab.guides.tree import Node

MAPPED = ("image", "pluginsConfigFile", "pluginsCustomConfig", "flags")
MAPPED_IMAGE = ("name", "hub", "tag")


def is_values(node: Node) -> bool:
    """Whether a document looks like values of the chart."""
    return bool({"inferenceExtension", "inferencePool"} & set(node.map))


def with_scheduler(config: GuideConfig, values: Node) -> GuideConfig:
    """The guide with what the inference extension's values say.

    Raises:
        GuideError: one of them is of a wrong kind.
    """
    check(values, POOL_VALUES)
    extension = values.get("inferenceExtension") or Node({})
    port = values.get("inferencePool", "targetPortNumber") or values.get("inferencePool", "targetPorts", 0, "number")
    provider = values.get("provider", "name")
    return replace(
        config,
        scheduler=Scheduler(
            image_name=extension.get("image", "name"),
            image_hub=extension.get("image", "hub"),
            image_tag=extension.get("image", "tag"),
            plugins_file=extension.get("pluginsConfigFile"),
            custom_plugins=extension.get("pluginsCustomConfig"),
            flags=extension.get("flags"),
            prometheus=extension.get("monitoring", "prometheus", "enabled"),
            provider_config=values.get("provider", provider.text) if provider else None,
        ),
        service_port=config.service_port or port,
        gateway_class=provider if provider and provider.text != "none" else config.gateway_class,
        unmapped=(*config.unmapped, *(Unmapped(path, node) for path, node in _rest(values))),
    )


def with_gateway(config: GuideConfig, values: Node) -> GuideConfig:
    """The guide with what the gateway's values say."""
    rest = [
        Unmapped(path, node)
        for path, node in values.leaves()
        if path not in ("gateway.gatewayClassName", "gateway.service.type")
    ]
    return replace(
        config,
        gateway_class=config.gateway_class or values.get("gateway", "gatewayClassName"),
        gateway_service=values.get("gateway", "service", "type"),
        unmapped=(*config.unmapped, *rest),
    )


def _rest(values: Node) -> Iterator[tuple[str, Node]]:
    for name, value in values.map.items():
        if name == "provider":
            own = value.map["name"].text if "name" in value.map else ""
            for field, inner in value.map.items():
                if field not in ("name", own):
                    yield from inner.leaves(f"{name}.{field}")
            continue
        if name != "inferenceExtension":
            yield from value.leaves(name)
            continue
        for field, inner in value.map.items():
            if field == "image":
                for part, leaf in inner.map.items():
                    if part not in MAPPED_IMAGE:
                        yield f"{name}.image.{part}", leaf
            elif field not in MAPPED:
                for path, leaf in inner.leaves(f"{name}.{field}"):
                    if path != "inferenceExtension.monitoring.prometheus.enabled":
                        yield path, leaf
