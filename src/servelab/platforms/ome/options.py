"""The options of the OME platform."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from servelab.spec.base import Seconds, Spec

Positive = Annotated[Seconds, Field(gt=0)]


def _named(raw: Any) -> Any:
    return {"name": raw} if isinstance(raw, str) else raw


class Timeouts(Spec):
    """How long a service may stay in each stage before it is given up; budget.timeouts.ready covers all of them."""

    pod: Positive = Field(default=300.0, description="until OME has made a pod: it may wait for the model's download")
    scheduled: Positive = Field(default=300.0, description="until a node has taken the pod")
    started: Positive = Field(default=1800.0, description="until the image is there and the engine's container runs")
    gone: Positive = Field(default=120.0, description="until the pods of a deleted service are gone")


class BaseModel(Spec):
    """The model in OME: one that is there, or one to create where it is missing."""

    name: str = Field(default="", description="default: the last part of the model's id, as llama-3-2-1b-instruct")
    kind: Literal["ClusterBaseModel", "BaseModel"] = "ClusterBaseModel"
    preset: str = Field(default="", description="create it so where it is missing; see docs/ome.md")
    spec: dict[str, Any] = Field(default_factory=dict, description="fields of its spec, over those of the preset")


class Runtime(Spec):
    """The serving runtime: one that is there, or one to create where it is missing. Without a name OME chooses."""

    name: str = ""
    kind: Literal["ClusterServingRuntime", "ServingRuntime"] = "ClusterServingRuntime"
    preset: str = Field(default="", description="create it so where it is missing; see docs/ome.md")
    spec: dict[str, Any] = Field(default_factory=dict, description="fields of its spec, over those of the preset")


class OmeOptions(Spec):
    """Options of the OME platform; none is needed."""

    context: str = Field(default="", description="a kubeconfig's context; default: the current one")
    namespace: str = Field(default="", description="created where it is missing; default: the context's")
    model: Annotated[BaseModel, BeforeValidator(_named)] = BaseModel()
    runtime: Annotated[Runtime, BeforeValidator(_named)] = Runtime()
    port: int = Field(default=8080, ge=1, le=65535, description="where the engine listens: what the runtime probes")
    reach: Literal["forward", "pod"] = Field(
        default="forward",
        description="forward: through the API server; pod: at the pod's own address, for a servelab inside the cluster",
    )
    resource: str = Field(default="nvidia.com/gpu", description="what an accelerator is called in this cluster")
    secret: str = Field(default="", description="Secret that holds the variables of engine.environment_from, by name")
    engine: dict[str, Any] = Field(
        default_factory=dict,
        description="more of spec.engine of each InferenceService: tolerations, nodeSelector, volumes, runner, ...",
    )
    timeouts: Timeouts = Timeouts()
