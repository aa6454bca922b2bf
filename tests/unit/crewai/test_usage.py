"""The tokens that a crew's model calls cost."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from copilotkit_runtime.providers.crewai.translation import Translator
from copilotkit_runtime.runtime.events import RunUsage


def completed(usage: Any) -> SimpleNamespace:
    return SimpleNamespace(type="llm_call_completed", call_id="c", usage=usage, model="openai/gpt-4o")


def test_a_completed_call_reports_what_it_cost() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "cached_prompt_tokens": 1}
    [event] = Translator().translate(None, completed(usage))
    assert event == RunUsage(input_tokens=3, output_tokens=2, cached_tokens=1, model="openai/gpt-4o")


@pytest.mark.parametrize("usage", [None, {}])
def test_a_call_without_a_report_has_no_usage(usage: Any) -> None:
    assert Translator().translate(None, completed(usage)) == []
