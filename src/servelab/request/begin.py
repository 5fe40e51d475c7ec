"""What a dialog begins with: what is known here, and who reads."""

from __future__ import annotations

import asyncio
import datetime
from pathlib import Path

from servelab.lab.accelerators.discovery import local_accelerators
from servelab.request.cluster import free_accelerators
from servelab.request.dialog import Reader
from servelab.request.facts import Facts
from servelab.request.kubeconfig import current_namespace
from servelab.request.language_model import configured, helped
from servelab.request.understand import understand
from servelab.request.values import OWN
from servelab.request.workdir import taken_names


def known_here(values_text: str = "", values_source: str = OWN, root: Path | None = None) -> Facts:
    """The day, and what this machine and the kubeconfig's cluster tell; takes a few seconds where a cluster is slow.

    Raises:
        DocumentError: the values file lacks a part of the structure.
    """
    facts = Facts(
        today=datetime.datetime.now().astimezone().date(),
        namespace=current_namespace(),
        local_accelerators=len(local_accelerators()) or None,
        taken=taken_names(root) if root else (),
        values_text=values_text,
        values_source=values_source,
    )
    there = asyncio.run(free_accelerators(facts.values))  # a broken file is told before anything is asked
    return facts.model_copy(update={"cluster_accelerators": there})


def usual_reader() -> Reader:
    """The grammar, and behind it the language model where one is configured.

    Raises:
        LanguageModelError: the environment names no usable one.
    """
    endpoint = configured()
    if endpoint is None:
        return understand
    return lambda text, before: helped(understand(text, before), endpoint)
