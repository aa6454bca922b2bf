"""Draws which package imports which, from the code: ``python -m scripts.imports [--check | --write]``.

The drawings stand in docs/architecture.md between two marks each; ``--write`` renews them there, ``--check`` fails if
they differ from the code. An arrow that other arrows imply is left out.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

import grimp

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "architecture.md"
PACKAGE = "copilotkit_runtime"
SPLIT = ("wires",)
"""Packages whose own packages are drawn one by one."""

Arrows: TypeAlias = Mapping[str, set[str]]


def room_of(module: str, inside: str) -> str | None:
    """Return the room of a module, named from ``inside``; None for modules elsewhere and for ``inside`` itself."""
    if not module.startswith(f"{inside}."):
        return None
    first, *rest = module.removeprefix(f"{inside}.").split(".")
    return f"{first}/{rest[0]}" if first in SPLIT and rest else first


def arrows_in(graph: grimp.ImportGraph, inside: str) -> dict[str, set[str]]:
    """Return which rooms of a package each of its rooms imports."""
    arrows: dict[str, set[str]] = {}
    for module in graph.modules:
        room = room_of(module, inside)
        if room is None or room in SPLIT:
            continue
        imported = {room_of(name, inside) for name in graph.find_modules_directly_imported_by(module)}
        arrows.setdefault(room, set()).update(name for name in imported if name and name != room)
    return arrows


def reachable(arrows: Arrows, start: str) -> set[str]:
    """Return all rooms that a room imports, directly or through others."""
    found: set[str] = set()
    open_ = [start]
    while open_:
        for room in arrows.get(open_.pop(), set()) - found:
            found.add(room)
            open_.append(room)
    return found


def without_implied(arrows: Arrows) -> dict[str, set[str]]:
    """Return the arrows that are not implied by others; arrows of a circle all stay."""
    kept = {}
    for room, imported in arrows.items():
        through = {far: reachable(arrows, far) for far in imported}
        kept[room] = {
            name
            for name in imported
            if not any(name in reach and other not in through[name] for other, reach in through.items())
        }
    return kept


def mermaid(arrows: Arrows) -> str:
    """Return the drawing, with the rooms in alphabetical order."""
    rooms = sorted({*arrows, *(name for imported in arrows.values() for name in imported)})
    lines = [f'    {_node(room)}["{room}"]' for room in rooms]
    lines += [f"    {_node(room)} --> {_node(name)}" for room in rooms for name in sorted(arrows.get(room, ()))]
    return "\n".join(["```mermaid", "flowchart TD", *lines, "```"])


def _node(room: str) -> str:
    return re.sub(r"\W", "_", room)


def drawn(text: str) -> str:
    """Return a document with the drawings of today's code between its marks.

    Raises:
        ValueError: The document has no marks for a drawing.
    """
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    for inside in (PACKAGE, f"{PACKAGE}.runtime"):
        drawing = mermaid(without_implied(arrows_in(graph, inside)))
        text = _replace(text, inside.rpartition(".")[2], drawing)
    return text


def _replace(text: str, name: str, drawing: str) -> str:
    marks = f"<!-- imports of {name} -->\n", f"\n<!-- end of imports of {name} -->"
    before, begin, rest = text.partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not begin or not end:
        raise ValueError(f"docs/architecture.md has no marks around the imports of {name}")
    return f"{before}{begin}{drawing}{end}{after}"


def main(arguments: Iterable[str]) -> int:
    """Print, check or write the drawings; return the exit status."""
    text = DOCUMENT.read_text(encoding="utf-8")
    new = drawn(text)
    match list(arguments):
        case ["--write"]:
            DOCUMENT.write_text(new, encoding="utf-8")
        case ["--check"] if new != text:
            print("docs/architecture.md draws other imports than the code has: run `make drawing`", file=sys.stderr)
            return 1
        case []:
            print("\n\n".join(re.findall(r"```mermaid\nflowchart TD.*?```", new, re.DOTALL)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
