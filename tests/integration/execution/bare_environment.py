"""An environment with this package, what some of its extras need, and nothing else of what is installed here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

import copilotkit_runtime

PACKAGE = "copilotkit-runtime-py"
SHARED = {"langgraph"}
"""Packages whose parts are several distributions."""


def make_environment(folder: Path, *extras: str) -> tuple[str, ...]:
    """Make the environment in an empty folder; return what the command line of the package's program begins with."""
    venv, packages = folder / "venv", folder / "packages"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True, capture_output=True)
    for installed in _needed(extras):
        _link(installed, packages)
    ours = packages / "copilotkit_runtime"
    if not ours.is_symlink():  # an editable installation names no modules
        ours.symlink_to(Path(copilotkit_runtime.__file__).parent)
    (site,) = venv.glob("lib/python*/site-packages")
    (site / "packages.pth").write_text(f"{packages}\n")
    program = "from copilotkit_runtime.server.cli.commands import main; main()"
    return (str(venv / "bin" / "python"), "-c", program)


def _needed(extras: tuple[str, ...]) -> list[Distribution]:
    found: dict[str, Distribution] = {}
    asked = {(PACKAGE, frozenset(extras))}
    seen: set[tuple[str, frozenset[str]]] = set()
    while asked:
        name, wanted = one = asked.pop()
        seen.add(one)
        found[name] = installed = distribution(name)
        asked |= {each for each in _requirements(installed, wanted) if each not in seen}
    return list(found.values())


def _requirements(installed: Distribution, extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    for line in installed.requires or ():
        needed = Requirement(line)
        if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield needed.name, frozenset(needed.extras)


def _link(installed: Distribution, packages: Path) -> None:
    for file in installed.files or ():
        if file.parts[0] in ("..", "__pycache__") or file.suffix == ".pth":
            continue
        name = Path(*file.parts[: 2 if file.parts[0] in SHARED else 1])
        place = packages / name
        if not place.is_symlink():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(Path(str(installed.locate_file(name))).resolve())
