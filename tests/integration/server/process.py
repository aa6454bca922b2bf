"""The command line's own processes."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
APP = "tests/integration/server/apps.py:runtime"
COMMAND = str(Path(sys.executable).with_name("copilotkit-runtime"))
PATIENCE = 90.0

_PLACE = re.compile(r"at (https?://\S+)")


def environment(**settings: str) -> dict[str, str]:
    """The environment of a process, with settings in it."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **{f"COPILOTKIT_{k.upper()}": v for k, v in settings.items()}}


def run(*arguments: str, cwd: Path = ROOT, **settings: str) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end."""
    return subprocess.run(
        [COMMAND, *arguments],
        cwd=cwd,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def certificate(folder: Path, name: str, *options: str) -> tuple[Path, Path]:
    """A certificate for ``localhost`` and its key, in files of that name."""
    pem, key = folder / f"{name}.pem", folder / f"{name}.key"
    subject = ["-subj", "/CN=localhost", "-days", "1", "-keyout", str(key), "-out", str(pem)]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", *options, *subject], check=True, capture_output=True
    )
    return pem, key


@dataclass
class Running:
    """A server process that has printed its address."""

    process: subprocess.Popen[str]
    url: str
    said: list[str]
    log: Path

    @property
    def origin(self) -> str:
        """Its URL without the path."""
        return "/".join(self.url.split("/")[:3])

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log's lines of that event."""
        return [line for line in self.log_lines() if line["event"] == name]

    def log_lines(self) -> list[dict[str, Any]]:
        """All of the log that is JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def await_event(self, name: str, times: int = 1, *, patience: float = PATIENCE, **fields: Any) -> dict[str, Any]:
        """The log's first line of that event with these fields, when there are so many."""
        deadline = time.monotonic() + patience
        while len(found := [line for line in self.events(name) if fields.items() <= line.items()]) < times:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} was not logged:\n{self.log.read_text()}")
            select.select((), (), (), 0.05)
        return found[0]

    def tell(self, number: signal.Signals) -> None:
        """Sends a signal."""
        self.process.send_signal(number)

    def wait(self) -> int:
        """Waits for its end."""
        return self.process.wait(PATIENCE)


@contextmanager
def running(folder: Path, *flags: str, app: str = APP, **settings: str) -> Iterator[Running]:
    """Serves ``app`` until the block is left; ``folder`` takes its log."""
    log = folder / "log"
    place = {"store": "memory://", "log_format": "json", **settings}
    with log.open("w") as errors:
        process = subprocess.Popen(
            [COMMAND, "serve", app, "--port", "0", *flags],
            cwd=ROOT,
            env=environment(**place),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        yield _started(process, log)
    finally:
        process.kill() if _still_runs_after_term(process) else None
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _started(process: subprocess.Popen[str], log: Path) -> Running:
    assert process.stdout is not None
    said: list[str] = []
    for line in process.stdout:
        said.append(line.rstrip())
        if line.startswith("  store"):
            match = _PLACE.search(said[0])
            assert match is not None
            return Running(process, match[1], said, log)
    raise RuntimeError(f"{process.args!r} ended with {process.wait()}: {log.read_text()}")


def _still_runs_after_term(process: subprocess.Popen[str]) -> bool:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        return True
    return False
