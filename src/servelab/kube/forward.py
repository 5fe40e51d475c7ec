"""Reach a pod's port from this machine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from httpx2.websockets import HTTPXWSException

from servelab.kube.channels import Channel, channels, receive
from servelab.kube.cluster import Cluster
from servelab.kube.kinds import POD
from servelab.kube.names import check_name
from servelab.spec.errors import ClusterError

DATA, ERROR = 0, 1
CHUNK = 2**16  # bytes
LINGER = 1.0  # seconds for the pod's last words after our side has ended: the protocol knows no half-closed connection
HOST = "127.0.0.1"


@contextlib.asynccontextmanager
async def forward(cluster: Cluster, pod: str, port: int, namespace: str = "") -> AsyncIterator[int]:
    """A port on 127.0.0.1 whose connections lead to ``port`` of a pod, for as long as the context lasts.

    A connection that the pod refuses is closed; ask ``execute`` or the pod's log for the reason.
    """
    path = f"{cluster.path(POD, namespace)}/{check_name(pod)}/portforward"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ClusterError, OSError):
            await _join(cluster, path, port, reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _join(
    cluster: Cluster, path: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Carry bytes both ways until either side ends."""
    async with channels(cluster, path, [("ports", str(port))]) as channel:
        sending = asyncio.create_task(_send(channel, reader))
        try:
            await _receive(channel, writer)
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, HTTPXWSException, OSError):
                await sending


async def _send(channel: Channel, reader: asyncio.StreamReader) -> None:
    while data := await reader.read(CHUNK):
        await channel.send_bytes(bytes([DATA]) + data)
    await asyncio.sleep(LINGER)
    await channel.close()


async def _receive(channel: Channel, writer: asyncio.StreamWriter) -> None:
    greeted = set()
    while (message := await receive(channel)) is not None:
        number, data = message
        if number not in greeted:
            greeted.add(number)  # each channel begins with the port's number in two bytes
            data = data[2:]
        if number == ERROR and data:
            return
        writer.write(data)
        await writer.drain()
