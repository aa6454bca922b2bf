"""The fenced blocks of README.md and the guides: what a reader copies."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "examples" / "provider_template"
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    TEMPLATE / "README.md",
]

_FENCE = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
_NAMED = re.compile(r"(?:#|//) (\S+\.(?:py|toml|json|tsx))\n")
_SERVES = re.compile(r"\bserve\b|^uvicorn ", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Args:
        document: The file it stands in.
        line: Where it begins.
        language: The word behind the fence.
        text: What is between the fences.
    """

    document: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        """Where it stands, for the name of its test."""
        return f"{self.document.relative_to(ROOT)}:{self.line}"

    @property
    def file(self) -> str | None:
        """The file that the reader puts it in, if its first line is a comment with a name."""
        found = _NAMED.match(self.text)
        return found[1] if found else None

    @property
    def serves(self) -> bool:
        """Whether it is a command that serves until it is stopped."""
        return self.language == "bash" and _SERVES.search(self.text) is not None

    @property
    def installs(self) -> bool:
        """Whether it is a command that installs this package."""
        return self.language == "bash" and self.text.startswith("pip install")

    @property
    def makes_runtime(self) -> bool:
        """Whether it is Python that ends with a runtime to serve."""
        return "runtime" in self._assigned

    @property
    def tests(self) -> bool:
        """Whether it is Python that pytest runs."""
        return any(name.startswith("test_") for name in self._defined)

    @property
    def _tree(self) -> list[ast.stmt]:
        return ast.parse(self.text).body if self.language == "python" else []

    @property
    def _assigned(self) -> set[str]:
        targets = [target for node in self._tree if isinstance(node, ast.Assign) for target in node.targets]
        return {target.id for target in targets if isinstance(target, ast.Name)}

    @property
    def _defined(self) -> set[str]:
        return {node.name for node in self._tree if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def blocks_of(document: Path) -> Iterator[Block]:
    """The blocks of a document, in their order."""
    text = document.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        indent, language, content = found.groups()
        line = text.count("\n", 0, found.start()) + 1
        yield Block(document, line, language, re.sub(f"^{indent}", "", content, flags=re.MULTILINE))


BLOCKS = [block for document in DOCUMENTS for block in blocks_of(document)]


def each(blocks: list[Block]) -> pytest.MarkDecorator:
    """Runs a test for each of the blocks."""
    return pytest.mark.parametrize("block", [pytest.param(block, id=block.place) for block in blocks])
