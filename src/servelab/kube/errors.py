"""What Kubernetes answers when it refuses, and what happens when it cannot be reached, as sentences with a remedy."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
from httpx2 import websockets
from lightkube.core.exceptions import ApiError, ConfigError

from servelab.spec.errors import ClusterError


class UnreachableError(ClusterError):
    """Nothing answered, or the connection was lost; another try may succeed."""


class RefusedError(ClusterError):
    """The API server answered no.

    Attributes:
        code: HTTP status code.
        reason: the API server's reason in one word, as ``AlreadyExists``; may be empty.
    """

    def __init__(self, message: str, remedy: str, code: int, reason: str = "") -> None:
        super().__init__(message, remedy)
        self.code = code
        self.reason = reason

    @property
    def transient(self) -> bool:
        """Whether the server itself had a difficulty, so that another try may succeed."""
        return self.code == httpx2.codes.TOO_MANY_REQUESTS or self.code >= httpx2.codes.INTERNAL_SERVER_ERROR


class MissingError(RefusedError):
    """There is no such object, or no such kind."""


class ForbiddenError(RefusedError):
    """The user lacks the right."""


class ConflictError(RefusedError):
    """Somebody else changed or owns it, or it exists already."""


class GoneError(RefusedError):
    """What a watch would resume from is no longer kept."""


_CLASSES: dict[int, type[RefusedError]] = {403: ForbiddenError, 404: MissingError, 409: ConflictError, 410: GoneError}

_REMEDIES = {
    400: "The request is not valid for this cluster's version; see the message.",
    401: "The credentials are wrong or have expired: log in to the cluster again, or check the user of the context "
    "(kubectl config get-contexts).",
    404: "",
    409: "Somebody else owns or changed it: use another name, or delete it first.",
    410: "Read it again from the start.",
    422: "Correct the field that the message names.",
    429: "The API server is overloaded: try again in a minute.",
}

_FORBIDDEN = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]*)" in API group "(?P<group>[^"]*)"'
)


def refused(status: dict[str, Any], code: int = 0) -> RefusedError:
    """The error of a Kubernetes ``Status`` object."""
    code = int(status.get("code") or code or 500)
    message = str(status.get("message") or status.get("reason") or f"HTTP status {code}")
    remedy = _REMEDIES.get(code, "Look at the API server's log." if code >= 500 else "")
    if code == httpx2.codes.FORBIDDEN:
        remedy = _forbidden_remedy(message)
    return _CLASSES.get(code, RefusedError)(
        f"Kubernetes refused: {message}", remedy, code, str(status.get("reason") or "")
    )


def _forbidden_remedy(message: str) -> str:
    found = _FORBIDDEN.search(message)
    if found is None:
        return "An admission rule, a quota or a missing right forbids it; see the message."
    full = f"{found['resource']}.{found['group']}" if found["group"] else found["resource"]
    return (
        f"Ask the cluster's administrator to grant {found['user']} this right: "
        f"kubectl create role servelab --verb={found['verb']} --resource={full}, and a rolebinding to it."
    )


@contextmanager
def translated(server: str) -> Iterator[None]:
    """Turn what the libraries raise into errors for the user.

    Raises:
        RefusedError: the API server answered no.
        UnreachableError: there was no answer, or the connection was lost.
        ClusterError: the credentials could not be had.
    """
    try:
        yield
    except ApiError as error:
        raise refused(error.status.to_dict(), _code(error)) from error
    except httpx2.HTTPStatusError as error:
        raise refused(_status(error.response), error.response.status_code) from error
    except websockets.WebSocketUpgradeError as error:
        raise refused(_status(error.response), error.response.status_code) from error
    except (httpx2.TransportError, websockets.HTTPXWSException, OSError, TimeoutError) as error:
        raise unreachable(server, error) from error
    except ConfigError as error:
        raise ClusterError(f"the credentials for {server} could not be had: {error}", _REMEDIES[401]) from error


@contextmanager
def ungrouped() -> Iterator[None]:
    """Let out the first exception of a group in which a task group has wrapped it."""
    try:
        yield
    except BaseExceptionGroup as group:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None


def _code(error: ApiError) -> int:
    response = getattr(error, "response", None)
    return 0 if response is None else response.status_code


def _status(response: httpx2.Response) -> dict[str, Any]:
    try:
        status = json.loads(response.content)
    except (ValueError, httpx2.ResponseNotRead):
        return {}
    return status if isinstance(status, dict) else {"message": str(status)}


def unreachable(server: str, error: BaseException) -> UnreachableError:
    """Say what kept a request from being answered, and what to do about it."""
    # A handshake that waits for the other side is no failure of TLS: it is how one that timed out began.
    waiting = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
    causes = [cause for cause in _causes(error) if not isinstance(cause, waiting)]
    text = next((str(cause) for cause in reversed(causes) if str(cause)), type(error).__name__)
    if any(isinstance(cause, ssl.SSLError) for cause in causes) or "CERTIFICATE_VERIFY_FAILED" in text:
        return UnreachableError(
            f"the TLS connection to {server} failed: {text}",
            "Check certificate-authority and server of the cluster in your kubeconfig; is a proxy in between?",
        )
    if isinstance(error, (httpx2.TimeoutException, TimeoutError)):
        return UnreachableError(
            f"{server} did not answer in time ({type(error).__name__})",
            "Is the cluster up, and do the network, VPN or proxy (HTTPS_PROXY, NO_PROXY) let you reach it?",
        )
    if isinstance(error, httpx2.ProxyError):
        return UnreachableError(
            f"the proxy on the way to {server} refused: {text}", "Check HTTPS_PROXY, NO_PROXY and proxy-url."
        )
    return UnreachableError(
        f"cannot reach {server}: {text}",
        "Is the cluster up, and is the current context the one you mean (kubectl config current-context)?",
    )


def _causes(error: BaseException) -> list[BaseException]:
    """The error, and what led to it."""
    found: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in found:
        found.append(following)
        following = following.__cause__ or following.__context__
    return found
