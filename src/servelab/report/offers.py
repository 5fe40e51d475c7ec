"""The forms of a recommendation: what each is called, and why one is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from servelab.report.recommend import Form, Recommendation
from servelab.spec.base import Spec
from servelab.spec.errors import ServelabError


@dataclass(frozen=True)
class Kind:
    """What a form is called, the file it goes to, and how it is used."""

    title: str
    file: str
    use: str
    short: str


FORMS: Mapping[Form, Kind] = {
    "command": Kind(
        "Command",
        "command.sh",
        "Run it where the engine is installed; the file holds the evidence too: sh command.sh",
        "Command",
    ),
    "docker": Kind("docker run", "docker-run.sh", "Run it where Docker is: sh docker-run.sh", "Docker"),
    "compose": Kind("docker compose", "compose.yaml", "docker compose up", "Compose"),
    "kubernetes": Kind(
        "Kubernetes Deployment and Service", "kubernetes.yaml", "kubectl apply -f kubernetes.yaml", "Kubernetes"
    ),
    "ome": Kind(
        "OME InferenceService",
        "inference-service.yaml",
        "kubectl apply --server-side -f inference-service.yaml",
        "OME",
    ),
    "modelservice": Kind(
        "Values for llm-d's modelservice chart",
        "modelservice-values.yaml",
        "helm install NAME llm-d-modelservice/llm-d-modelservice -f modelservice-values.yaml",
        "Helm values",
    ),
    "env": Kind(
        "Environment file",
        "serve.env",
        "For systemd's EnvironmentFile, docker compose or a shell.",
        "Environment",
    ),
}


class Offer(Spec):
    """One form of a recommendation: its text, or why there is none."""

    form: Form
    title: str
    file: str
    use: str
    short: str
    text: str | None = None
    missing: str = ""
    remedy: str = ""


def offers(advice: Recommendation) -> tuple[Offer, ...]:
    """Every form, those that do not exist for this engine or platform with the reason."""
    return tuple(_offer(advice, form, kind) for form, kind in FORMS.items())


def _offer(advice: Recommendation, form: Form, kind: Kind) -> Offer:
    about = {"form": form, "title": kind.title, "file": kind.file, "use": kind.use, "short": kind.short}
    try:
        return Offer.model_validate({**about, "text": advice.form(form)})
    except ServelabError as error:
        return Offer.model_validate({**about, "missing": error.message, "remedy": error.remedy})
