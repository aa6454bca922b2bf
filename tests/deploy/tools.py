"""The programs that ``scripts/deploy-check`` installs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
BINARIES = ROOT / "tests" / "deploy" / "bin"
SCHEMAS = ROOT / ".venv-deploy" / "bin" / "kubernetes-validate"


def program(name: str) -> str:
    """The path of a program.

    Raises:
        FileNotFoundError: It is not installed.
    """
    found = shutil.which(name, path=f"{BINARIES}:/usr/bin:/usr/sbin")
    if found is None:
        raise FileNotFoundError(f"{name}: run scripts/deploy-check")
    return found


def run(*command: str | Path, stdin: str | None = None) -> str:
    """Run a command to its end; return what it printed. It fails the test if the command fails."""
    ended = subprocess.run(
        [str(part) for part in command], input=stdin, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout
