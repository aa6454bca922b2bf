"""The guides name every argument of what they describe."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest

from copilotkit_runtime import (
    Action,
    ApiKeyAuth,
    CloudGuardrail,
    Hooks,
    JwtAuth,
    Observability,
    StoreSettings,
    TopicGuardrail,
    TopicJudge,
    action,
)
from copilotkit_runtime.providers.agui import AGUIHttpAgent, AGUIProvider
from copilotkit_runtime.providers.crewai import CrewAIProvider
from copilotkit_runtime.providers.langgraph import Deployment, LangGraphPlatformProvider, LangGraphProvider
from copilotkit_runtime.providers.langserve import LangServeChain
from copilotkit_runtime.providers.mcp import MCPServer
from copilotkit_runtime.providers.models import ModelOptions
from copilotkit_runtime.providers.remote import RemoteEndpointProvider
from tests.documents.blocks import ROOT

GUIDES: dict[str, list[Any]] = {
    "actions": [Action, action],
    "crewai": [CrewAIProvider],
    "guardrails": [TopicGuardrail, TopicJudge, CloudGuardrail],
    "hooks": [Hooks, Observability],
    "langgraph": [LangGraphProvider, LangGraphPlatformProvider, Deployment],
    "mcp": [MCPServer],
    "models": [ModelOptions],
    "remote": [AGUIHttpAgent, AGUIProvider, RemoteEndpointProvider, LangServeChain],
    "security": [JwtAuth, ApiKeyAuth],
    "stores": [StoreSettings],
}
FIRST = {LangGraphPlatformProvider: 1, AGUIHttpAgent: 1, RemoteEndpointProvider: 1, ApiKeyAuth: 1, LangServeChain: 2}
"""How many arguments come first, and are seen in the guide's Python without their names."""


def arguments_of(made: Any) -> Iterator[str]:
    """The names of all arguments; of settings that are unpacked, each by its own."""
    for name, parameter in inspect.signature(made).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            (settings,) = get_args(get_type_hints(made.__init__)[name])
            yield from settings.__annotations__
        else:
            yield name


@pytest.mark.parametrize("guide", GUIDES)
def test_a_guide_names_every_argument(guide: str) -> None:
    text = (ROOT / "docs" / f"{guide}.md").read_text(encoding="utf-8")
    for made in GUIDES[guide]:
        arguments = list(arguments_of(made))[FIRST.get(made, 0) :]
        assert [name for name in arguments if not re.search(rf"\b{name}\b", text)] == [], made
