"""Checks what a wheel puts into site-packages: ``python scripts/check_wheel.py WHEEL``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

PACKAGE = "copilotkit_runtime"
FOLDERS = ("schema", "resolvers", "runtime", "wires", "server", "providers", "testing")


def faults(wheel: Path) -> list[str]:
    """Return what is wrong with a wheel's content, a line each."""
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    outside = sorted(name for name in names if PurePosixPath(name).parts[0] != PACKAGE)
    inside = {str(PurePosixPath(name).relative_to(PACKAGE)) for name in names if name not in outside}
    missing = sorted(_sources() - inside)
    surplus = sorted(inside - _sources())
    return [
        *(f"{name} is outside of {PACKAGE}" for name in outside),
        *(f"{name} is missing" for name in missing),
        *(f"{name} is not a file of the repository's" for name in surplus),
    ]


def _sources() -> set[str]:
    listed = [
        "git",
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "--",
        "__init__.py",
        "py.typed",
        *FOLDERS,
    ]
    names = subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split()
    return {name for name in names if Path(name).is_file()}


if __name__ == "__main__":
    found = faults(Path(sys.argv[1]))
    print("\n".join(found) or f"{Path(sys.argv[1]).name} holds the package and nothing else")
    sys.exit(bool(found))
