"""How to start the floors: servers without a runtime that write the same bytes."""

from __future__ import annotations

import sys

from tests.parity.servers import Target


def asgi_floor(name: str) -> Target:
    """Return the ASGI application, on uvicorn as this runtime has it."""
    served = ("scripts.benchmark.floor:app", "--loop", "uvloop", "--http", "httptools")
    quiet = ("--no-access-log", "--log-level", "warning")
    # The port comes by the environment, as for the runtimes.
    command = " ".join((sys.executable, "-m", "uvicorn", *served, *quiet, "--port", "$PORT"))
    return Target(name, ("sh", "-c", f"exec {command}"), {})


def bare_floor(name: str) -> Target:
    """Return the bare protocol."""
    return Target(name, (sys.executable, "-m", "scripts.benchmark.bare"), {})
