"""Names that reach the API server's paths, checked by Kubernetes' own rules before they do."""

from __future__ import annotations

import re

from servelab.spec.errors import ClusterError

LABEL_LENGTH = 63
SUBDOMAIN_LENGTH = 253

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?")


def check_name(name: str, what: str = "name") -> str:
    """Let the name of an object through when it is a DNS subdomain of at most 253 characters.

    Raises:
        ClusterError: it is not.
    """
    if len(name) > SUBDOMAIN_LENGTH or not _SUBDOMAIN.fullmatch(name):
        raise _bad(name, what, "a-z, 0-9, '-' and '.', at most 253 characters")
    return name


def check_namespace(name: str) -> str:
    """Let a namespace's name through when it is a DNS label of at most 63 characters.

    Raises:
        ClusterError: it is not.
    """
    if len(name) > LABEL_LENGTH or not _LABEL.fullmatch(name):
        raise _bad(name, "namespace", "a-z, 0-9 and '-', at most 63 characters")
    return name


def check_label_value(value: str) -> str:
    """Let a label's value through when Kubernetes would take it.

    Raises:
        ClusterError: it would not.
    """
    if len(value) > LABEL_LENGTH or not _LABEL_VALUE.fullmatch(value):
        raise _bad(value, "label value", "letters, digits, '-', '_' and '.', at most 63 characters")
    return value


def _bad(name: str, what: str, rule: str) -> ClusterError:
    return ClusterError(
        f"{name!r} is not a valid {what} in Kubernetes",
        f"Use {rule}, with a letter or digit at both ends.",
    )
