"""A client's ``RunAgentInput`` as the runtime's request, read leniently and within bounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any
from uuid import uuid4

import msgspec

from ...runtime.agui_messages import messages_from_agui
from ...runtime.context import ContextItem, ForwardedParameters, RequestType, Resume, RunContext, RunInput, Tool
from ...runtime.errors import InputTooLargeError
from ...runtime.input_limits import MAX_ID_CHARACTERS, MESSAGE_COUNT, limit_id
from ...runtime.messages import Message
from ...runtime.request import FrontendAction, RunRequest
from ..http.refusal import Refusal, refusal
from .refusals import invalid_body

SUGGEST_TOOL = "copilotkitSuggest"
NAME_CHARACTERS = 60
"""How much of its first message a thread is named after."""
NAME_SOURCE = 1000
PROXIED_MCP_REQUEST = "__proxiedMCPRequest"

_CONFIG_KEYS = ("configurable", "recursion_limit", "recursionLimit", "metadata", "tags", "streamSubgraphs")
_NOT_PROPERTIES = frozenset({"command", "config", "configurable", PROXIED_MCP_REQUEST})


class RunAgentInput(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks for, with nothing but the types checked that everything else depends on."""

    thread_id: str
    run_id: str
    parent_run_id: str | None = None
    messages: list[dict[str, Any]] = []
    tools: list[Any] = []
    context: list[Any] = []
    state: Any = None
    forwarded_props: dict[str, Any] = {}
    resume: list[Any] = []

    @property
    def is_suggestion(self) -> bool:
        """Whether the run makes suggestions, which clients ask for as an ordinary run too."""
        return _chosen_function(self.forwarded_props) == SUGGEST_TOOL

    @property
    def is_proxied_mcp_request(self) -> bool:
        """Whether an iframe of an MCP app asks for its server, and not for the agent."""
        return PROXIED_MCP_REQUEST in self.forwarded_props


def read_run_input(data: Any, most_messages: int) -> RunAgentInput:
    """Read the body of a run. Everything but the ids may be absent or null; unknown keys mean nothing.

    Raises:
        Refusal: The ids, the messages or a message's role have a wrong type, or there is too much of it.
    """
    if not isinstance(data, dict):
        raise invalid_body("The body must be a JSON object.")
    return RunAgentInput(
        thread_id=_thread_id(data),
        run_id=_id(data, "runId", "run"),
        parent_run_id=_parent(data.get("parentRunId")),
        messages=_messages(data.get("messages"), most_messages),
        tools=_list(data.get("tools")),
        context=_list(data.get("context")),
        state=data.get("state"),
        forwarded_props=_object(data.get("forwardedProps")),
        resume=_list(data.get("resume")),
    )


def _thread_id(data: Mapping[str, Any]) -> str:
    """Return the thread's id; a new one for an empty text, which a page sends whose own id is not there yet."""
    return str(uuid4()) if data.get("threadId") == "" else _id(data, "threadId", "thread")


def _id(data: Mapping[str, Any], key: str, name: str) -> str:
    value = data.get(key)
    if not isinstance(value, str) or not value:
        raise invalid_body(f"{key}: must be a text that is not empty.")
    try:
        limit_id(name, value)
    except InputTooLargeError as error:
        raise refusal(error, 413) from error
    return value


def _parent(value: Any) -> str | None:
    return value if isinstance(value, str) and len(value) <= MAX_ID_CHARACTERS else None


