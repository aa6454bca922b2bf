from __future__ import annotations

import pytest

from copilotkit_runtime.providers.models.prompt import ToolChoice, prompt_of
from copilotkit_runtime.runtime.context import ForwardedParameters, RunInput, Tool
from copilotkit_runtime.runtime.errors import ConfigurationError

ACT = Tool(name="act", description="", parameters={})


def choice_for(tools: list[Tool], choice: str | None, name: str | None = None) -> ToolChoice | None:
    forwarded = ForwardedParameters(tool_choice=choice, tool_choice_function_name=name)
    return prompt_of(RunInput(thread_id="t", run_id="r", tools=tools, forwarded=forwarded)).choice


@pytest.mark.parametrize(
    ("asked", "mode"), [("auto", "auto"), ("none", "none"), ("required", "required"), ("any", "required")]
)
def test_a_mode_is_understood(asked: str, mode: str) -> None:
    choice = choice_for([ACT], asked)
    assert choice is not None
    assert choice.mode == mode


def test_a_function_is_chosen_by_name() -> None:
    assert choice_for([ACT], "function", "act") == ToolChoice(mode="function", name="act")


def test_nothing_is_chosen_when_nothing_was_sent_or_no_tool_is_there() -> None:
    assert choice_for([ACT], None) is None
    assert choice_for([], "required") is None


def test_a_function_without_a_name_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="toolChoiceFunctionName"):
        choice_for([ACT], "function")


def test_an_unknown_choice_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="Unknown tool choice 'perhaps'"):
        choice_for([ACT], "perhaps")
