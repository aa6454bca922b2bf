"""What a reader installs: the package as a wheel, into an environment of their own that has a real pip."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.documents.blocks import ROOT

SOURCES = (
    "schema",
    "resolvers",
    "runtime",
    "wires",
    "server",
    "providers",
    "testing",
    "pyproject.toml",
    "README.md",
    "LICENSE",
)
FILES = ("__init__.py", "py.typed")
OURS = "copilotkit_runtime"


def check_out(folder: Path) -> None:
    """Copies what makes the package, as a fresh checkout has it."""
    for name in (*SOURCES, *FILES):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)


def built(folder: Path) -> Path:
    """Builds the wheel; gives the folder that it is in."""
    checkout, wheels = folder / "checkout", folder / "wheels"
    checkout.mkdir()
    check_out(checkout)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(wheels), str(checkout)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return wheels


def environment_of_its_own(folder: Path) -> Path:
    """Makes an environment with all dependencies of the tests, and without this package; gives its commands' folder.

    Pip finds the dependencies installed, and compares their versions with what the package asks for.
    """
    others, venv = folder / "dependencies", folder / "venv"
    others.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if OURS not in entry.name:
            (others / entry.name).symlink_to(entry)
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, capture_output=True)
    (site,) = venv.glob("lib/python*/site-packages")
    for old in site.glob("setuptools*"):
        shutil.rmtree(old)
    (site / "dependencies.pth").write_text(f"{others}\n")
    return venv / "bin"
