"""The guides name every argument of what they tell of."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from copilotkit_runtime import (
    Action,
    ApiKeyAuth,
    CloudGuardrail,
    Hooks,
    JwtAuth,
    Observability,
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
from copilotkit_runtime.runtime.stores.settings import StoreSettings
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


@pytest.mark.parametrize("guide", GUIDES)
def test_a_guide_names_every_argument(guide: str) -> None:
    text = (ROOT / "docs" / f"{guide}.md").read_text(encoding="utf-8")
    for made in GUIDES[guide]:
        arguments = list(inspect.signature(made).parameters)[FIRST.get(made, 0) :]
        assert [name for name in arguments if not re.search(rf"\b{name}\b", text)] == [], made
