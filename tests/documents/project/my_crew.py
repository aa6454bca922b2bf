"""A crew and a flow."""

from __future__ import annotations

from typing import Any

from crewai import Agent, Crew, Task
from crewai.flow import Flow, start


def make_crew() -> Any:
    """A crew of one."""
    writer = Agent(role="Writer", goal="write", backstory="Likes it.", llm="openai/gpt-4o")
    task = Task(description="Write about {topic}", expected_output="A text", agent=writer)
    return Crew(agents=[writer], tasks=[task])


class SupportFlow(Flow[dict[str, Any]]):
    """Sends one thing."""

    @start()
    def answer(self) -> str:
        """The only method."""
        return "Hello from the flow."
