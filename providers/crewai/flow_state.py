"""A flow's state: what goes in with a run, and what clients may see of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import msgspec

from ...runtime.agui_messages import messages_to_agui

if TYPE_CHECKING:
    from ...runtime.context import RunInput

UNANSWERED = "The person went on without answering."

_OURS = frozenset({"id", "messages", "copilotkit", "tools"})


def flow_inputs(run: RunInput, state: Any) -> dict[str, Any]:
    """Return what to start a flow with, as far as the state's own type has a field for it.

    ``id`` is the thread's, so that ``@persist`` keeps a flow's memory by thread.
    """
    actions = [{"type": "function", "function": msgspec.to_builtins(tool)} for tool in run.tools]
    context = [msgspec.to_builtins(item) for item in run.context]
    inputs = {
        **{key: value for key, value in run.state.items() if key not in _OURS},
        "messages": openai_messages(run),
        "copilotkit": {"actions": actions, "context": context},
    }
    declared = _known_fields(state)
    if "copilotkit" in (declared or ()):
        inputs |= {"tools": actions, "context": context}
    accepted = inputs if declared is None else {key: value for key, value in inputs.items() if key in declared}
    return {**accepted, "id": run.thread_id}


class PristineFlow:
    """A flow that was given as an object, as it was before its first run.

    CrewAI's flows keep their state and what they have done for the next run, whatever thread that is for.
    """

    def __init__(self, flow: Any) -> None:
        self._flow = flow
        self._state = deepcopy(flow._state)  # noqa: SLF001 - "state" gives a view of it

    def restore(self) -> None:
        """Forget all that runs have left in the flow."""
        flow = self._flow
        flow._state = deepcopy(self._state)  # noqa: SLF001 - see above
        for name in ("_completed_methods", "_method_outputs", "_pending_events", "_method_call_counts"):
            left = getattr(flow, name, None)
            if left is not None:
                left.clear()
        flow._clear_or_listeners()  # noqa: SLF001 - CrewAI calls it for flows that do not persist
        flow._is_execution_resuming = False  # noqa: SLF001 - set if methods have been completed


def openai_messages(run: RunInput) -> list[dict[str, Any]]:
    """Return the thread's messages as OpenAI's chat completions have them, without the client's instructions."""
    messages = messages_to_agui(run.messages)
    if messages and messages[0]["role"] == "system":
        messages = messages[1:]
    return [_to_openai(message) for message in _answered(messages)]


def _answered(messages: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield a thread in which results follow their calls, with one for each call that the person left behind.

    Flows hand their messages to vendors, who refuse a call without a result.
    """
    results = {message["toolCallId"]: message for message in reversed(messages) if message["role"] == "tool"}
    last_user = max((index for index, message in enumerate(messages) if message["role"] == "user"), default=-1)
    placed: set[str] = set()
    for index, message in enumerate(messages):
        if message["role"] == "tool" and message["toolCallId"] in placed:
            continue
        yield message
        for call in message.get("toolCalls", ()):
            placed.add(call["id"])
            if call["id"] in results:
                yield results[call["id"]]
            elif index < last_user:
                left = {"id": f"unanswered-{call['id']}", "role": "tool", "toolCallId": call["id"]}
                yield {**left, "content": UNANSWERED}


def public_state(state: Any) -> dict[str, Any]:
    """Return a copy of a flow's state as JSON, without what the runtime itself put in."""
    plain = state.model_dump(mode="json") if hasattr(state, "model_dump") else _plain(state)
    hidden = _OURS | {"context"} if "copilotkit" in plain else _OURS
    return {key: value for key, value in plain.items() if key not in hidden}


def state_schema(state: Any) -> dict[str, Any] | None:
    """Return the JSON Schema of what clients see of a flow's state, or None if it is not a pydantic model."""
    if not hasattr(state, "model_json_schema"):
        return None
    schema = state.model_json_schema()
    hidden = _OURS | {"context"} if "copilotkit" in schema["properties"] else _OURS
    properties = {key: value for key, value in schema["properties"].items() if key not in hidden}
    required = [key for key in schema.get("required", ()) if key in properties]
    return {**schema, "properties": properties, "required": required}


def result_text(result: Any) -> str:
    """Return the text of a flow's result: of a crew's or an agent's output, or data as JSON; "" if it has none."""
    if isinstance(result, str):
        return result if result.strip() else ""
    if isinstance(raw := getattr(result, "raw", None), str):
        return raw
    if isinstance(result, bool | None) or not result:
        return ""
    if isinstance(result, dict | list | tuple | int | float) or hasattr(result, "model_dump"):
        plain = result.model_dump(mode="json") if hasattr(result, "model_dump") else _plain(result)
        return msgspec.json.encode(plain).decode()
    return ""


def state_messages(state: Any) -> list[dict[str, Any]]:
    """Return the messages that a flow keeps in its state, as AG-UI has them."""
    messages = state.get("messages") if isinstance(state, dict) else getattr(state, "messages", None)
    plain = _plain(messages) if isinstance(messages, list) else []
    return [_to_agui(message) for message in plain if isinstance(message, dict) and message.get("role")]


def _known_fields(state: Any) -> frozenset[str] | None:
    fields = getattr(type(state), "model_fields", None)
    if fields is None or type(state).model_config.get("extra") == "allow":
        return None
    return frozenset(fields)


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value, enc_hook=_model_or_text, str_keys=True)


def _model_or_text(value: Any) -> Any:
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else str(value)


def _to_openai(message: dict[str, Any]) -> dict[str, Any]:
    renamed = {_TO_OPENAI.get(key, key): value for key, value in message.items()}
    if isinstance(renamed.get("content"), list):
        renamed["content"] = [_picture(part) for part in renamed["content"]]
    if "tool_calls" in renamed:
        renamed.setdefault("content", "")
    return renamed


def _picture(part: dict[str, Any]) -> dict[str, Any]:
    if part.get("type") == "binary":
        link = part.get("url") or f"data:{part['mimeType']};base64,{part.get('data', '')}"
        return {"type": "image_url", "image_url": {"url": link}}
    if part.get("type") != "image":
        return part
    source = part["source"]
    link = source["value"] if source["type"] == "url" else f"data:{source['mimeType']};base64,{source['value']}"
    return {"type": "image_url", "image_url": {"url": link}}


def _to_agui(message: dict[str, Any]) -> dict[str, Any]:
    renamed = {_TO_AGUI.get(key, key): value for key, value in message.items() if value is not None}
    return {key: value for key, value in renamed.items() if key in _AGUI_KEYS}


_TO_OPENAI = {"toolCalls": "tool_calls", "toolCallId": "tool_call_id"}
_TO_AGUI = {"tool_calls": "toolCalls", "tool_call_id": "toolCallId"}
_AGUI_KEYS = frozenset({"id", "role", "content", "name", "toolCalls", "toolCallId"})
