"""Compare queue engines on Redis and PostgreSQL servers of our own: the table of decision 18.

    .venv/bin/python -m scripts.engines                all
    .venv/bin/python -m scripts.engines saq dbos       these

Each engine is installed by uv into an environment of its own. A figure that is missing was not reached in the time
that ``measure.py`` allows, or the engine cannot do it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.integration.stores.servers import PostgresServer, RedisServer, Server

PYTHON = "3.11"
LIMIT_SECONDS = 300
_ROOT = Path(__file__).parents[2]


class Candidate(NamedTuple):
    """An engine, what to install for it, and on which servers it works."""

    name: str
    packages: tuple[str, ...]
    servers: tuple[str, ...]


CANDIDATES = (
    Candidate("saq", ("saq[redis,postgres]",), ("redis", "postgres")),
    Candidate("pydocket", ("pydocket",), ("redis",)),
    Candidate("procrastinate", ("procrastinate",), ("postgres",)),
    Candidate("taskiq", ("taskiq", "taskiq-redis", "taskiq-pg"), ("redis", "postgres")),
    Candidate("dbos", ("dbos",), ("postgres",)),
)
ROW = "{:<14} {:<9} {:>7} {:>7} {:>8} {:>12} {:>10} {:>8} {:>9} {:>5}"
HEAD = ("engine", "server", "p50 ms", "p99 ms", "abort s", "redelivery s", "priority", "signals", "packages", "MB")


def installed(candidate: Candidate, folder: Path) -> Path:
    """Install an engine; return the environment's Python."""
    environment = folder / candidate.name
    subprocess.run(["uv", "venv", "-q", "--python", PYTHON, environment], check=True)
    python = environment / "bin" / "python"
    subprocess.run(["uv", "pip", "install", "-q", "--python", python, *candidate.packages], check=True)
    return python


def weight(python: Path) -> tuple[int, int]:
    """Return how many packages an environment has, and their megabytes."""
    packages = next((python.parents[1] / "lib").glob("python*/site-packages"))
    size = sum(file.stat().st_size for file in packages.rglob("*") if file.is_file())
    return len(list(packages.glob("*.dist-info"))), round(size / 1e6)


def measured(candidate: Candidate, python: Path, url: str) -> dict[str, Any]:
    """Measure an engine on a server; nothing if it does not work there."""
    done = subprocess.run(
        [python, "-m", "scripts.engines.measure", candidate.name, url],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    if done.returncode:
        print(f"{candidate.name}: {done.stderr.strip().splitlines()[-1]}")
        return {}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def rows(names: list[str], folder: Path) -> Iterator[tuple[Any, ...]]:
    """Measure the candidates of these names, all if there are none, and yield the table's rows."""
    redis, postgres = RedisServer(folder), PostgresServer(folder / "postgres")
    postgres.create()
    servers: dict[str, Server] = {"redis": redis, "postgres": postgres}
    try:
        for server in servers.values():
            server.start()
        for candidate in CANDIDATES:
            if names and candidate.name not in names:
                continue
            python = installed(candidate, folder)
            for name in candidate.servers:
                servers[name].clear()
                yield _row(candidate.name, name, measured(candidate, python, servers[name].url), weight(python))
    finally:
        redis.kill()
        postgres.kill()


def _row(engine: str, server: str, found: dict[str, Any], weighs: tuple[int, int]) -> tuple[Any, ...]:
    figures = ("p50_ms", "p99_ms", "abort_s", "redelivered_s", "priorities", "takes_signals")
    return (engine, server, *("" if found.get(key) is None else str(found[key]) for key in figures), *weighs)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", nargs="*", help="only these")
    chosen = parser.parse_args().engines
    print(ROW.format(*HEAD))
    with tempfile.TemporaryDirectory(prefix="engines-") as folder:
        Path(folder).chmod(0o755)
        for row in rows(chosen, Path(folder)):
            print(ROW.format(*row), flush=True)


if __name__ == "__main__":
    main()
