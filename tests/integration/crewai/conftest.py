from __future__ import annotations

import warnings

import pytest

from copilotkit_runtime.providers.crewai.framework import load

with warnings.catch_warnings(action="ignore"):
    load()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """CrewAI reads its own deprecated fields."""
    for item in items:
        if "crewai" in item.nodeid:
            item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning:crewai.*"))
