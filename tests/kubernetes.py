"""A Kubernetes of the tests' own: a real API server, and a real node for the tests that need pods.

The programs come from a folder with ``up.sh``, ``node-up.sh`` and ``down.sh`` (``SERVELAB_ENVTEST``, else
``../shared/envtest`` beside the repository), or from ``KUBEBUILDER_ASSETS``, a directory with ``kube-apiserver`` and
``etcd`` as kubebuilder's envtest has them: then there is an API server alone, without the CRDs of others.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
KUBELET_SETS = [Path("/proc/sys", name) for name in ("vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops")]
NODE_LOCK = Path(tempfile.gettempdir()) / "servelab-node.lock"
NODE_PROGRAMS = ("containerd", "runc", "ctr", "iptables", "conntrack", "ip")
MISSING = (
    "no Kubernetes to test with: set SERVELAB_ENVTEST to a folder with up.sh, or KUBEBUILDER_ASSETS to a directory "
    "with kube-apiserver and etcd"
)


def scripts() -> Path | None:
    """The folder with the programs and scripts; None when it is not there."""
    folder = Path(os.environ.get("SERVELAB_ENVTEST") or ROOT.parent / "shared" / "envtest")
    return folder.resolve() if (folder / "up.sh").exists() else None


def definitions(of: str) -> list[Path]:
    """The CRD files of ``tekton`` or ``ome``; skips the test when they are not there."""
    folder = scripts()
    if folder is None:
        pytest.skip(f"{MISSING}; the CRDs of {of} are in the former")
    return sorted((folder / "crds" / of).glob("*.yaml"))


class Kubernetes:
    """A running API server; ``directory`` holds all that belongs to it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def kubeconfig(self, user: str = "admin") -> Path:
        """Of ``admin``, who may do everything, or ``dev``, who has no rights of its own."""
        return self.directory / f"{user}.kubeconfig"

    def start(self) -> None:
        """Start what does not run; returns when the API server is ready."""
        raise NotImplementedError

    @property
    def port(self) -> int:
        """Where the API server listens."""
        raise NotImplementedError

    def pause(self) -> None:
        """Stop the API server's process without ending it: nothing answers, no connection is closed."""
        os.kill(self._pid(), signal.SIGSTOP)

    def unpause(self) -> None:
        """Let the API server go on."""
        os.kill(self._pid(), signal.SIGCONT)

    def kill(self) -> None:
        """Kill the API server; what it stored stays."""
        os.kill(self._pid(), signal.SIGKILL)
        _wait_until_free(self.port)  # a killed process may hold its port for a while yet
        (self.directory / "pid" / "apiserver").unlink()  # the scripts would take a zombie for alive

    def _pid(self) -> int:
        return int((self.directory / "pid" / "apiserver").read_text())


