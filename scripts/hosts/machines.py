"""What runs on the hosts: a store, web processes, workers, and nginx in front, as deploy/nginx.conf has it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Protocol

import httpx

from scripts.hosts.agent import JOURNAL
from scripts.hosts.network import NETWORK, Host, create_network
from tests.integration.stores.servers import PostgresServer, RedisServer, Server

ROOT = Path(__file__).resolve().parents[2]
PATH = "/api/copilotkit"
PORT = 8000
LEASE_SECONDS = 5
_START_SECONDS = 300.0
_END_SECONDS = 60.0


class Machine(Protocol):
    """A host with one process, which can be started again."""

    host: Host

    def start(self) -> None:
        """Start the process."""

    def end(self) -> None:
        """Have the process end as a deployment does, and wait for it."""


class Process:
    """A process of this package on a host.

    Args:
        host: The host.
        arguments: The program's arguments.
        settings: Its settings.
        folder: Where its log is written.
    """

    def __init__(self, host: Host, arguments: tuple[str, ...], settings: dict[str, str], folder: Path) -> None:
        self.host = host
        self._arguments = arguments
        self._settings = settings
        self._log = folder / f"{host.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; ``ready`` waits until it can be used."""
        program = str(Path(sys.executable).with_name("copilotkit-runtime"))
        address = {"COPILOTKIT_HOST": self.host.address, "COPILOTKIT_PORT": str(PORT)}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.host.within, program, *self._arguments],
                cwd=ROOT,
                env={**os.environ, **self._settings, **address, "PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=log,
            )

    def ready(self) -> None:
        """Wait until it is ready.

        Raises:
            TimeoutError: It is not in time.
        """
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_ready():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.host.name} is not ready: {self._log.read_text()[-2000:]}")
            time.sleep(0.1)

    def end(self) -> None:
        """Have it end as a deployment does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(_END_SECONDS)

    def log(self) -> str:
        """Return what it has logged."""
        return self._log.read_text()

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"http://{self.host.address}:{PORT}/ready", timeout=2).status_code == 200
        except httpx.TransportError:
            return False


class Balancer:
    """nginx, with the web hosts as the servers of its upstream.

    Args:
        host: The host.
        servers: The web hosts.
        folder: Where its files are.
    """

    def __init__(self, host: Host, servers: list[Host], folder: Path) -> None:
        self.host = host
        self.url = f"http://{host.address}:8080{PATH}"
        self._servers = servers
        self._folder = folder

    def start(self) -> None:
        """Start it."""
        shipped = (ROOT / "deploy" / "nginx.conf").read_text()
        lines = [line for line in shipped.splitlines() if "server runtime:8000" in line]
        for line in lines:
            servers = "\n".join(line.replace("runtime:8000", f"{each.address}:{PORT}") for each in self._servers)
            shipped = shipped.replace(line, servers)
        file = self._folder / "nginx.conf"
        file.write_text(shipped)
        program = shutil.which("nginx", path="/usr/sbin:/usr/bin")
        if program is None:
            raise FileNotFoundError("nginx is not installed.")
        with (self._folder / "nginx.log").open("ab") as log:
            subprocess.Popen(
                [*self.host.within, program, "-c", file, "-g", f"daemon off; pid {self._folder}/nginx.pid;"],
                stdout=log,
                stderr=log,
            )


class Deployment:
    """Two web hosts, three worker hosts, a store's host and a balancer's.

    Args:
        store: ``redis`` or ``postgres``.
        folder: An empty folder for logs and data.
    """

    def __init__(self, store: str, folder: Path) -> None:
        self.folder = folder
        self.journal = folder / "journal"
        self.store_host = Host(store, 2)
        self.store = _server(store, self.store_host, folder / "data")
        settings = {
            "COPILOTKIT_STORE": self.store.url,
            "COPILOTKIT_STORE_LEASE_SECONDS": str(LEASE_SECONDS),
            "COPILOTKIT_SHUTDOWN_GRACE_SECONDS": "3",
            "COPILOTKIT_ON_CRASH": "resume",
            "COPILOTKIT_ON_DISCONNECT": "continue",
            "COPILOTKIT_WORKER_CONCURRENCY": "500",
            JOURNAL: str(self.journal),
        }
        self.webs = [
            Process(Host(f"web{number}", 10 + number), ("serve", "--execution", "queue"), settings, folder)
            for number in (1, 2)
        ]
        self.workers = [
            Process(Host(f"worker{number}", 20 + number), ("worker", "scripts/hosts/app.py:runtime"), settings, folder)
            for number in (1, 2, 3)
        ]
        self.balancer = Balancer(Host("balancer", 9), [web.host for web in self.webs], folder)

    def start(self) -> None:
        """Make the network and the hosts, and start everything."""
        create_network()
        processes = [*self.workers, *self.webs]
        for host in (self.store_host, self.balancer.host, *(process.host for process in processes)):
            host.create()
        self.journal.touch()
        self.store.start()
        for process in processes:
            process.start()
        self.balancer.start()
        for process in processes:
            process.ready()

    def settle(self) -> None:
        """Wait until all processes are ready, as before each scenario."""
        for process in (*self.workers, *self.webs):
            process.ready()

    def addresses(self) -> list[str]:
        """Return the URLs of the web hosts, past the balancer."""
        return [f"http://{web.host.address}:{PORT}{PATH}" for web in self.webs]


def _server(store: str, host: Host, folder: Path) -> Server:
    folder.mkdir()
    if store == "redis":
        return RedisServer(folder, host.address, host.within)
    nobody = (*host.within, "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
    server = PostgresServer(folder, host.address, nobody)
    server.create()
    return server


__all__ = ["LEASE_SECONDS", "NETWORK", "Balancer", "Deployment", "Machine", "Process"]
