"""Hosts on one machine: network namespaces, each with an address on one bridge.

All of it is made inside of a network, mount and process namespace that ``run_inside`` enters, and ends with it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

NETWORK = "10.203.0"
_INSIDE = "HOSTS_INSIDE"
_UNSHARE = (
    "setpriv",
    "--pdeathsig=KILL",
    "unshare",
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
)
_NAMES = Path("/run/netns")
_DEATH_SECONDS = 20.0


class NoNamespacesError(RuntimeError):
    """This machine makes no network namespaces for this user."""


def is_inside() -> bool:
    """Return whether this program runs where ``run_inside`` has put it."""
    return _INSIDE in os.environ


def run_inside(module: str, arguments: Sequence[str]) -> int:
    """Run a module where it may make hosts; return its exit status.

    Args:
        module: Its name.
        arguments: What it is given.

    Raises:
        NoNamespacesError: Namespaces cannot be had.
    """
    if os.geteuid() != 0:
        raise NoNamespacesError("Network namespaces are made by root: run this as root.")
    probe = subprocess.run(
        [*_UNSHARE, "ip", "link", "add", "probe", "type", "bridge"], capture_output=True, check=False
    )
    if probe.returncode:
        raise NoNamespacesError(f"Network namespaces cannot be made here: {probe.stderr.decode().strip()}")
    command = [*_UNSHARE, sys.executable, "-m", module, *arguments]
    return subprocess.run(command, env={**os.environ, _INSIDE: "1"}, check=False).returncode


class Host:
    """A host: a network namespace, and what runs in it.

    Args:
        name: Its name.
        number: The last part of its address.
    """

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.address = f"{NETWORK}.{number}"
        self.within = ("ip", "netns", "exec", name)
        self._link = f"link{number}"

    def create(self) -> None:
        """Make the namespace, and plug it in."""
        _ip("netns", "add", self.name)
        _ip("link", "add", self._link, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        _ip("-n", self.name, "addr", "add", f"{self.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip("-n", self.name, "link", "set", device, "up")
        _ip("link", "set", self._link, "up")
        self.plug()

    def plug(self) -> None:
        """Connect the host to the others."""
        _ip("link", "set", self._link, "master", "bridge0")

    def unplug(self) -> None:
        """Cut the host off: packets are lost both ways, and nobody is sent a reset."""
        _ip("link", "set", self._link, "nomaster")

    def die(self) -> None:
        """Cut the host off and kill all that runs on it, so that no connection is closed."""
        self.unplug()
        deadline = time.monotonic() + _DEATH_SECONDS
        while pids := _ip("netns", "pids", self.name).split():
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} has processes that do not die: {pids}")
            time.sleep(0.02)


def create_network() -> None:
    """Make the bridge that hosts are plugged into; this program has an address on it."""
    _NAMES.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "hosts", _NAMES], check=True)
    _ip("link", "set", "lo", "up")
    # With an address of its own: else it changes with the ports, and hosts do not find it for seconds.
    _ip("link", "add", "bridge0", "address", "02:00:00:00:00:01", "type", "bridge")
    _ip("addr", "add", f"{NETWORK}.1/24", "dev", "bridge0")
    _ip("link", "set", "bridge0", "up")


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, stdout=subprocess.PIPE).stdout.decode()
