"""Crews and flows for tests, and how to run them."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from copilotkit_runtime.runtime import events
from copilotkit_runtime.runtime.context import Resume, RunContext, RunInput, Tool
from copilotkit_runtime.runtime.messages import TextMessage, ToolResultMessage

if TYPE_CHECKING:
    from collections.abc import Callable

    from copilotkit_runtime.providers.crewai import CrewAIProvider

PAINT = Tool(
    name="paint",
    description="Paints the page",
    parameters={"type": "object", "properties": {"color": {"type": "string"}}, "required": ["color"]},
)


def asking(text: str = "tea", *, thread_id: str = "t", **more: Any) -> RunInput:
    """A run in which the user sends ``text``."""
    messages = more.pop("messages", [TextMessage(role="user", content=text)])
    return RunInput(thread_id=thread_id, run_id="r", messages=messages, **more)


def resuming(response: str, value: str = "", *, thread_id: str = "t") -> RunInput:
    """A run that answers an interrupt."""
    answer = Resume(name=events.INTERRUPT, value=value, response=response)
    return asking(thread_id=thread_id, resume=[answer])


def with_result(call_id: str, result: str) -> RunInput:
    """A run that brings a page tool's result."""
    message = ToolResultMessage(tool_call_id=call_id, tool_name="paint", result=result)
    return asking(messages=[TextMessage(role="user", content="tea"), message], tools=[PAINT])


async def collect(
    provider: CrewAIProvider, run: RunInput, agent: str = "a", *, identity: str | None = None
) -> list[Any]:
    """All events of a run."""
    async with aclosing(provider.execute_run(agent, run, RunContext(identity=identity))) as stream:
        return [event async for event in stream]


def of_kind(seen: list[Any], *kinds: type) -> list[Any]:
    """The events of some kinds."""
    return [event for event in seen if isinstance(event, kinds)]


def said(seen: list[Any]) -> list[str]:
    """The messages of a run, whole."""
    texts: dict[str, str] = {}
    for event in of_kind(seen, events.TextMessageContent):
        texts[event.message_id] = texts.get(event.message_id, "") + event.delta
    return list(texts.values())


def crew_of(base_url: str, *, tools: Callable[[], list[Any]] = list, **task: Any) -> Callable[[], Any]:
    """What makes a crew of one agent, with one task named ``write``."""

    def make() -> Any:
        from crewai import LLM, Agent, Crew, Task

        llm = LLM(model="openai/gpt-4o", base_url=base_url, api_key="none", max_retries=0)
        writer = Agent(role="Writer", goal="write", backstory="Likes it.", llm=llm, tools=tools(), max_retry_limit=0)
        details = {"name": "write", "description": "Write about {topic}", "expected_output": "A text", **task}
        return Crew(agents=[writer], tasks=[Task(agent=writer, **details)])

    return make
