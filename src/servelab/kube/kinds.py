"""Kinds of Kubernetes objects, and the objects themselves: plain dictionaries, as in a manifest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from lightkube.generic_resource import GenericGlobalResource, GenericNamespacedResource, create_api_info

Manifest = dict[str, Any]
"""An object as it stands in a manifest and as the API server answers."""


@dataclass(frozen=True)
class Kind:
    """Where the API server keeps a kind of objects: ``apiVersion``, ``kind``, and its plural in URLs."""

    api_version: str
    name: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """The API group; empty for the core one."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        """The version within the group."""
        return self.api_version.rpartition("/")[2]

    @property
    def root(self) -> str:
        """The path under which the API server has this group and version, without slashes at its ends."""
        return f"apis/{self.api_version}" if self.group else f"api/{self.version}"


POD = Kind("v1", "Pod", "pods")
SECRET = Kind("v1", "Secret", "secrets")
EVENT = Kind("v1", "Event", "events")
CLAIM = Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
QUOTA = Kind("v1", "ResourceQuota", "resourcequotas")
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
NAMESPACE = Kind("v1", "Namespace", "namespaces", namespaced=False)
NODE = Kind("v1", "Node", "nodes", namespaced=False)
DEFINITION = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False)
REVIEW = Kind("authorization.k8s.io/v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", namespaced=False)


@cache
def resource(kind: Kind) -> type[Any]:
    """The lightkube class of a kind, whose instances are dictionaries."""
    base = GenericNamespacedResource if kind.namespaced else GenericGlobalResource
    return type(kind.name, (base,), {"_api_info": create_api_info(kind.group, kind.version, kind.name, kind.plural)})
