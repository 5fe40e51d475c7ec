"""A played Docker Engine: an HTTP server on a unix socket that answers as the public Engine API (v1.50) says.

No Docker Engine runs where these tests do. The exchanges here were written from the API's specification
(docs.docker.com/reference/api/engine/version/v1.50) and from the messages of dockerd, not recorded from one. What a
container does is real: its command runs as a process of this machine, in a process group of its own, so that a whole
study runs and is measured. What is played is the container around it: images are a list of names with the programs
that are in them, mounts are rewritten paths, and the container's network is this machine's loopback.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import struct
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

PYTHON, LLAMA = "python:3.12-slim", "ghcr.io/ggml-org/llama.cpp:server"
SERVELAB = "example.org/servelab:1"  # with servelab in it, for the simulated engine
HOST = "lab.local/host:1"  # as the tests' Kubernetes has it: this machine's programs
PROGRAMS = {
    PYTHON: {"python3": [sys.executable]},
    SERVELAB: {"python3": [sys.executable]},
    HOST: {"python3": [sys.executable]},
    LLAMA: {"/app/llama-server": [sys.executable, "-m", "servelab.engines.llamacpp.server"]},
}
GPU_DRIVER = 'could not select device driver "" with capabilities: [[gpu]]'
NO_PROGRAM = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: "
    'unable to start container process: error during container init: exec: "{}": executable file not found in $PATH'
)


@dataclass
class Container:
    """A container, and the process that plays it."""

    id: str
    name: str
    config: dict[str, Any]
    process: asyncio.subprocess.Process | None = None
    status: str = "created"
    code: int = 0
    log: list[tuple[int, bytes]] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def running(self) -> bool:
        return self.status == "running"

    def kill(self, number: int) -> None:
        if self.process is not None and self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    async def until_ended(self) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: self.status == "exited")


def refusal(status: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)


class Engine:
    """The state of the engine, and a handler for each call of its API."""

    def __init__(self, images: list[str], gpus: list[str], record: str) -> None:
        self.images = set(images)
        self.gpus = gpus
        self.containers: dict[str, Container] = {}
        self.record = record
        self.tasks: set[asyncio.Task[None]] = set()

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self.recorded])
        v = "/{version:v[0-9.]+}"
        app.add_routes(
            [
                web.get("/_ping", self.ping),
                web.get("/version", self.version),
                web.get(v + "/version", self.version),
                web.get(v + "/info", self.info),
                web.post(v + "/images/create", self.pull),
                web.get(v + "/images/{image:.+}/json", self.inspect_image),
                web.post(v + "/containers/create", self.create),
                web.get(v + "/containers/json", self.list),
                web.get(v + "/containers/{id}/json", self.inspect),
                web.post(v + "/containers/{id}/start", self.start),
                web.post(v + "/containers/{id}/wait", self.wait),
                web.post(v + "/containers/{id}/stop", self.stop),
                web.post(v + "/containers/{id}/kill", self.kill),
                web.get(v + "/containers/{id}/logs", self.logs),
                web.delete(v + "/containers/{id}", self.delete),
            ]
        )
        return app

    @web.middleware
    async def recorded(self, request: web.Request, handler: Any) -> web.StreamResponse:
        body = await request.text() if request.method == "POST" else ""
        if self.record:
            with Path(self.record).open("a", encoding="utf-8") as file:  # noqa: ASYNC230
                call = {"call": f"{request.method} {request.path}", "query": dict(request.query), "body": body}
                file.write(json.dumps(call) + "\n")
        return await handler(request)

    async def ping(self, request: web.Request) -> web.Response:
        return web.Response(text="OK", headers={"Api-Version": "1.50", "Ostype": "linux"})

    async def version(self, request: web.Request) -> web.Response:
        return web.json_response({"Version": "28.2.2", "ApiVersion": "1.50", "MinAPIVersion": "1.24", "Os": "linux"})

    async def info(self, request: web.Request) -> web.Response:
        runtimes = {"runc": {"path": "runc"}} | ({"nvidia": {"path": "nvidia-container-runtime"}} if self.gpus else {})
        return web.json_response({"Runtimes": runtimes, "DockerRootDir": "/", "ServerVersion": "28.2.2"})

    async def pull(self, request: web.Request) -> web.StreamResponse:
        image = request.query["fromImage"]
        image += f":{request.query['tag']}" if request.query.get("tag") else ""
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)

        async def say(**event: Any) -> None:
            await response.write(json.dumps(event).encode() + b"\r\n")

        if image.startswith("slow.example.org/"):
            await say(status="Pulling from library/x", id="latest")
            await asyncio.sleep(600)
        if image not in PROGRAMS:
            message = f"pull access denied for {image}, repository does not exist or may require 'docker login'"
            await say(errorDetail={"message": message}, error=message)
            return response
        await say(status=f"Pulling from {image}", id="latest")
        for part in range(1, 6):
            await say(status="Downloading", id="a1", progressDetail={"current": part * 10**9, "total": 5 * 10**9})
            await asyncio.sleep(0.02)
        await say(status="Download complete", id="a1", progressDetail={})
        await say(status="Pull complete", id="a1", progressDetail={})
        self.images.add(image)
        await say(status=f"Status: Downloaded newer image for {image}")
        return response

    async def inspect_image(self, request: web.Request) -> web.Response:
        image = request.match_info["image"]
        if image not in self.images:
            return refusal(404, f"No such image: {image}")
        return web.json_response({"Id": "sha256:" + "0" * 64, "RepoTags": [image]})

    async def create(self, request: web.Request) -> web.Response:
        config = await request.json()
        name = request.query.get("name") or secrets.token_hex(4)
        if config["Image"] not in self.images:
            return refusal(404, f"No such image: {config['Image']}")
        if any(one.name == name for one in self.containers.values()):
            return refusal(409, f'Conflict. The container name "/{name}" is already in use by container "x".')
        for mount in config["HostConfig"].get("Mounts", []):
            if not Path(mount["Source"]).exists():
                reason = f"bind source path does not exist: {mount['Source']}"
                return refusal(400, f'invalid mount config for type "bind": {reason}')
        asked = {int(core) for core in config["HostConfig"].get("CpusetCpus", "").split(",") if core}
        if not asked <= set(range(os.cpu_count() or 1)):
            return refusal(400, "Requested CPUs are not available - requested 64, available: 0-1")
        container = Container(secrets.token_hex(32), name, config)
        self.containers[container.id] = container
        return web.json_response({"Id": container.id, "Warnings": []}, status=201)

    async def start(self, request: web.Request) -> web.Response:
        container = self.find(request)
        if container is None:
            return self.absent(request)
        config, host = container.config, container.config["HostConfig"]
        for asked in host.get("DeviceRequests") or []:
            if not self.gpus:
                return refusal(500, GPU_DRIVER)
            if unknown := set(asked["DeviceIDs"]) - set(self.gpus):
                return refusal(500, f"nvidia-container-cli: device error: {unknown.pop()}: unknown device")
        for bindings in host["PortBindings"].values():
            port = int(bindings[0]["HostPort"])
            with socket.socket() as probe:
                try:
                    probe.bind((bindings[0]["HostIp"], port))
                except OSError:
                    where = f"{bindings[0]['HostIp']}:{port}"
                    return refusal(500, f"Bind for {where} failed: port is already allocated")
        program = PROGRAMS[config["Image"]].get(config["Entrypoint"][0])
        if program is None:
            return refusal(400, NO_PROGRAM.format(config["Entrypoint"][0]))
        words = [self.outside(word, host) for word in [*config["Entrypoint"][1:], *config["Cmd"]]]
        environment = dict(entry.partition("=")[::2] for entry in config["Env"])
        container.process = await asyncio.create_subprocess_exec(
            *program,
            *words,
            env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")} | environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        if host.get("CpusetCpus"):
            os.sched_setaffinity(container.process.pid, {int(core) for core in host["CpusetCpus"].split(",")})
        container.status = "running"
        task = asyncio.ensure_future(self.follow(container))
        self.tasks.add(task)
        return web.Response(status=204)

    def outside(self, word: str, host: dict[str, Any]) -> str:
        """A word of the command with the container's paths and network as they are on this machine."""
        for mount in host.get("Mounts", []):
            if word == mount["Target"] or word.startswith(mount["Target"] + "/"):
                return mount["Source"] + word.removeprefix(mount["Target"])
        return "127.0.0.1" if word == "0.0.0.0" else word

    async def follow(self, container: Container) -> None:
        """Keep what the process writes, and note how it ends; with PID 1 everything in a container ends."""
        assert container.process is not None

        async def read(stream: int, source: asyncio.StreamReader) -> None:
            while data := await source.read(65536):
                async with container.changed:
                    container.log.append((stream, data))
                    container.changed.notify_all()

        out, err = container.process.stdout, container.process.stderr
        assert out is not None
        assert err is not None
        reading = asyncio.gather(read(1, out), read(2, err))
        code = await container.process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(container.process.pid, signal.SIGKILL)
        await reading
        async with container.changed:
            container.status, container.code = "exited", 128 - code if code < 0 else code
            container.changed.notify_all()

    async def inspect(self, request: web.Request) -> web.Response:
        container = self.find(request)
        if container is None:
            return self.absent(request)
        pid = container.process.pid if container.process is not None and container.running else 0
        state = {"Status": container.status, "Running": container.running, "Pid": pid, "OOMKilled": False}
        shown = {
            "Id": container.id,
            "Name": f"/{container.name}",
            "State": state | {"ExitCode": container.code},
            "Config": container.config | {"Tty": False},
            "HostConfig": container.config["HostConfig"],
        }
        return web.json_response(shown)

    async def list(self, request: web.Request) -> web.Response:
        wanted = json.loads(request.query.get("filters", "{}")).get("label", [])
        every = request.query.get("all", "0").lower() in ("1", "true")
        found = []
        for one in self.containers.values():
            labels = one.config.get("Labels", {})
            pairs = [label.partition("=") for label in wanted]
            if (every or one.running) and all(n in labels and (not eq or labels[n] == v) for n, eq, v in pairs):
                shown = {"Id": one.id, "Names": [f"/{one.name}"], "Labels": labels, "State": one.status}
                found.append(shown | {"Image": one.config["Image"], "Created": int(time.time())})
        return web.json_response(found)

    async def wait(self, request: web.Request) -> web.Response:
        container = self.find(request)
        if container is None:
            return self.absent(request)
        if container.running:
            await container.until_ended()
        return web.json_response({"StatusCode": container.code})

    async def stop(self, request: web.Request) -> web.Response:
        container = self.find(request)
        if container is None:
            return self.absent(request)
        if not container.running:
            return web.Response(status=304)
        container.kill(signal.SIGTERM)
        try:
            await asyncio.wait_for(container.until_ended(), float(request.query.get("t", "10")))
        except TimeoutError:
            container.kill(signal.SIGKILL)
            await container.until_ended()
        return web.Response(status=204)

    async def kill(self, request: web.Request) -> web.Response:
        container = self.find(request)
        if container is None:
            return self.absent(request)
        if not container.running:
            return refusal(409, f"cannot kill container: {container.id}: container {container.id} is not running")
        container.kill(getattr(signal, request.query.get("signal", "SIGKILL")))
        return web.Response(status=204)

    async def logs(self, request: web.Request) -> web.StreamResponse:
        container = self.find(request)
        if container is None:
            return self.absent(request)
        response = web.StreamResponse(headers={"Content-Type": "application/vnd.docker.multiplexed-stream"})
        await response.prepare(request)
        sent, follow = 0, request.query.get("follow", "0").lower() in ("1", "true")
        while True:
            while sent < len(container.log):
                stream, data = container.log[sent]
                await response.write(struct.pack(">BxxxL", stream, len(data)) + data)
                sent += 1
            if not follow or container.status == "exited":
                return response
            async with container.changed:
                if sent == len(container.log) and container.status != "exited":
                    await container.changed.wait()

    async def delete(self, request: web.Request) -> web.Response:
        container = self.find(request)
        if container is None:
            return self.absent(request)
        if container.running and request.query.get("force", "0").lower() not in ("1", "true"):
            return refusal(409, f"cannot remove container {container.name!r}: container is running")
        if container.running:
            container.kill(signal.SIGKILL)
            await container.until_ended()
        self.containers.pop(container.id, None)
        return web.Response(status=204)

    def find(self, request: web.Request) -> Container | None:
        wanted = request.match_info["id"]
        return next((one for one in self.containers.values() if wanted in (one.id, one.name, one.id[:12])), None)

    def absent(self, request: web.Request) -> web.Response:
        return refusal(404, f"No such container: {request.match_info['id']}")


async def serve(socket_path: str, engine: Engine) -> None:
    runner = web.AppRunner(engine.app(), shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, socket_path).start()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    for container in engine.containers.values():
        container.kill(signal.SIGKILL)
    await runner.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", required=True)
    parser.add_argument("--image", action="append", default=[])
    parser.add_argument("--gpu", action="append", default=[])
    parser.add_argument("--record", default="")
    asked = parser.parse_args()
    asyncio.run(serve(asked.socket, Engine(asked.image, asked.gpu, asked.record)))
