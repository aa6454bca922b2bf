"""What people read of a run that fails: clients, and whoever looks at the log."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from structlog.testing import capture_logs

from copilotkit_runtime import (
    AgentDescriptor,
    AgentProvider,
    CopilotRuntime,
    RunContext,
    RunInput,
    RuntimeConfig,
    events,
)
from tests.support import agui_client as agui
from tests.support.local_server import PATH, client_of
from tests.support.request_bodies import generate, text_message

SECRET = "sk-abcdefghijklmnop1234"
DEVELOPMENT = RuntimeConfig(env="development")
PRODUCTION = RuntimeConfig(env="production", auth="none", cors_origins=("https://page.test",))


class Failing(AgentProvider):
    name = "failing"

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="a")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        yield events.StepStarted(step_name="s")
        raise self._error


async def told(error: Exception, config: RuntimeConfig = DEVELOPMENT) -> tuple[str, str]:
    """Return what clients of both wires are told."""
    async with client_of(CopilotRuntime([Failing(error)], config=config)) as client:
        newer = (await agui.run(client, "a", agui.run_input(agui.user("hi"))))[-1]
        older = await client.post(PATH, json=generate(text_message("hi"), agent="a"))
        assert newer["type"] == "RUN_ERROR"
        return newer["message"], older.text


async def test_developers_see_class_and_text_of_an_exception_without_secrets() -> None:
    newer, older = await told(LookupError(f"no city named Atlantis for {SECRET}"))
    assert newer.endswith("(LookupError: no city named Atlantis for [hidden])")
    assert "LookupError: no city named Atlantis" in older
    assert SECRET not in newer + older


async def test_a_long_text_is_cut() -> None:
    newer, _ = await told(LookupError("word " * 100_000))
    assert len(newer) < 1_000


@pytest.mark.parametrize(
    "config",
    [PRODUCTION, RuntimeConfig(env="development", show_errors=False), RuntimeConfig()],
    ids=["production", "hidden", "unsaid"],
)
async def test_others_see_neither(config: RuntimeConfig) -> None:
    newer, older = await told(LookupError("no city named Atlantis"), config)
    assert "Atlantis" not in newer + older


def vendors_error(library: str) -> Exception:
    """Return what a vendor's library raises where it finds no key."""
    try:
        if library == "openai":
            from openai import OpenAI

            OpenAI()
        elif library == "anthropic":
            from anthropic import Anthropic

            Anthropic().messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "hi"}])
        else:
            from langchain_openai import ChatOpenAI

            ChatOpenAI()
    except Exception as error:  # noqa: BLE001 - each vendor has its own
        return error
    raise AssertionError("it has a key")


KEYS = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY", "langchain_openai": "OPENAI_API_KEY"}


@pytest.fixture
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in (*KEYS.values(), "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(key, raising=False)


@pytest.mark.usefixtures("no_keys")
@pytest.mark.parametrize("library", KEYS)
async def test_a_missing_key_is_named_and_not_a_stack(library: str) -> None:
    wrapped = RuntimeError("the node failed")
    wrapped.__cause__ = vendors_error(library)
    for error in (vendors_error(library), wrapped):
        with capture_logs() as logs:
            newer, older = await told(error)
        reason = f"{KEYS[library]} is not set, and the agent's model needs it."
        assert newer.startswith(reason)
        assert reason in older
        failures = [line for line in logs if line["event"] == "run_failed"]
        assert [line["reason"] for line in failures] == [reason, reason]
        assert not any("exc_info" in line for line in failures)


@pytest.mark.usefixtures("no_keys")
async def test_a_graph_names_the_key_that_its_model_misses() -> None:
    async def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await ChatOpenAI(model="gpt-4o-mini").ainvoke(state["messages"])]}

    graph: Any = StateGraph(MessagesState).add_node("ask", ask).add_edge(START, "ask").compile()
    async with client_of(CopilotRuntime(agents={"a": graph}, config=DEVELOPMENT)) as client:
        last = (await agui.run(client, "a", agui.run_input(agui.user("hi"))))[-1]
    assert last["type"] == "RUN_ERROR"
    assert last["message"].startswith("OPENAI_API_KEY is not set, and the agent's model needs it. (OpenAIError: ")


async def answers(config: RuntimeConfig) -> tuple[str, str]:
    """Return what clients of both wires are told by a model that cannot answer."""
    async with client_of(CopilotRuntime(model="openai:gpt-4o", config=config)) as client:
        newer = (await agui.run(client, "default", agui.run_input(agui.user("hi"))))[-1]
        older = await client.post(PATH, json=generate(text_message("hi")))
        return newer["message"], older.text


@pytest.mark.usefixtures("no_keys")
async def test_a_plain_model_names_the_key_that_it_misses() -> None:
    newer, older = await answers(DEVELOPMENT)
    assert newer == "OPENAI_API_KEY is not set, and the agent's model needs it."
    assert newer in older


@pytest.mark.usefixtures("no_keys")
async def test_in_production_the_log_alone_names_the_key_of_a_plain_model() -> None:
    with capture_logs() as logs:
        newer, older = await answers(PRODUCTION)
    assert newer.startswith("API key error detected.")
    assert "OPENAI_API_KEY" not in newer + older
    failures = [line["reason"] for line in logs if line["event"] == "run_failed"]
    assert failures == ["OPENAI_API_KEY is not set, and the agent's model needs it."] * 2


@pytest.mark.usefixtures("no_keys")
async def test_production_does_not_name_the_key() -> None:
    newer, _ = await told(vendors_error("openai"), PRODUCTION)
    assert newer == "API key error detected. Please verify your API key is correct and has the necessary permissions."


@pytest.mark.parametrize(
    "error",
    [KeyError("api_key"), ValueError("the weather is missing"), RuntimeError("no such file was provided")],
    ids=repr,
)
async def test_other_errors_are_no_missing_keys(error: Exception) -> None:
    newer, _ = await told(error)
    assert "is not set" not in newer


MOUNTED = """
import asyncio, httpx
from starlette.applications import Starlette
from copilotkit_runtime import CopilotRuntime
from tests.integration.runtime.observability.test_failures import Failing
from tests.support import agui_client as agui

async def main():
    app = Starlette()
    CopilotRuntime([Failing(LookupError("no city named Atlantis"))]).mount(app, "/chat")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        await client.post("/chat/agent/a/run", json=agui.run_input(agui.user("hi"), thread="t-7"))
        await client.post("/chat/agent/nobody/run", json=agui.run_input(agui.user("hi")))

asyncio.run(main())
"""


def printed(setup: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", setup + MOUNTED], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stderr


def test_python_s_default_handler_prints_fields_and_stack() -> None:
    lines = printed("").splitlines()
    failed = next(line for line in lines if line.startswith("run_failed"))
    assert "thread_id='t-7'" in failed
    assert "agent='a'" in failed
    assert "LookupError: no city named Atlantis" in lines
    assert any(line.startswith("request_refused") and "Agent 'nobody' does not exist" in line for line in lines)


def test_an_application_s_own_handlers_have_the_fields_beside_the_line() -> None:
    setup = """
import logging
class Fields(logging.Formatter):
    def format(self, record):
        return f"{record.levelname} {getattr(record, 'event', '')} {getattr(record, 'thread_id', '')}"
handler = logging.StreamHandler()
handler.setFormatter(Fields())
logging.basicConfig(handlers=[handler], level="INFO")
"""
    assert "ERROR run_failed t-7" in printed(setup).splitlines()
