"""Kubernetes' streams over a websocket: numbered channels, the first byte of a message says which.

Source: the subprotocols ``v4.channel.k8s.io`` and ``v5.channel.k8s.io`` of k8s.io/apimachinery, remotecommand.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from httpx2.websockets import AsyncWebSocketSession, WebSocketDisconnect

from servelab.kube.cluster import Cluster
from servelab.kube.errors import translated, ungrouped

PROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"]
MESSAGE = 16 * 2**20  # bytes of a message at most; Kubernetes sends 32 KiB
QUEUE = 64  # messages that wait for the reader before the server is slowed down
SILENCE = 600.0  # seconds without a message after which the stream counts as lost; pings go on meanwhile

Channel = AsyncWebSocketSession


@asynccontextmanager
async def channels(cluster: Cluster, path: str, params: Sequence[tuple[str, str]]) -> AsyncIterator[Channel]:
    """Open a stream.

    Raises:
        RefusedError: the API server answered no.
        UnreachableError: the connection was lost.
    """
    with translated(cluster.access.server), ungrouped():
        async with cluster.http.websocket(
            path,
            params=list(params),
            subprotocols=PROTOCOLS,
            max_message_size_bytes=MESSAGE,
            queue_size=QUEUE,
        ) as channel:
            yield channel


async def receive(channel: Channel) -> tuple[int, bytes] | None:
    """The next message with the number of its channel; None when the server has closed the stream."""
    try:
        message = await channel.receive_bytes(timeout=SILENCE)
    except WebSocketDisconnect:
        return None
    return (message[0], message[1:]) if message else (0, b"")