class Scripted(Kubernetes):
    """The one of the scripts, with CRDs, and a node on demand."""

    def __init__(self, directory: Path, folder: Path) -> None:
        super().__init__(directory)
        self.folder = folder
        self._loaded = (directory / "log" / "crds.log").exists()
        ports = zip(("PORT", "ETCD_PORT", "ETCD_PEER"), map(str, _free_ports(3)), strict=True)
        self._ports = {} if (directory / "env").exists() else dict(ports)

    @property
    def port(self) -> int:
        return int(re.findall(r"^PORT=(\d+)", (self.directory / "env").read_text(), re.MULTILINE)[0])

    def start(self, *components: str) -> None:
        bare = {**os.environ, **self._ports, "NO_CRDS": "1"}
        self._run("up.sh", *components, environment=bare)
        self._wait("get", "--raw", "/readyz")
        if not self._loaded:
            del bare["NO_CRDS"]
            self._run("up.sh", environment=bare)
            self._loaded = True

    def _wait(self, *question: str) -> None:
        """Until kubectl answers yes: the scripts wait too, but on a busy machine not for long enough."""
        ask = ["kubectl", "--kubeconfig", self.kubeconfig(), *question]
        deadline = time.monotonic() + 240
        while subprocess.run(ask, capture_output=True, timeout=240, check=False).returncode:
            if time.monotonic() > deadline:
                pytest.fail(f"kubectl {' '.join(question)}: not within 240 s; see {self.directory / 'log'}")
            time.sleep(0.2)

    def start_node(self) -> None:
        """Make this machine a node, with controllers and scheduler."""
        self.start("cm", "sched")
        self._run("node-up.sh", environment=dict(os.environ))
        self._wait("wait", "--for=condition=Ready", "node/localhost", "--timeout=20s")

    def load_image(self, archive: Path) -> None:
        """Give the node an image from a docker archive."""
        command = ["ctr", "-a", self.directory / "cri" / "containerd.sock", "-n", "k8s.io", "images", "import", archive]
        subprocess.run(command, check=True, capture_output=True, timeout=240)

    def make_image(self, archive: Path, name: str, *files: str) -> None:
        """Write a docker archive; each of ``files`` is source=destination."""
        script = [sys.executable, self.folder / "mkimage.py", archive, name, '["/bin/sh"]', *files]
        subprocess.run(script, check=True, capture_output=True, timeout=240)

    def stop_node(self) -> None:
        """End the node with its pods, the controllers and the scheduler; the API server is started again."""
        self._run("down.sh", environment=dict(os.environ))
        self.start()
        remove = ["kubectl", "--kubeconfig", self.kubeconfig(), "delete", "node", "localhost", "--ignore-not-found"]
        subprocess.run(remove, check=True, capture_output=True, timeout=240)

    def stop(self) -> None:
        """End everything, and forget it."""
        if self.directory.exists():
            self._run("down.sh", "--purge", environment=dict(os.environ))

    def _run(self, script: str, *arguments: str, environment: dict[str, str]) -> None:
        command = [self.folder / script, self.directory, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode:
            pytest.fail(f"{script} failed: {done.stderr[-2000:]}")


class Assets(Kubernetes):
    """An API server of ``KUBEBUILDER_ASSETS``, with a certificate that it made itself."""

    def __init__(self, directory: Path, programs: Path) -> None:
        super().__init__(directory)
        self._programs = programs
        self._ports = _free_ports(3)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        (directory / "pid").mkdir()
        keys = directory / "service-accounts.key"
        subprocess.run(["openssl", "genrsa", "-out", keys, "2048"], check=True, capture_output=True)
        tokens = [f'{user}-token,{user},{user},"{group}"' for user, group in (("admin", "system:masters"), ("dev", ""))]
        (directory / "tokens.csv").write_text("\n".join(tokens))

    @property
    def port(self) -> int:
        return self._ports[0]

    def start(self, *components: str) -> None:
        assert not components
        port, clients, peers = self._ports
        etcd, listen = f"http://127.0.0.1:{clients}", f"http://127.0.0.1:{peers}"
        where = ["--listen-client-urls", etcd, "--advertise-client-urls", etcd, "--listen-peer-urls", listen]
        own = ["--initial-advertise-peer-urls", listen, "--initial-cluster", f"default={listen}"]
        self._spawn("etcd", "--data-dir", str(self.directory / "etcd"), *where, *own, "--log-level", "warn")
        key = str(self.directory / "service-accounts.key")
        accounts = ["--service-account-key-file", key, "--service-account-signing-key-file", key]
        names = [
            "--service-account-issuer",
            "https://kubernetes.default.svc",
            "--service-cluster-ip-range",
            "10.0.0.0/24",
        ]
        serving = ["--bind-address", "127.0.0.1", "--secure-port", str(port), "--cert-dir", str(self.directory / "tls")]
        users = ["--token-auth-file", str(self.directory / "tokens.csv"), "--authorization-mode", "RBAC"]
        admission = ["--disable-admission-plugins", "ServiceAccount", "--advertise-address", "192.0.2.2"]
        arguments = ["--etcd-servers", etcd, *serving, *users, *accounts, *names, *admission]
        self._spawn("kube-apiserver", *arguments)
        (self.directory / "pid" / "apiserver").write_text(str(self._processes["kube-apiserver"].pid))
        self._wait()

    def _spawn(self, name: str, *arguments: str) -> None:
        running = self._processes.get(name)
        if running is None or running.poll() is not None:
            log = (self.directory / f"{name}.log").open("ab")
            self._processes[name] = subprocess.Popen([self._programs / name, *arguments], stdout=log, stderr=log)

    def _wait(self) -> None:
        url = f"https://127.0.0.1:{self._ports[0]}/readyz"
        request = urllib.request.Request(url, headers={"Authorization": "Bearer admin-token"})
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                insecure = ssl._create_unverified_context()
                with urllib.request.urlopen(request, context=insecure, timeout=5):
                    return self._write_kubeconfigs()
            time.sleep(0.2)
        pytest.fail(f"kube-apiserver did not start: {(self.directory / 'kube-apiserver.log').read_text()[-2000:]}")

    def _write_kubeconfigs(self) -> None:
        authority = base64.b64encode((self.directory / "tls" / "apiserver.crt").read_bytes()).decode()
        server = {"server": f"https://localhost:{self._ports[0]}", "certificate-authority-data": authority}
        for user in ("admin", "dev"):
            document = {
                "current-context": "lab",
                "clusters": [{"name": "lab", "cluster": server}],
                "users": [{"name": user, "user": {"token": f"{user}-token"}}],
                "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": user}}],
            }
            self.kubeconfig(user).write_text(json.dumps(document))

    def stop(self) -> None:
        """End both, and forget them."""
        for process in reversed(self._processes.values()):
            process.kill()
            process.wait(120)
        shutil.rmtree(self.directory, ignore_errors=True)


