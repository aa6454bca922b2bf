"""Private parts of CrewAI that the provider uses are as it expects them."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

import pytest

from copilotkit_runtime.providers.crewai.framework import load

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module", autouse=True)
def _crewai() -> Any:
    import warnings

    with warnings.catch_warnings(action="ignore"):
        return load()


def test_crews_fill_their_templates_in_one_method() -> None:
    crew = import_module("crewai").Crew
    assert list(inspect.signature(crew._interpolate_inputs).parameters)[:2] in (["self", "inputs"], ["crew", "inputs"])


def test_a_tasks_human_input_has_the_methods_that_are_replaced() -> None:
    provider = import_module("crewai.core.providers.human_input").SyncHumanInputProvider
    for method in ("handle_feedback", "_handle_regular_feedback", "_get_output_string"):
        assert callable(getattr(provider, method))


def test_executors_can_request_another_attempt() -> None:
    executor = import_module("crewai.core.providers.human_input").ExecutorContext
    for method in ("_invoke_loop", "_format_feedback_message"):
        assert callable(getattr(executor, method))


def test_flows_take_their_providers_from_one_configuration() -> None:
    config = import_module("crewai.flow.flow_config").flow_config
    assert hasattr(config, "input_provider")
    assert hasattr(config, "hitl_provider")


def test_the_console_is_quiet() -> None:
    assert import_module("crewai.events.event_listener").event_listener.formatter.console.quiet is True


def test_runs_are_followed_by_a_sink_of_their_own() -> None:
    assert callable(import_module("crewai.events.stream_context").add_stream_sink)
