from __future__ import annotations

from typing import Any

import pytest

from copilotkit_runtime.providers.langgraph.policy import EVERYTHING, policy_of
from copilotkit_runtime.runtime.predictions import Prediction


def test_without_any_setting_everything_shows() -> None:
    assert policy_of({"thread_id": "t", "ls_model_type": "chat"}) is EVERYTHING


@pytest.mark.parametrize("prefix", ["copilotkit:", ""])
def test_messages_are_hidden_only_by_false(prefix: str) -> None:
    assert not policy_of({f"{prefix}emit-messages": False}).messages
    assert policy_of({f"{prefix}emit-messages": None}).messages


def test_the_sdk_s_own_key_wins() -> None:
    assert policy_of({"copilotkit:emit-messages": True, "emit-messages": False}).messages


@pytest.mark.parametrize(
    ("setting", "shown"),
    [
        (True, {"a", "b"}),
        (None, {"a", "b"}),
        (False, set()),
        ("a", {"a"}),
        (["a", "c"], {"a"}),
        ([], set()),
    ],
)
def test_tool_calls_are_shown_by_bool_name_or_names(setting: Any, shown: set[str]) -> None:
    policy = policy_of({"copilotkit:emit-tool-calls": setting})
    assert {name for name in ("a", "b") if policy.shows_tool(name)} == shown


@pytest.mark.parametrize("key", ["copilotkit:emit-intermediate-state", "predict_state"])
def test_predictions_are_read_from_both_keys(key: str) -> None:
    rules = [{"state_key": "doc", "tool": "write", "tool_argument": "text"}, {"state_key": "all", "tool": "write"}]
    policy = policy_of({key: [*rules, {"tool": "broken"}, "broken"]})

    assert policy.predicted_by("write") == (Prediction("doc", "write", "text"), Prediction("all", "write"))
    assert policy.predicted_by("other") == ()
