"""A runtime whose runs are executed by a worker in a process of its own."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.stores.servers import RedisServer
from tests.parity.servers import Server, Target, ours, serving

EXECUTIONS = ("inline", "queue")


def command(*words: str) -> tuple[str, ...]:
    """Return the command line of this package's program."""
    return (str(Path(sys.executable).with_name("copilotkit-runtime")), *words)


def web(store: str, **settings: str) -> Target:
    """Return a process that has no agents and hands runs to workers."""
    return Target("web", command("serve", "--execution", "queue"), _environment(store, settings))


def worker(app: str, store: str, *flags: str, **settings: str) -> Target:
    """Return a process that executes the runs of ``app``."""
    return Target("worker", command("worker", app, *flags), _environment(store, settings))


def _environment(store: str, settings: dict[str, str]) -> dict[str, str]:
    given = {**ours().environment, "COPILOTKIT_STORE": store}
    return given | {f"COPILOTKIT_{name.upper()}": value for name, value in settings.items()}


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """Run a Redis server of our own."""
    with tempfile.TemporaryDirectory(prefix="copilotkit-queue-", ignore_cleanup_errors=True) as folder:
        server = RedisServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.kill()


@contextmanager
def served(execution: str, app: str = "tests/parity/app.py:runtime") -> Iterator[Server]:
    """Serve ``app`` from one process, or from a web process and a worker with Redis between them."""
    if execution == "inline":
        with serving(ours(app)) as server:
            yield server
        return
    with redis_server() as redis, serving(worker(app, redis.url)), serving(web(redis.url)) as server:
        yield server
