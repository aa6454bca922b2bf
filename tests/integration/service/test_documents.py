"""What the operator's documents say beside their blocks: the table of settings, the tests that are named, the image."""

from __future__ import annotations

import re

import yaml  # type: ignore[import-untyped]

from tests.integration.service.process import ROOT
from tests.integration.service.settings_table import DOCUMENT, written


def test_the_table_of_settings_is_that_of_the_code() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert written(text) == text


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`([a-z]+_[a-z_]+_[a-z_]+)`", (ROOT / "docs" / "security.md").read_text(encoding="utf-8")))
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "integration").rglob("test_*.py"))
    settings = {"max_body_bytes", "max_message_bytes", "max_concurrent_runs_per_client", "address_rate_limit"}
    settings |= {"max_concurrent_runs", "run_timeout_seconds", "rate_limit_store"}
    assert not [name for name in named - settings if f"def test_{name}" not in tests]


def test_the_composition_is_whole() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert {"runtime", "nginx", "postgres", "redis"} == services.keys()
    known = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    for variable in services["runtime"]["environment"]:
        assert f"`{variable.removeprefix('COPILOTKIT_').lower()}`" in known


def test_the_image_runs_as_no_root_and_is_watched() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    final = text.rsplit("FROM", 1)[1]
    assert "USER runtime" in final
    assert "HEALTHCHECK" in final
    assert 'ENTRYPOINT ["copilotkit-runtime", "serve"]' in final
