"""What the operator's documents say beside their blocks: the table of settings and the tests that are named."""

from __future__ import annotations

import re

from tests.documents.settings_table import DOCUMENT, written
from tests.integration.server.process import ROOT


def test_the_table_of_settings_is_that_of_the_code() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert written(text) == text


def test_every_test_that_is_named_exists() -> None:
    document = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    _, _, checks = document.partition("## GraphQL security checks\n")
    named = re.findall(r"`([a-z]+_[a-z_]+_[a-z_]+)`", checks.partition("\n## ")[0])
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "integration").rglob("test_*.py"))
    assert len(named) > 20
    assert [name for name in named if f"def test_{name}" not in tests] == []


def test_every_promise_of_reliability_names_a_test_that_exists() -> None:
    document = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    promised = document.partition("\n## ")[0]
    promises = [line for line in promised.splitlines() if line.startswith("| ")][1:]
    assert len(promises) == 18
    for promise in promises:
        named = re.findall(r"`(tests/[a-z_/]+\.py)::(test_\w+)`", promise)
        assert named, promise
        missing = [name for path, name in named if f"def {name}(" not in (ROOT / path).read_text(encoding="utf-8")]
        assert missing == []
