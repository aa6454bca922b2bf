"""The catalogue of faults is true, and is what docs/reliability.md shows."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.faults.catalogue import all_tests, table

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("named", all_tests())
def test_every_test_is_there(named: str) -> None:
    file, _, function = named.partition("::")
    found = [node.name for node in ast.walk(ast.parse((ROOT / file).read_text())) if hasattr(node, "name")]
    assert not function or function in found


def test_the_page_shows_them_all() -> None:
    assert table() in (ROOT / "docs/reliability.md").read_text()
