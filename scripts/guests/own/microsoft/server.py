"""An agent of Microsoft's framework behind its AG-UI endpoint, with tools of its own."""

from __future__ import annotations

from agent_framework import tool
from agent_framework.openai import OpenAIChatCompletionClient
from agent_framework_ag_ui import add_agent_framework_fastapi_endpoint
from fastapi import FastAPI


@tool(approval_mode="always_require")
def book(day: str) -> str:
    """Book a table."""
    return f"Booked for {day}"


agent = OpenAIChatCompletionClient(model="gpt-4o").as_agent(
    name="chat", instructions="You are a helpful assistant.", tools=[book]
)
app = FastAPI()
add_agent_framework_fastapi_endpoint(app, agent, "/", single_user=True)
