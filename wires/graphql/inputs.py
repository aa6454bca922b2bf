"""The contract's input types in the runtime's own terms (docs/contract.md, sections 3.4, 4.1 and 6.1).

Arguments are the coerced GraphQL values with their keys in snake case, as the resolvers receive them.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import Any

import msgspec
import structlog
from graphql import GraphQLError

from ...runtime.context import ContextItem, ForwardedParameters, Resume, RunContext, RunInput, Tool
from ...runtime.errors import ConfigurationError
from ...runtime.fresh_ids import fresh_uuid
from ...runtime.json_text import decode_client_json, decode_json
from ...runtime.messages import (
    AgentStateMessage,
    ImageMessage,
    Message,
    TextMessage,
    ToolCallMessage,
    ToolResultMessage,
    new_id,
)
from ...runtime.request import FrontendAction, RunRequest
from ..http.client import ClientRequest

log = structlog.get_logger(__name__)


def run_request(
    data: dict[str, Any],
    properties: dict[str, Any] | None,
    client: ClientRequest,
    forward_headers: tuple[str, ...] = (),
) -> RunRequest:
    """Convert a whole ``GenerateCopilotResponseInput``.

    Raises:
        ConfigurationError: An action's schema is not a JSON object.
        GraphQLError: The client uses Copilot Cloud without its key, which the contract reports without extensions.
    """
    if data.get("cloud") is not None and client.cloud_key is None:
        raise GraphQLError("X-CopilotCloud-Public-API-Key header is required")
    session = data.get("agent_session") or {}
    agent_name = session.get("agent_name")
    return RunRequest(
        agent_name=agent_name,
        input=_run_input(data, session, agent_name),
        context=RunContext(
            headers=client.forwarded(forward_headers),
            properties=dict(properties or {}),
            url=data["frontend"].get("url"),
            identity=client.identity,
            claims=client.claims,
        ),
        frontend_actions=_frontend_actions(data["frontend"]["actions"]),
        cloud=data.get("cloud"),
        cloud_key=client.cloud_key,
    )


def _run_input(data: dict[str, Any], session: dict[str, Any], agent_name: str | None) -> RunInput:
    state, config = _agent_state(data.get("agent_states") or (), agent_name)
    return RunInput(
        thread_id=data.get("thread_id") or session.get("thread_id") or _new_thread_id(agent_name),
        run_id=fresh_uuid(),
        messages=input_messages(data["messages"]),
        state=state,
        config=config,
        context=[ContextItem(**item) for item in data.get("context") or ()],
        resume=[_resume(event) for event in data.get("meta_events") or ()],
        node_name=session.get("node_name"),
        forwarded=_forwarded(data.get("forwarded_parameters") or {}),
        request_type=data["metadata"].get("request_type"),
        extensions=_extensions(data.get("extensions") or {}),
    )


def _new_thread_id(agent_name: str | None) -> str:
    """Return an id in the resolver's form for agents, the service adapters' for models (docs/contract.md, 4.3)."""
    return fresh_uuid() if agent_name is None else new_id()


def _extensions(extensions: dict[str, Any]) -> dict[str, Any]:
    assistant = extensions.get("openai_assistant_api")
    if assistant is None:
        return {}
    return {"openaiAssistantAPI": {"threadId": assistant.get("thread_id"), "runId": assistant.get("run_id")}}


def _agent_state(states: Iterable[dict[str, Any]], agent_name: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    for item in states:
        if item["agent_name"] == agent_name:
            return _object(item["state"], "state"), _object(item.get("config") or "{}", "config")
    return {}, {}


def _object(text: str, what: str) -> dict[str, Any]:
    try:
        value = decode_client_json(text)
    except msgspec.DecodeError:
        log.warning("agent_input_unreadable", what=what)
        return {}
    return value if isinstance(value, dict) else {}


def _resume(event: dict[str, Any]) -> Resume:
    return Resume(
        name=event["name"],
        value=event["value"],
        response=event.get("response"),
        messages=input_messages(event.get("messages") or ()),
    )


def _forwarded(parameters: dict[str, Any]) -> ForwardedParameters:
    max_tokens = parameters.get("max_tokens")
    return ForwardedParameters(**{**parameters, "max_tokens": None if max_tokens is None else int(max_tokens)})


def _frontend_actions(actions: Iterable[dict[str, Any]]) -> list[FrontendAction]:
    return [
        FrontendAction(tool=_tool(action), remote=action.get("available") == "remote")
        for action in actions
        if action.get("available") != "disabled"
    ]


def _tool(action: dict[str, Any]) -> Tool:
    try:
        parameters = decode_json(action["json_schema"] or "{}")
    except msgspec.DecodeError:
        parameters = None
    if not isinstance(parameters, dict):
        raise ConfigurationError(f"The jsonSchema of the action '{action['name']}' is not the JSON text of an object.")
    return Tool(name=action["name"], description=action["description"], parameters=parameters)


def input_messages(messages: Iterable[dict[str, Any]]) -> list[Message]:
    """``MessageInput`` objects as messages.

    One that is empty or whose JSON does not parse is left out, with a log. So is an empty result of a call that has
    another: react-core puts one before the server's own when the client only renders the call.
    """
    converted = [message for message in map(_message, messages) if message is not None]
    answered = {
        message.tool_call_id for message in converted if isinstance(message, ToolResultMessage) and message.result
    }
    return [message for message in converted if not _is_empty_result_of(message, answered)]


def _is_empty_result_of(message: Message, calls: Container[str]) -> bool:
    return isinstance(message, ToolResultMessage) and not message.result and message.tool_call_id in calls


def _message(message: dict[str, Any]) -> Message | None:
    for kind, convert in _KINDS.items():
        body = message.get(kind)
        if body is not None:
            try:
                return convert({"id": message["id"], "created_at": message["created_at"]}, body)
            except (msgspec.DecodeError, TypeError):
                log.warning("message_unreadable", message_id=message["id"], kind=kind)
                return None
    return None


def _text(common: dict[str, Any], body: dict[str, Any]) -> Message:
    return TextMessage(**common, **body)


def _image(common: dict[str, Any], body: dict[str, Any]) -> Message:
    return ImageMessage(**common, **body)


def _tool_call(common: dict[str, Any], body: dict[str, Any]) -> Message:
    return ToolCallMessage(
        **common,
        name=body["name"],
        arguments=_json_object(body["arguments"]),
        parent_message_id=body.get("parent_message_id"),
    )


def _tool_result(common: dict[str, Any], body: dict[str, Any]) -> Message:
    return ToolResultMessage(
        **common,
        tool_call_id=body["action_execution_id"],
        tool_name=body["action_name"],
        result=body["result"],
    )


def _agent_state_message(common: dict[str, Any], body: dict[str, Any]) -> Message:
    return AgentStateMessage(**common, **{**body, "state": _json_object(body["state"])})


def _json_object(text: str) -> dict[str, Any]:
    value = decode_json(text)
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


_KINDS: dict[str, Callable[[dict[str, Any], dict[str, Any]], Message]] = {
    "text_message": _text,
    "image_message": _image,
    "action_execution_message": _tool_call,
    "result_message": _tool_result,
    "agent_state_message": _agent_state_message,
}
