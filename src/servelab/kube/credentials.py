"""How a user proves who it is: a token, a token file that is renewed, a password, or a plug-in that is asked."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from servelab.spec.errors import ClusterError

TOKEN_AGE = 60.0  # seconds after which a token file is read again: the kubelet renews it
PLUGIN_TIMEOUT = 300.0  # seconds; a plug-in may wait for a person to log in
EARLY = 10.0  # seconds before its end that a plug-in's token is no longer used

_VERSIONS = tuple(f"client.authentication.k8s.io/{version}" for version in ("v1", "v1beta1", "v1alpha1"))


class Credentials(Protocol):
    """What goes into the Authorization header."""

    async def header(self, *, fresh: bool) -> str:
        """The header's value, empty for none; ``fresh`` after the last one was not accepted.

        Raises:
            ClusterError: it cannot be had.
        """
        ...


class Fixed:
    """A header that never changes."""

    def __init__(self, value: str) -> None:
        self._value = value

    async def header(self, *, fresh: bool) -> str:
        """The same, always."""
        del fresh
        return self._value


class TokenFile:
    """A bearer token in a file that somebody else renews."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._token = ""
        self._read_at = -TOKEN_AGE

    async def header(self, *, fresh: bool) -> str:
        """The token of the last minute."""
        if fresh or time.monotonic() - self._read_at >= TOKEN_AGE:
            try:
                self._token = self._path.read_text(encoding="utf-8").strip()
            except OSError as error:
                raise ClusterError(
                    f"the token file {self._path} cannot be read: {error.strerror}",
                    "Correct tokenFile in your kubeconfig.",
                ) from error
            self._read_at = time.monotonic()
        return f"Bearer {self._token}"


class Plugin:
    """A client-go credential plug-in: a program that prints an ExecCredential.

    Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
    """

    def __init__(self, described: dict[str, Any], cluster: dict[str, Any]) -> None:
        self._described = described
        self._cluster = cluster
        self._token = ""
        self._until = float("inf")  # UNIX time
        self._asking = asyncio.Lock()
        if described.get("apiVersion") not in _VERSIONS:
            raise ClusterError(
                f"the kubeconfig's credential plug-in speaks {described.get('apiVersion')!r}, which is not known",
                f"Known are {', '.join(_VERSIONS)}.",
            )

    async def header(self, *, fresh: bool) -> str:
        """The plug-in's token; it is asked again when the token has ended or was not accepted."""
        refused = self._token if fresh else None
        async with self._asking:
            if not self._token or self._token == refused or time.time() > self._until - EARLY:
                self._keep(await self._ask())
        return f"Bearer {self._token}"

    async def _ask(self) -> bytes:
        command = [str(self._described["command"]), *map(str, self._described.get("args") or [])]
        environment = {entry["name"]: str(entry["value"]) for entry in self._described.get("env") or []}
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdout=asyncio.subprocess.PIPE,
                env={**os.environ, **environment, "KUBERNETES_EXEC_INFO": json.dumps(self._info())},
            )
        except OSError as error:
            hint = self._described.get("installHint") or "Install it, or log in to the cluster again."
            raise ClusterError(f"the credential plug-in {command[0]} cannot be started: {error}", str(hint)) from error
        try:
            async with asyncio.timeout(PLUGIN_TIMEOUT):
                output, _ = await process.communicate()
        except TimeoutError:
            raise ClusterError(
                f"the credential plug-in {command[0]} did not answer in {PLUGIN_TIMEOUT:g} s",
                "Log in to the cluster with your provider's tool first.",
            ) from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if process.returncode:
            raise ClusterError(
                f"the credential plug-in {command[0]} failed with exit code {process.returncode}",
                "Log in to the cluster again with your provider's tool.",
            )
        return output

    def _info(self) -> dict[str, Any]:
        spec: dict[str, Any] = {"interactive": sys.stdin is not None and sys.stdin.isatty()}
        if self._described.get("provideClusterInfo"):
            keys = ("server", "tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data", "proxy-url")
            spec["cluster"] = {key: self._cluster[key] for key in keys if key in self._cluster}
        return {"apiVersion": self._described["apiVersion"], "kind": "ExecCredential", "spec": spec}

    def _keep(self, output: bytes) -> None:
        try:
            status = json.loads(output)["status"]
            ends = status.get("expirationTimestamp")
            self._token = str(status["token"])
            self._until = datetime.fromisoformat(ends).timestamp() if ends else float("inf")
        except (ValueError, KeyError, TypeError) as error:
            raise ClusterError(
                f"the credential plug-in {self._described['command']} gave no token",
                "servelab takes tokens from plug-ins; client certificates belong into the kubeconfig.",
            ) from error


def credentials(user: dict[str, Any], cluster: dict[str, Any]) -> Credentials:
    """The credentials of a kubeconfig's user. Client certificates are part of the TLS connection instead."""
    if user.get("tokenFile"):
        return TokenFile(Path(user["tokenFile"]))
    if user.get("token"):
        return Fixed(f"Bearer {user['token']}")
    if user.get("exec"):
        return Plugin(user["exec"], cluster)
    if user.get("username"):
        pair = f"{user['username']}:{user.get('password', '')}"
        return Fixed(f"Basic {base64.b64encode(pair.encode()).decode()}")
    if user.get("auth-provider"):
        raise ClusterError(
            "the kubeconfig uses auth-provider, which Kubernetes removed in 1.26",
            "Replace it by your provider's credential plug-in (exec).",
        )
    return Fixed("")
