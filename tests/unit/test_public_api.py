"""The public names are those that users rely on, sorted, and importable without any framework."""

from __future__ import annotations

import subprocess
import sys

import copilotkit_runtime

FRAMEWORKS = ("langgraph", "langchain_core", "crewai", "openai", "anthropic", "redis", "psycopg", "mcp")


def test_the_public_names_are_sorted_and_there() -> None:
    assert copilotkit_runtime.__all__ == sorted(copilotkit_runtime.__all__)
    assert all(hasattr(copilotkit_runtime, name) for name in copilotkit_runtime.__all__)


def test_importing_the_package_imports_no_framework() -> None:
    program = f"import sys, copilotkit_runtime; print([name for name in {FRAMEWORKS!r} if name in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert printed.stdout.strip() == "[]"
