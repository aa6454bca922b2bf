"""Serve agents that others published, and print what works, agent by capability.

Nothing of them is kept in the repository. An agent that works by the table, and does not here, is status 1.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.guests.environment import Environments
from scripts.guests.evening import ROOT, spend
from scripts.guests.processes import running
from scripts.guests.report import Outcome, lines_of
from scripts.guests.table import TABLE, Application, read_table

AIMOCK = ROOT / "tests" / "integration" / "models"


def _arguments() -> argparse.Namespace:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "copilotkit-guests"
    parser = argparse.ArgumentParser(prog="scripts/guests", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="applications of the table; all without any")
    parser.add_argument("--sources", required=True, help="address to clone owner/name from, or a folder of snapshots")
    parser.add_argument("--environments", type=Path, default=cache, help="where environments are kept")
    parser.add_argument("--table", type=Path, default=TABLE, help="the table of guests")
    return parser.parse_args()


def _chosen(arguments: argparse.Namespace) -> list[Application]:
    applications = read_table(arguments.table)
    names = arguments.names or [application.name for application in applications]
    if unknown := set(names) - {application.name for application in applications}:
        sys.exit(f"scripts/guests: the table has no {', '.join(sorted(unknown))}")
    return [application for application in applications if application.name in names]


@contextmanager
def _vendor(place: Path) -> Iterator[str]:
    if not (AIMOCK / "node_modules").exists():
        subprocess.run(["npm", "ci", "--loglevel=error"], cwd=AIMOCK, check=True)
    command = ["node", str(Path(__file__).with_name("vendor.mjs")), str(AIMOCK)]
    with running(command, place, dict(os.environ), place / "vendor.log") as process:
        yield process.await_line()


def _wheel(place: Path, applications: list[Application]) -> Path | None:
    if all(application.agui for application in applications):
        return None
    subprocess.run([str(ROOT / "scripts" / "build"), str(place / "dist")], check=True)
    return next((place / "dist").glob("*.whl"))


def _uv() -> str:
    return shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")


def _evenings(arguments: argparse.Namespace, place: Path) -> Iterator[Outcome]:
    applications = _chosen(arguments)
    environments = Environments(arguments.environments, _uv(), sys.executable, _wheel(place, applications))
    with _vendor(place) as vendor:
        for application in applications:
            outcomes = spend(application, arguments.sources, environments, vendor)
            words = (f"{one.guest.name} {one.capability}: {one.word}" for one in outcomes)
            print(f"{application.name}:", ", ".join(words), file=sys.stderr, flush=True)
            yield from outcomes


def main() -> None:
    """Print the table; exit with 1 if a guest fails that should work."""
    arguments = _arguments()
    with TemporaryDirectory(prefix="guests-") as place:
        outcomes = list(_evenings(arguments, Path(place)))
    print("\n".join(lines_of(outcomes)))
    sys.exit(any(outcome.wrong for outcome in outcomes))


main()
