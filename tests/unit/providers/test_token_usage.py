"""What a model call cost, in the spellings of vendors and frameworks."""

from __future__ import annotations

from typing import Any

import pytest

from copilotkit_runtime.providers.token_usage import anthropic_usage, langchain_usage, openai_usage
from copilotkit_runtime.runtime.agui_usage import usage_of
from copilotkit_runtime.runtime.events import RunUsage


@pytest.mark.parametrize(
    ("reported", "counts"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 3}, (10, 3, 0, 0)),
        ({"input_tokens": 10, "output_tokens": 3}, (10, 3, 0, 0)),
        ({"prompt_tokens": "10", "completion_tokens": 3.0}, (10, 3, 0, 0)),
        ({"prompt_tokens": 10, "completion_tokens": -3}, (10, 0, 0, 0)),
        ({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4}}, (9, 0, 4, 0)),
        ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 4}, (9, 0, 4, 0)),
        ({"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 4}}, (0, 9, 0, 4)),
        ({"prompt_tokens": 9, "prompt_tokens_details": None, "completion_tokens": [1]}, (9, 0, 0, 0)),
    ],
)
def test_openai_s_protocol(reported: dict[str, Any], counts: tuple[int, ...]) -> None:
    assert openai_usage(reported, "m") == _usage(*counts, model="m")


@pytest.mark.parametrize("reported", [None, {}, [], "x", {"prompt_tokens": None}, {"prompt_tokens": True}])
def test_what_reports_nothing_is_not_usage(reported: Any) -> None:
    assert openai_usage(reported) is None
    assert langchain_usage(reported) is None


def test_anthropic_counts_what_comes_from_the_cache_beside_the_input() -> None:
    reported = {
        "input_tokens": 5,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 20,
        "output_tokens": 7,
    }
    assert anthropic_usage(reported) == _usage(125, 7, 100, 0)


def test_langchain_s_metadata() -> None:
    reported = {
        "input_tokens": 5,
        "output_tokens": 7,
        "total_tokens": 12,
        "input_token_details": {"cache_read": 2},
        "output_token_details": {"reasoning": 3},
    }
    assert langchain_usage(reported, "m") == _usage(5, 7, 2, 3, model="m")


@pytest.mark.parametrize("reported", [None, {}, "x", [None, 1, {}], [{"inputTokens": "1"}], [{"inputTokens": -1}]])
def test_of_agui_s_entries_those_that_are_none_are_left_out(reported: Any) -> None:
    assert usage_of(reported) == []


def test_agui_s_entries_are_one_call_each() -> None:
    entries = [{"model": "m", "inputTokens": 1, "outputTokens": 2.0, "cachedInputTokens": 1}, {"outputTokens": 5}]
    assert usage_of(entries) == [_usage(1, 2, 1, 0, model="m"), _usage(0, 5, 0, 0)]


def _usage(inputs: int, outputs: int, cached: int, reasoning: int, model: str | None = None) -> RunUsage:
    return RunUsage(
        input_tokens=inputs, output_tokens=outputs, cached_tokens=cached, reasoning_tokens=reasoning, model=model
    )
