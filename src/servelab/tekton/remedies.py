"""What to type, or to apply, for what a cluster lacks."""

from __future__ import annotations

from collections.abc import Sequence

TEKTON = "kubectl apply -f https://storage.googleapis.com/tekton-releases/pipeline/latest/release.yaml"
RESOLVER = (
    "kubectl patch configmap resolvers-feature-flags -n tekton-pipelines-resolvers --type merge "
    """-p '{"data": {"enable-cluster-resolver": "true"}}'"""
)


def namespace(name: str) -> str:
    """How to create a namespace."""
    return f"kubectl create namespace {name}    (or: servelab doctor --cluster -n {name} --fix)"


def secret(name: str, keys: Sequence[str], where: str) -> str:
    """How to create a secret without its values on a command line: each is read from a file of its key's name."""
    files = " ".join(f"--from-file={key}={key}.txt" for key in keys) or "--from-file=KEY=KEY.txt"
    return f"Put each value into a file without a line end: kubectl create secret generic {name} {files} -n {where}"


def claim(name: str, size: str, where: str) -> str:
    """A PersistentVolumeClaim to apply."""
    return "\n".join(
        [
            f"kubectl apply -n {where} -f - <<EOF",
            "apiVersion: v1",
            "kind: PersistentVolumeClaim",
            f"metadata: {{name: {name}}}",
            "spec:",
            "  accessModes: [ReadWriteMany]  # ReadWriteOnce where one node runs everything",
            f"  resources: {{requests: {{storage: {size or '20Gi'}}}}}",
            "EOF",
        ]
    )


def grant(verb: str, resource: str, where: str) -> str:
    """How an administrator grants a right."""
    return (
        f"kubectl create role servelab-{verb} --verb={verb} --resource={resource} -n {where}, and a rolebinding to it"
    )