def _messages(value: Any, most: int) -> list[dict[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise invalid_body("messages: must be a list.")
    if len(value) > most:
        raise Refusal(MESSAGE_COUNT.format(len(value), most), 413)
    for index, message in enumerate(value):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise invalid_body(f"messages[{index}]: must be an object with a role.")
    return value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def first_words(messages: list[dict[str, Any]]) -> str | None:
    """Return the beginning of the only message that a user has written, for a thread that has just begun."""
    user_contents = [message.get("content") for message in messages if message["role"] == "user"]
    if len(user_contents) != 1:
        return None
    parts = user_contents[0] if isinstance(user_contents[0], list) else [{"text": user_contents[0]}]
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    text = " ".join(" ".join(text for text in texts if isinstance(text, str))[:NAME_SOURCE].split())
    return text[:NAME_CHARACTERS].rstrip() or None


def run_request(
    given: RunAgentInput,
    agent_name: str | None,
    context: RunContext,
    messages: list[Message],
    *,
    cancelled: str | None = None,
) -> RunRequest:
    """Write a client's input as the runtime's request.

    Args:
        given: The client's input.
        agent_name: The agent, or None for the model.
        context: The caller; the properties are filled in.
        messages: The thread's messages, with those that the client sent.
        cancelled: The answer to interrupts that the client cancels.
    """
    properties = {key: value for key, value in given.forwarded_props.items() if key not in _NOT_PROPERTIES}
    request_type: RequestType = "Suggestion" if given.is_suggestion else "Chat"
    return RunRequest(
        agent_name=agent_name,
        input=RunInput(
            thread_id=given.thread_id,
            run_id=given.run_id,
            messages=messages,
            state=_object(given.state),
            builds_on_state=True,
            config=_config(given.forwarded_props),
            context=list(_context(given.context)),
            resume=list(_resumes(given, cancelled)),
            forwarded=_parameters(given.forwarded_props),
            request_type=request_type,
        ),
        context=msgspec.structs.replace(context, properties=properties),
        frontend_actions=[FrontendAction(tool=tool) for tool in _tools(given.tools)],
    )


def input_messages(given: RunAgentInput, tool_names: Mapping[str, str] | None = None) -> list[Message]:
    """Return the messages of a client's input as a thread's."""
    return messages_from_agui(given.messages, tool_names)


def _tools(tools: Iterable[Any]) -> Iterable[Tool]:
    for tool in tools:
        name = tool.get("name") if isinstance(tool, dict) else None
        if isinstance(name, str) and name:
            schema = _object(tool.get("parameters")) or {"type": "object", "properties": {}}
            yield Tool(name=name, description=as_text(tool.get("description")), parameters=schema)


def _context(items: Iterable[Any]) -> Iterable[ContextItem]:
    for item in items:
        if isinstance(item, dict):
            yield ContextItem(description=as_text(item.get("description")), value=as_text(item.get("value")))


def as_text(value: Any) -> str:
    """Return a text as it is, and any other JSON value as its JSON; null is empty."""
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _config(props: Mapping[str, Any]) -> dict[str, Any]:
    """Return the run's configuration: clients send it as ``config``, or its keys beside the properties."""
    flat = {key: props[key] for key in _CONFIG_KEYS if key in props}
    return {**flat, **_object(props.get("config"))}


def _parameters(props: Mapping[str, Any]) -> ForwardedParameters:
    choice, function = props.get("toolChoice"), _chosen_function(props)
    stop = props.get("stop")
    max_tokens = _number(props.get("maxTokens", props.get("max_tokens")))
    return ForwardedParameters(
        model=props["model"] if isinstance(props.get("model"), str) else None,
        temperature=_number(props.get("temperature")),
        max_tokens=None if max_tokens is None else int(max_tokens),
        stop=[stop] if isinstance(stop, str) else [item for item in _list(stop) if isinstance(item, str)] or None,
        tool_choice="function" if function is not None else choice if isinstance(choice, str) else None,
        tool_choice_function_name=function,
    )


def _number(value: Any) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not isfinite(value):
        return None
    return float(value)


def _chosen_function(props: Mapping[str, Any]) -> str | None:
    choice = props.get("toolChoice")
    name = _object(choice.get("function")).get("name") if isinstance(choice, dict) else None
    return name if isinstance(name, str) else None


def _resumes(given: RunAgentInput, cancelled: str | None) -> Iterable[Resume]:
    """Return the answers to interrupts, of the standard form or else of the older one."""
    command = _object(given.forwarded_props.get("command"))
    question = command.get("interruptEvent", msgspec.UNSET)
    answers = [entry for entry in given.resume if isinstance(entry, dict)]
    if answers:
        yield from (_standard_answer(entry, question, cancelled) for entry in answers)
        return
    if "resume" in command:  # false, null and "" are answers as well
        yield _answer(command["resume"], question)


def _standard_answer(entry: Mapping[str, Any], question: Any, cancelled: str | None) -> Resume:
    id_ = entry["interruptId"] if isinstance(entry.get("interruptId"), str) else None
    if entry.get("status") == "cancelled":
        return _answer(cancelled, question, id_, cancelled=True)
    return _answer(entry.get("payload"), question, id_)


def _answer(answer: Any, question: Any, id_: str | None = None, *, cancelled: bool = False) -> Resume:
    return Resume(
        name="LangGraphInterruptEvent",
        value="" if question is msgspec.UNSET else as_text(question),
        response=None if answer is None else as_text(answer),
        answer=answer,
        question=question,
        interrupt_id=id_,
        cancelled=cancelled,
    )
