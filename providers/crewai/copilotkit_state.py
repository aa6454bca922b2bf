"""The state that a flow for CopilotKit extends. Importing this module imports CrewAI."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from .framework import load

_FlowState: Any = load().flow.flow.FlowState


class CopilotKitProperties(BaseModel):
    """What the client offers: its actions as tools in OpenAI's form, and the context that it made readable."""

    actions: list[Any] = Field(default_factory=list)
    context: list[Any] = Field(default_factory=list)


class CopilotKitState(_FlowState):  # type: ignore[misc]
    """A flow's state with the thread's messages, in OpenAI's form, and what the client offers."""

    messages: list[Any] = Field(default_factory=list)
    copilotkit: CopilotKitProperties = Field(default_factory=CopilotKitProperties)
