"""The reference shows every public name."""

from __future__ import annotations

import pytest

import copilotkit_runtime
from scripts.site import reference


def test_every_page_is_generated_and_the_commands_come_from_the_command_itself() -> None:
    pages = dict(reference.pages())
    assert "::: copilotkit_runtime.CopilotRuntime\n" in pages["reference/runtime.md"]
    assert "`--ssl-certfile" in pages["reference/commands.md"]


def test_a_public_name_that_no_page_lists_is_on_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copilotkit_runtime, "__all__", ["CopilotRuntime", "Brandnew"])
    assert "::: copilotkit_runtime.Brandnew\n" in dict(reference.pages())["reference/runtime.md"]
