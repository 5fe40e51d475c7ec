"""The connection to an API server: TLS, proxy and credentials, for plain requests and websockets alike."""

from __future__ import annotations

import base64
import binascii
import ssl
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2

from servelab.kube.credentials import Credentials, credentials
from servelab.kube.kubeconfig import Access
from servelab.spec.errors import ClusterError


class Transport(httpx2.AsyncHTTPTransport):
    """Sends every request as the user of ``access``; a refused credential is renewed once."""

    def __init__(self, access: Access) -> None:
        super().__init__(verify=_tls(access), proxy=_proxy(access), trust_env=False)
        self._credentials: Credentials = credentials(access.user, access.cluster)
        self._server_name = access.cluster.get("tls-server-name")

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send ``request``."""
        if self._server_name:
            request.extensions = {**request.extensions, "sni_hostname": self._server_name}
        response = await self._send(request, fresh=False)
        if response.status_code == httpx2.codes.UNAUTHORIZED and not isinstance(request.stream, httpx2.AsyncByteStream):
            return response
        if response.status_code == httpx2.codes.UNAUTHORIZED:
            await response.aclose()
            return await self._send(request, fresh=True)
        return response

    async def _send(self, request: httpx2.Request, *, fresh: bool) -> httpx2.Response:
        header = await self._credentials.header(fresh=fresh)
        if header:
            request.headers["Authorization"] = header
        return await super().handle_async_request(request)


def _proxy(access: Access) -> str | None:
    """The proxy of the kubeconfig, else of the environment."""
    own = access.cluster.get("proxy-url")
    if own:
        return str(own)
    server = urlsplit(access.server)
    if proxy_bypass(server.hostname or ""):
        return None
    return getproxies().get(server.scheme)


def _tls(access: Access) -> ssl.SSLContext:
    cluster, user = access.cluster, access.user
    try:
        context = ssl.create_default_context(cafile=cluster.get("certificate-authority"), cadata=_authority(cluster))
        # Many clusters' own certificates lack what RFC 5280 asks for and Python 3.13 insists on.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if cluster.get("insecure-skip-tls-verify"):
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        _load_client_certificate(context, user)
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"the certificates of context {access.context!r} cannot be used: {error}",
            "Check certificate-authority and client-certificate in your kubeconfig.",
        ) from error
    return context


def _authority(cluster: dict[str, Any]) -> str | None:
    data = cluster.get("certificate-authority-data")
    return _decode(data).decode("ascii") if data else None


def _load_client_certificate(context: ssl.SSLContext, user: dict[str, Any]) -> None:
    # The ssl module loads keys from files only; these live in memory's file system where there is one, for a moment.
    certificate, key = user.get("client-certificate-data"), user.get("client-key-data")
    if not (certificate or key or user.get("client-certificate")):
        return
    memory = Path("/dev/shm")  # noqa: S108 - a private directory is made in it
    with tempfile.TemporaryDirectory(prefix="servelab-", dir=memory if memory.is_dir() else None) as directory:
        files = []
        for name, data in (("client-certificate", certificate), ("client-key", key)):
            file = Path(directory) / name
            if data:
                file.touch(mode=0o600)
                file.write_bytes(_decode(data))
            files.append(str(file) if data else user.get(name))
        context.load_cert_chain(files[0] or "", files[1])


def _decode(data: str) -> bytes:
    try:
        return base64.b64decode(data)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from error
