"""Runs new projects from the built wheel, each in a fresh environment: ``python -m tests.projects WHEELS [KIND...]``.

What a reader does: install the package, ``init``, install the project's requirements, ``dev``, and say hello. The
vendor of models is a stand-in.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from copilotkit_runtime.server.scaffold.project import ProjectKind
from tests.documents.checks import chats
from tests.documents.neighbours import vendors
from tests.documents.reader import serving

UV = shutil.which("uv") or str(Path(__file__).parents[2] / ".tools" / "bin" / "uv")


def install(environment: Path, wheels: Path, *what: str) -> None:
    """Install into an environment; only this package is among the wheels."""
    python = str(environment / "bin" / "python")
    command = [UV, "pip", "install", "--quiet", "--python", python, "--find-links", str(wheels), *what]
    subprocess.run(command, check=True)


def write(folder: Path, wheels: Path, kind: ProjectKind) -> Path:
    """Make an environment with the package, and a project with its requirements; return the environment's commands."""
    environment = folder / "environment"
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, str(environment)], check=True)
    install(environment, wheels, "copilotkit-runtime-py")
    command = [str(environment / "bin" / "copilotkit-runtime"), "init", "project", "--kind", kind]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    install(environment, wheels, "--requirements", str(folder / "project" / "requirements.txt"))
    return environment / "bin"


async def talk(folder: Path, commands: Path) -> None:
    """Serve a project as its README describes, and talk to its agent, or its model."""
    async with vendors() as keys:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("COPILOTKIT_", "PYTHON"))}
        settings = {**own, **keys, "PATH": f"{commands}{os.pathsep}{own['PATH']}", "NO_COLOR": "1"}
        command = ["copilotkit-runtime", "dev", "app.py:runtime", "--no-open", "--port", "0"]
        async with serving(command, folder / "project", settings, folder) as server:
            await chats(server.said, server.url, {})


def main(wheels: Path, kinds: list[ProjectKind]) -> None:
    """Run the projects, one after another."""
    for kind in kinds:
        begun = time.monotonic()
        with tempfile.TemporaryDirectory() as name:
            commands = write(Path(name), wheels, kind)
            asyncio.run(talk(Path(name), commands))
        print(f"{kind}: a new project chats ({time.monotonic() - begun:.0f} s)", flush=True)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), [ProjectKind(kind) for kind in sys.argv[2:]] or list(ProjectKind))
