"""What may reach an argument, a manifest or a path: everything else that was said is refused, and asked for again."""

from __future__ import annotations

import re

from servelab.spec.base import Value

_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?")
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_IMAGE = re.compile(
    r"[a-z0-9]([a-z0-9.-]{0,252}[a-z0-9])?(:\d{1,5})?(/[a-z0-9]+([._-]{1,2}[a-z0-9]+)*){0,8}"
    r"(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[a-f0-9]{64})?"
)
_FLAG = re.compile(r"--[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TEXT = re.compile(r"""[A-Za-z0-9 _.,:/@+=%*~^!?#\[\]{}"'()-]{0,1024}""")
_TEMPLATE = re.compile(r"\{\{|\{%|\{#")


def model_fault(model: str) -> str | None:
    """Why this is no Hugging Face id, or None."""
    if _MODEL.fullmatch(model) and ".." not in model:
        return None
    return f"{shown(model)} is no Hugging Face id, as meta-llama/Llama-3.1-8B-Instruct"


def namespace_fault(namespace: str) -> str | None:
    """Why this is no namespace of Kubernetes, or None."""
    if _NAMESPACE.fullmatch(namespace):
        return None
    return f"{shown(namespace)} is no namespace: at most 63 of a-z, 0-9 and '-', a letter or digit at both ends"


def image_fault(image: str) -> str | None:
    """Why this is no reference of a container image, or None."""
    return None if _IMAGE.fullmatch(image) else f"{shown(image)} is no container image, as ghcr.io/org/vllm:tag"


def argument_fault(flag: str, value: Value) -> str | None:
    """Why an engine must not be given this argument, or None.

    Text is held to characters that no shell, template or pipeline reads as more than text.
    """
    if not _FLAG.fullmatch(flag):
        return f"{shown(flag)} is no engine argument, as --max-num-seqs"
    if isinstance(value, str) and (not _TEXT.fullmatch(value) or _TEMPLATE.search(value)):
        return f"the value of {flag}, {shown(value)}, has characters that do not belong into an engine argument"
    return None


def shown(text: str) -> str:
    """Text of unknown origin, as a message may quote it: short, and with nothing that a terminal acts on."""
    short = text if len(text) <= 60 else f"{text[:57]}..."
    return repr("".join(char if char.isprintable() else "?" for char in short))
