"""What the operator's documents say beside their blocks: the table of settings and the tests that are named."""

from __future__ import annotations

import re

from tests.documents.settings_table import DOCUMENT, written
from tests.integration.server.process import ROOT


def test_the_table_of_settings_is_that_of_the_code() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert written(text) == text


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`([a-z]+_[a-z_]+_[a-z_]+)`", (ROOT / "docs" / "security.md").read_text(encoding="utf-8")))
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "integration").rglob("test_*.py"))
    settings = {"max_body_bytes", "max_message_bytes", "max_concurrent_runs_per_client", "address_rate_limit"}
    settings |= {"max_concurrent_runs", "run_timeout_seconds", "rate_limit_store"}
    assert not [name for name in named - settings if f"def test_{name}" not in tests]
