"""The texts by which docs/troubleshooting.md is searched are those that people see."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.documents.blocks import ROOT

DOCUMENT = ROOT / "docs" / "troubleshooting.md"
FOLDERS = ("runtime", "wires", "providers", "resolvers", "server")
CLIENTS = {
    "In the browser, from CopilotKit 1.50 and newer": ROOT / "tests" / "e2e" / "react" / "1.74.0",
    "In the browser, from CopilotKit up to 1.10": ROOT / "tests" / "e2e",
}
NOT_OURS = {"In the browser, from the browser itself", "No text, but something is wrong"}


def symptoms() -> Iterator[tuple[str, str]]:
    """Each text in the first column of a table, with its section."""
    for section in DOCUMENT.read_text(encoding="utf-8").split("\n## ")[1:]:
        title = section.partition("\n")[0]
        for text in re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE):
            yield title, text


@cache
def own_texts() -> str:
    """Every string of the package's code, with what is written in pieces in one."""
    trees = (ast.parse(file.read_text(encoding="utf-8")) for each in FOLDERS for file in (ROOT / each).rglob("*.py"))
    nodes = (node for tree in trees for node in ast.walk(tree))
    return "\n".join(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


@cache
def client_texts(section: str) -> str:
    """Everything that a published client's files say."""
    packages = CLIENTS[section] / "node_modules" / "@copilotkit"
    wanted = ("core", "react-core", "shared") if section.endswith("newer") else ("react-core", "shared")
    files: list[Path] = []
    for package in wanted:
        found = [*(packages / package).rglob("dist/**/*js")]
        assert found, f"scripts/e2e installs {packages / package}"
        files += found
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def missing(text: str, where: str) -> list[str]:
    """The pieces of a text, between what differs, that are not there."""
    pieces = (piece.strip(" '(),.:?/") for piece in text.split("…"))
    return [piece for piece in pieces if piece not in where]


OWN = [(section, text) for section, text in symptoms() if section not in CLIENTS and section not in NOT_OURS]


@pytest.mark.parametrize(("section", "text"), OWN)
def test_a_text_of_the_runtime_s_is_in_its_code(section: str, text: str) -> None:
    assert missing(text, own_texts()) == []


@pytest.mark.e2e
@pytest.mark.parametrize(("section", "text"), [each for each in symptoms() if each[0] in CLIENTS])
def test_a_text_of_a_client_s_is_in_the_client_or_comes_from_the_runtime(section: str, text: str) -> None:
    assert missing(text, client_texts(section) + own_texts()) == []


def test_each_section_has_texts() -> None:
    found = {section for section, _ in symptoms()}
    assert found >= set(CLIENTS) | {"In both, when a run fails", "In the terminal", "In the log"}
    assert len(OWN) > 25
