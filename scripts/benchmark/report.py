"""docs/performance.md: the figures of one run of the benchmark, with the machine, the versions and the command."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- figures of make bench -->\n", "<!-- end of figures of make bench -->\n"
PACKAGES = ("uvicorn", "uvloop", "httptools", "starlette", "graphql-core", "msgspec", "langgraph")


class Report:
    """Prints tables as they come, and keeps them for the page."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._began = time.monotonic()

    def section(self, title: str, text: str = "") -> None:
        """Begin a section."""
        print(f"\n[{time.monotonic() - self._began:.0f} s] {title}\n{text}", flush=True)
        self._parts.append(f"### {title}\n" + (f"\n{text}\n" if text else ""))

    def table(self, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table, row by row, and keep it."""
        widths = [max(len(cell), 10) for cell in head]
        print("  ".join(cell.ljust(width) for cell, width in zip(head, widths, strict=True)), flush=True)
        lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
        for row in rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)), flush=True)
            lines.append(f"| {' | '.join(row)} |")
        self._parts.append("\n".join(lines) + "\n")

    def picture(self, path: Path, text: str) -> None:
        """Show a picture on the page."""
        self._parts.append(f"![{text}]({path.name})\n")

    def write(self, command: str) -> None:
        """Put the figures in their place on the page."""
        page = PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        _, _, after = rest.partition(END)
        figures = "\n".join([_conditions(command), *self._parts])
        PAGE.write_text(f"{before}{BEGIN}\n{figures}\n{END}{after}", encoding="utf-8")
        print(f"\nwritten to {PAGE.relative_to(ROOT)}")


def _conditions(command: str) -> str:
    versions = [f"{name} {version(name)}" for name in PACKAGES]
    node = subprocess.run(("node", "--version"), capture_output=True, text=True, check=True).stdout.strip()
    rows = {
        "Command": f"`{command}`",
        "Date": f"{datetime.now(UTC):%Y-%m-%d}",
        "Machine": f"{_processor()}, {os.cpu_count()} cores, {_memory()} GB, {platform.system()} {platform.release()}",
        "Python": f"{platform.python_version()} with {', '.join(versions)}",
        "Node": f"{node} with @copilotkit/runtime {_reference('.')} (GraphQL) and {_reference('agui')} (AG-UI)",
    }
    lines = [f"| {name} | {value} |" for name, value in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines]) + "\n"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _memory() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9)


def _reference(folder: str) -> str:
    package = ROOT / "scripts" / "reference" / folder / "node_modules" / "@copilotkit" / "runtime" / "package.json"
    line = next(line for line in package.read_text(encoding="utf-8").splitlines() if '"version"' in line)
    return line.split('"')[3]
