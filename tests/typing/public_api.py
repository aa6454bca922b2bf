"""The public API as a type checker sees it: ``make typecheck`` reads this file, and nothing runs it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, assert_type

from starlette.applications import Starlette
from starlette.requests import Request

from copilotkit_runtime import (
    A2UI,
    Action,
    ActionSource,
    AfterRequest,
    AgentDescriptor,
    AgentProvider,
    AgentState,
    ApiKeyAuth,
    Authenticator,
    CopilotRuntime,
    Hooks,
    Identity,
    JwtAuth,
    RunContext,
    RunInput,
    RunLock,
    RuntimeConfig,
    RuntimeInfo,
    StateStore,
    StoreConflictError,
    StoreSettings,
    StoreUnavailableError,
    ThreadPage,
    Tool,
    TopicGuardrail,
    action,
    errors,
    events,
    messages,
    open_store,
    stores,
)


class Echo(AgentProvider):
    name = "echo"

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="echo", description="Repeats the thread")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        assert_type(run.thread_id, str)
        assert_type(run.tools, list[Tool])
        assert_type(run.messages, list[messages.Message])
        for message in run.messages:
            if isinstance(message, messages.TextMessage):
                yield events.TextMessageStart(message_id=message.id)
                yield events.TextMessageContent(message_id=message.id, delta=message.content)


@action
async def weather(city: str, days: int = 1) -> dict[str, Any]:
    """Report the weather."""
    return {"city": city, "days": days}


async def before(event: AfterRequest) -> None:
    assert_type(event.thread_id, str)


async def identify(request: Request) -> Identity | None:
    return Identity("alice") if "authorization" in request.headers else None


async def use_runtime() -> None:
    runtime = CopilotRuntime(
        [Echo()],
        model="openai:gpt-4o",
        store=open_store("memory://", StoreSettings(ttl=60.0)),
        config=RuntimeConfig(),
        auth=identify,
        actions=[weather],
        hooks=Hooks(on_after_request=before),
        guardrails=[TopicGuardrail(deny=["politics"])],
        agents_as_actions=["echo"],
        a2ui=A2UI(inject_tool=True),
        open_generative_ui=["echo"],
        mcp_apps=["https://tools.example.com/mcp"],
    )
    assert_type(weather, Action)
    assert_type(runtime.create_app(), Starlette)
    assert_type(runtime.get_provider("echo"), AgentProvider | None)
    assert_type(runtime.remove_provider("echo"), AgentProvider)
    assert_type(runtime.list_providers(), list[AgentProvider])
    assert_type(await runtime.discover_agents(), list[AgentDescriptor])
    assert_type(await runtime.runtime_info(), RuntimeInfo)
    assert_type(await runtime.load_agent_state(thread_id="t", agent_name="echo"), AgentState | None)
    async with runtime as started:
        assert_type(started, CopilotRuntime)


async def use_store() -> None:
    store = open_store("sqlite:///states.sqlite")
    assert_type(store, StateStore)
    assert_type(await store.load("t", "a"), AgentState | None)
    assert_type(await store.threads(owner="alice"), ThreadPage)
    assert_type(store.lock("t", "a", wait=0), RunLock)
    try:
        await store.save("t", "a", AgentState(state={"n": 1}), expected_version=0)
    except StoreConflictError as error:
        assert_type(error.expected, int)
    except (StoreUnavailableError, errors.StoreError) as error:
        assert_type(error.message, str)


def take_authenticators(*_: Authenticator) -> None: ...


def take_source(source: ActionSource, desk: stores.TicketDesk, record: stores.Record) -> None:
    assert_type(record.payload, bytes)
    take_authenticators(ApiKeyAuth({"key": "alice"}), JwtAuth(secret="s" * 32))
    CopilotRuntime(actions=[source])
