"""Crews and flows through the front door: the published client's requests."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from crewai import Agent, Crew, Task
from crewai.flow import Flow, start

from copilotkit_runtime import CopilotRuntime, RuntimeConfig
from copilotkit_runtime.providers.crewai import CopilotKitState, CrewAIProvider
from copilotkit_runtime.server.cli.target import load_runtime
from tests.support import agui_client as agui
from tests.support.local_server import PATH, client_of
from tests.support.request_bodies import CREATED_AT, generate, text_message

from .guests import crew_of
from .openai_service import OpenAIService, Reply, says

ACCEPT = {"accept": "multipart/mixed, application/json"}
PAINT = {
    "name": "paint",
    "description": "Paints the page",
    "jsonSchema": '{"type":"object","properties":{"color":{"type":"string"}},"required":["color"]}',
}

CREW = """
from crewai import Agent, Crew, Task
writer = Agent(role="Writer", goal="Answer", backstory="Short.", llm="openai/gpt-4o-mini")
crew = Crew(agents=[writer], tasks=[Task(description="{message}", expected_output="An answer", agent=writer)])
"""


class Asking(Flow[CopilotKitState]):
    """Asks once."""

    @start()
    def only(self) -> str:
        return f"hello {self.ask('Your name?')}"


async def test_a_flows_question_is_an_interrupt_and_its_answer_resumes_it() -> None:
    runtime = CopilotRuntime(providers=[CrewAIProvider({"a": Asking})])
    async with client_of(runtime) as client:
        asked = await client.post(PATH, json=generate(text_message("hi"), agent="a"), headers=ACCEPT)
        answer: dict[str, Any] = {"name": "LangGraphInterruptEvent", "value": "{}", "response": "Ada"}
        body = generate(text_message("hi"), agent="a", metaEvents=[answer])
        answered = await client.post(PATH, json=body, headers=ACCEPT)
    assert "LangGraphInterruptEvent" in asked.text
    assert "Your name?" in asked.text
    assert "hello Ada" in answered.text
    assert '"code":"Success"' in answered.text


async def test_a_crew_s_model_calls_leave_no_warning_that_nobody_can_act_on(caplog: pytest.LogCaptureFixture) -> None:
    async with OpenAIService(lambda _: says("done")) as model:
        runtime = CopilotRuntime(providers=[CrewAIProvider({"a": crew_of(model.base_url)})])
        async with client_of(runtime) as client:
            answered = await client.post(PATH, json=generate(text_message("hi"), agent="a"), headers=ACCEPT)
    assert "done" in answered.text
    assert [entry.getMessage() for entry in caplog.records if entry.name.startswith("crewai")] == []


async def test_a_client_action_that_a_crew_calls_is_done_by_the_client_and_the_crew_goes_on() -> None:
    replies = iter([Reply(calls=(("c1", "paint", '{"color":"red"}'),)), says("it is red now")])
    async with OpenAIService(lambda _: next(replies)) as model:
        runtime = CopilotRuntime(providers=[CrewAIProvider({"a": crew_of(model.base_url)})])
        async with client_of(runtime) as client:
            page = {"frontend": {"actions": [PAINT]}, "agent": "a"}
            called = await client.post(PATH, json=generate(text_message("paint it"), **page), headers=ACCEPT)
            call = {"name": "paint", "arguments": '{"color":"red"}'}
            result = {"actionExecutionId": "c1", "actionName": "paint", "result": "painted"}
            thread = [
                text_message("paint it"),
                {"id": "c1", "createdAt": CREATED_AT, "actionExecutionMessage": call},
                {"id": "result-c1", "createdAt": CREATED_AT, "resultMessage": result},
            ]
            told = await client.post(PATH, json=generate(*thread, **page), headers=ACCEPT)
    assert '"paint"' in called.text
    assert "it is red now" not in called.text
    assert '"code":"Success"' in told.text
    assert model.asked[1]["messages"][-1]["content"] == "painted"


async def test_a_crew_names_the_key_that_its_model_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    writer = Agent(role="Writer", goal="Answer", backstory="Short.", llm="openai/gpt-4o-mini")
    task = Task(description="Answer this: {message}", expected_output="An answer", agent=writer)
    crew: Any = Crew(agents=[writer], tasks=[task])
    runtime = CopilotRuntime(agents={"a": crew}, config=RuntimeConfig(env="development"))
    async with client_of(runtime) as client:
        last = (await agui.run(client, "a", agui.run_input(agui.user("hi"))))[-1]
    assert last["type"] == "RUN_ERROR"
    assert last["message"].startswith("OPENAI_API_KEY is not set, and the agent's model needs it.")


def test_a_crew_in_a_file_is_a_target(tmp_path: Path) -> None:
    file = tmp_path / "served_crew.py"
    file.write_text(CREW)
    runtime = load_runtime(f"{file}:crew")
    assert [agent.name for agent in asyncio.run(runtime.discover_agents())] == ["crew"]
