"""Environments of guests: one for each distinct set of requirements, kept between nights."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

from scripts.guests.table import Application


class InstallError(RuntimeError):
    """The requirements of an application cannot be installed."""


class Environments:
    """Makes environments with ``uv``.

    Args:
        folder: Where they are kept.
        uv: The command.
        python: The interpreter that they are made for.
        wheel: The runtime's wheel, for applications that it serves in its own process.
    """

    def __init__(self, folder: Path, uv: str, python: str, wheel: Path | None) -> None:
        self._folder = folder
        self._uv = uv
        self._python = python
        self._wheel = wheel

    def python_of(self, application: Application) -> Path:
        """Return the interpreter of an application's environment, which is made if it is not there.

        Raises:
            InstallError: ``uv`` failed.
        """
        environment = self._folder / _digest(application)
        python = environment / "bin" / "python"
        if not python.exists():
            _run(self._uv, "venv", "--quiet", "--python", self._python, str(environment))
        wanted = [*application.requirements, *([] if application.agui else [self._runtime(application)])]
        # The runtime's version stays the same while its code changes.
        again = ["--reinstall-package", "copilotkit-runtime-py"]
        _run(self._uv, "pip", "install", "--quiet", "--python", str(python), *again, *wanted)
        return python

    def node_modules_of(self, application: Application) -> Path:
        """Return the npm packages of an application, which are installed if they are not there.

        Raises:
            InstallError: ``npm`` failed.
        """
        environment = self._folder / _digest(application)
        environment.mkdir(parents=True, exist_ok=True)
        options = ["--prefix", str(environment), "--legacy-peer-deps", "--ignore-scripts", "--no-audit", "--no-fund"]
        _run("npm", "install", "--loglevel=error", *options, *application.packages)
        return environment / "node_modules"

    def _runtime(self, application: Application) -> str:
        extra = "crewai" if application.framework == "CrewAI" else "langgraph"
        return f"copilotkit-runtime-py[{extra}] @ {self._wheel.as_uri()}" if self._wheel else "copilotkit-runtime-py"


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    if done.returncode:
        raise InstallError(" ".join(done.stderr.split())[-300:])


def _digest(application: Application) -> str:
    wanted = "\n".join(sorted([*application.requirements, *application.packages])) + f"\n{application.agui}"
    return hashlib.sha256(wanted.encode()).hexdigest()[:16]
