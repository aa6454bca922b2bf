"""A CrewAI crew as a page's agent."""

from typing import Any

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.providers.crewai import CrewAIProvider


def make_crew() -> Any:
    """Return a crew of one; ``{message}`` is the user's last message."""
    from crewai import Agent, Crew, Task

    writer = Agent(role="Writer", goal="Answer well", backstory="Writes short.", llm="openai/gpt-4o-mini")
    task = Task(description="Answer this: {message}", expected_output="A short answer", agent=writer)
    return Crew(agents=[writer], tasks=[task])


runtime = CopilotRuntime(providers=[CrewAIProvider({"my_agent": make_crew})])