@contextlib.contextmanager
def kubernetes() -> Iterator[Scripted | Assets]:
    """Run an API server; skips when there is none to run.

    ``SERVELAB_KUBERNETES`` names a directory in which it is kept for the next run, which starts quicker.
    """
    folder, assets = scripts(), os.environ.get("KUBEBUILDER_ASSETS")
    if folder is None and assets is None:
        pytest.skip(MISSING)
    kept = os.environ.get("SERVELAB_KUBERNETES")
    directory = Path(kept or tempfile.mkdtemp(prefix="servelab-kubernetes-"))
    if folder is not None:
        if shutil.which("etcd") is None and not (assets and (Path(assets) / "etcd").exists()):
            pytest.skip("etcd is missing: run scripts/kubernetes as root, or apt-get install etcd-server")
        running: Scripted | Assets = Scripted(directory, folder)
    else:
        running = Assets(directory, Path(assets or ""))
    try:
        running.start()
        yield running
    finally:
        if not kept:
            running.stop()


@contextlib.contextmanager
def node(cluster: Scripted | Assets) -> Iterator[None]:
    """Give the API server a node; skips where this machine cannot be one."""
    if not isinstance(cluster, Scripted):
        pytest.skip("pods need the folder of SERVELAB_ENVTEST; KUBEBUILDER_ASSETS has an API server only")
    missing = [name for name in NODE_PROGRAMS if shutil.which(name) is None]
    if os.geteuid() != 0 or missing:
        pytest.skip(f"a node needs root and {', '.join(missing) or 'nothing else'}: see scripts/kubernetes")
    with NODE_LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one node to a machine: they share its bridge and cgroups
        before = {setting: setting.read_text() for setting in KUBELET_SETS}
        try:
            cluster.start_node()
            yield
        finally:
            if not os.environ.get("SERVELAB_KUBERNETES"):
                cluster.stop_node()  # others may be waiting to be one
            for setting, value in before.items():
                setting.write_text(value)


def _free_ports(count: int) -> list[int]:
    """Ports that nothing listens on, below those that the kernel gives to clients.

    A client that tries to reach a server that is down, at a port which the kernel may give to clients, can be given
    that port itself, and connect to itself; the server then cannot start again.
    """
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(12_000, lowest)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            found.append(port)
    return found


def _wait_until_free(port: int) -> None:
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return
        time.sleep(0.02)
    pytest.fail(f"port {port} is not given back")
