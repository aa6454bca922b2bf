"""Events of a run as the contract's answer (docs/contract.md, sections 2.3, 3.1 and 6.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar
from weakref import proxy

import msgspec
import structlog

from ...runtime import events
from ...runtime.agui_messages import messages_from_agui
from ...runtime.errors import DEFAULT_MESSAGE, GUARDRAILS_FAILED
from ...runtime.runs.state import StateTracker
from ...runtime.shown_state import shown_state
from .response import (
    ANSWER,
    PENDING,
    ActionExecutionMessageOutput,
    AgentStateMessageOutput,
    Channel,
    CopilotKitInterruptData,
    CopilotKitLangGraphInterruptEvent,
    CopilotResponse,
    ExtensionsResponse,
    FailedMessageStatus,
    FailedResponseStatus,
    LangGraphInterruptEvent,
    MessageOutput,
    OpenAIApiAssistantAPIResponse,
    ResultMessageOutput,
    SuccessMessageStatus,
    SuccessResponseStatus,
    TextMessageOutput,
)
from .state_messages import state_messages

log = structlog.get_logger(__name__)

_BROKEN_TEXT = "Error streaming message content"
_BROKEN_ARGUMENTS = "An unknown error has occurred in the action execution argument stream"


class _Speaker(msgspec.Struct, frozen=True, kw_only=True):
    """The agent whose states are shown; none if ``agent_name`` is empty."""

    agent_name: str
    run_id: str


class ResponseProjection:
    """Fills one ``CopilotResponse`` from one run's events.

    Args:
        response: The answer to fill; whoever reads it keeps it alive.
        agent_name: The run's agent, or "" for a model; only an agent's state is shown.
        run_id: The run's id, as shown in agent states.
    """

    __slots__ = (
        "_active",
        "_asked",
        "_node_name",
        "_response",
        "_running",
        "_speaker",
        "_state",
        "_texts",
        "_thread",
        "_tool_calls",
        "_tool_names",
    )

    def __init__(self, response: CopilotResponse, *, agent_name: str, run_id: str) -> None:
        # The response owns its projection: were it owned in turn, every answer would be left to the garbage collector.
        self._response: CopilotResponse = proxy(response)
        self._asked = self._speaker = _Speaker(agent_name=agent_name, run_id=run_id)
        self._texts: dict[str, TextMessageOutput] = {}
        self._tool_calls: dict[str, ActionExecutionMessageOutput] = {}
        self._tool_names: dict[str, str] = {}
        self._state = StateTracker()
        self._thread: list[dict[str, Any]] | None = None
        self._node_name = ""
        self._active = True
        self._running = True

    def apply(self, event: events.Event) -> Channel[str] | None:
        """Show ``event`` in the answer. Events that the contract has no place for change nothing.

        Returns:
            The text that went on or ended, or ``ANSWER`` if none did; None if anything may have changed.
        """
        applier = self._APPLIERS.get(type(event))
        return ANSWER if applier is None else applier(self, event)

    def _text_start(self, event: events.TextMessageStart) -> Channel[str]:
        message = TextMessageOutput(id=event.message_id, parent_message_id=event.parent_message_id)
        self._texts[event.message_id] = message
        self._response.messages.append(message)
        return ANSWER

    def _text_content(self, event: events.TextMessageContent) -> Channel[str]:
        content = self._texts[event.message_id].content
        if event.delta:
            content.items.append(event.delta)
        return content

    def _text_end(self, event: events.TextMessageEnd) -> Channel[str]:
        text = self._texts.pop(event.message_id)
        text.close(FailedMessageStatus(_BROKEN_TEXT) if event.broken else SuccessMessageStatus())
        return text.content

    def _tool_call_start(self, event: events.ToolCallStart) -> Channel[str]:
        message = ActionExecutionMessageOutput(
            id=event.tool_call_id, name=event.tool_call_name, parent_message_id=event.parent_message_id
        )
        self._tool_calls[event.tool_call_id] = message
        self._tool_names[event.tool_call_id] = event.tool_call_name
        self._response.messages.append(message)
        self._active = True
        self._state.tool_call_started(event)
        return ANSWER

    def _tool_call_args(self, event: events.ToolCallArgs) -> Channel[str] | None:
        arguments = self._tool_calls[event.tool_call_id].arguments
        if event.delta:
            arguments.items.append(event.delta)
        if not self._state.tool_call_arguments(event):
            return arguments
        self._show_state()
        return None

    def _tool_call_end(self, event: events.ToolCallEnd) -> Channel[str] | None:
        call = self._tool_calls.pop(event.tool_call_id)
        call.close(FailedMessageStatus(_BROKEN_ARGUMENTS) if event.broken else SuccessMessageStatus())
        if not self._state.tool_call_ended(event):
            return call.arguments
        self._show_state()
        return None

    def _tool_call_result(self, event: events.ToolCallResult) -> Channel[str]:
        name = event.tool_call_name or self._tool_names.get(event.tool_call_id, "unknown")
        return self._add(
            ResultMessageOutput(
                id=f"result-{event.tool_call_id}",
                result=event.content,
                action_execution_id=event.tool_call_id,
                action_name=name,
            )
        )

    def _state_snapshot(self, event: events.StateSnapshot) -> Channel[str]:
        self._state.snapshot(event)
        return self._show_state()

    def _state_delta(self, event: events.StateDelta) -> Channel[str]:
        self._state.delta(event)
        return self._show_state()

    def _messages_snapshot(self, event: events.MessagesSnapshot) -> Channel[str]:
        self._thread = state_messages(messages_from_agui(event.messages))
        self._active = True
        return self._show_state(with_thread=True)

    def _step_started(self, event: events.StepStarted) -> Channel[str]:
        return self._change_step(event.step_name, active=True)

    def _step_finished(self, event: events.StepFinished) -> Channel[str]:
        return self._change_step(event.step_name, active=False)

    def _change_step(self, name: str, *, active: bool) -> Channel[str]:
        self._node_name = name
        self._active = active
        self._state.forget_predictions()
        return self._show_state()

    def _custom(self, event: events.Custom) -> Channel[str]:
        if event.name in (events.INTERRUPT, "LangGraphInterruptEvent"):
            self._response.meta_events.append(LangGraphInterruptEvent(value=_text(event.value)))
        elif event.name == events.COPILOTKIT_INTERRUPT:
            self._response.meta_events.append(_copilotkit_interrupt(event.value))
        elif event.name == events.PREDICT_STATE:
            self._state.predict(event)
        elif event.name == events.EXIT:
            self._running = False
        elif event.name == events.EXTENSIONS:
            self._extensions(event.value)
        elif event.name == events.AGENT_ENTERED:
            self._enter(_speaker_of(event.value) or self._speaker)
        elif event.name == events.AGENT_LEFT:
            self._show_last_state()
            self._enter(self._asked)
        return ANSWER

    def _extensions(self, value: Any) -> None:
        if self._response.extensions is PENDING:
            self._response.extensions = _extensions_output(value)
        else:
            log.warning("extensions_too_late", thread_id=self._response.thread_id)

    def _enter(self, speaker: _Speaker) -> None:
        """Take the states that follow for those of ``speaker``."""
        self._speaker = speaker
        self._state = StateTracker()
        self._thread = None
        self._node_name = ""
        self._active = True

    def _run_finished(self, _event: events.RunFinished) -> None:
        self._show_last_state()
        self._response.close(SuccessResponseStatus())

    def _show_last_state(self) -> None:
        if self._state.state or self._thread is not None:
            self._active = False
            self._show_state(with_thread=True)

    def _run_error(self, event: events.RunError) -> None:
        guarded = event.code == GUARDRAILS_FAILED
        reason = f"Interrupted due to Guardrails validation failure. Reason: {event.message}"
        for text in self._texts.values():
            text.close(FailedMessageStatus(reason if guarded else _BROKEN_TEXT))
        for call in self._tool_calls.values():
            call.close(FailedMessageStatus(reason if guarded else _BROKEN_ARGUMENTS))
        self._response.close(_guardrails_status(event) if guarded else _failed_status(event))

    def _show_state(self, *, with_thread: bool = False) -> Channel[str]:
        if not self._speaker.agent_name:
            return ANSWER
        state = shown_state(self._state.state)
        if with_thread and self._thread:
            state["messages"] = self._thread
        return self._add(
            AgentStateMessageOutput(
                thread_id=self._response.thread_id,
                agent_name=self._speaker.agent_name,
                node_name=self._node_name,
                run_id=self._speaker.run_id,
                active=self._active,
                running=self._running,
                state=_text(state),
            )
        )

    def _add(self, message: MessageOutput) -> Channel[str]:
        message.close(SuccessMessageStatus())
        self._response.messages.append(message)
        return ANSWER

    _APPLIERS: ClassVar[dict[type, Callable[[Any, Any], Channel[str] | None]]] = {
        events.TextMessageStart: _text_start,
        events.TextMessageContent: _text_content,
        events.TextMessageEnd: _text_end,
        events.ToolCallStart: _tool_call_start,
        events.ToolCallArgs: _tool_call_args,
        events.ToolCallEnd: _tool_call_end,
        events.ToolCallResult: _tool_call_result,
        events.StateSnapshot: _state_snapshot,
        events.StateDelta: _state_delta,
        events.MessagesSnapshot: _messages_snapshot,
        events.StepStarted: _step_started,
        events.StepFinished: _step_finished,
        events.Custom: _custom,
        events.RunFinished: _run_finished,
        events.RunError: _run_error,
    }


def _speaker_of(value: Any) -> _Speaker | None:
    """Return who speaks from now on; None for what an agent has made up."""
    given = value if isinstance(value, dict) else {}
    name, run_id = given.get("agentName"), given.get("runId")
    return _Speaker(agent_name=name, run_id=run_id) if isinstance(name, str) and isinstance(run_id, str) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _extensions_output(value: Any) -> ExtensionsResponse | None:
    # OpenAI's assistants are all that the contract has a place for.
    thread = value.get("openaiAssistantAPI") if isinstance(value, dict) else None
    if not isinstance(thread, dict):
        return None
    thread_id, run_id = (None if thread.get(key) is None else _text(thread[key]) for key in ("threadId", "runId"))
    return ExtensionsResponse(openai_assistant_api=OpenAIApiAssistantAPIResponse(thread_id=thread_id, run_id=run_id))


def _guardrails_status(event: events.RunError) -> FailedResponseStatus:
    return FailedResponseStatus(reason=GUARDRAILS_FAILED, details={"guardrailsReason": event.message})


def _failed_status(event: events.RunError) -> FailedResponseStatus:
    details: dict[str, Any] = {"description": event.message or DEFAULT_MESSAGE}
    if event.details is not None:
        details["originalError"] = event.details
    return FailedResponseStatus(reason="UNKNOWN_ERROR", details=details)


def _copilotkit_interrupt(value: Any) -> CopilotKitLangGraphInterruptEvent:
    data = value.get("data", value) if isinstance(value, dict) else {"value": value}
    shown = [_interrupt_message(item) for item in data.get("messages") or ()]
    messages = [message for message in shown if message is not None]
    return CopilotKitLangGraphInterruptEvent(
        data=CopilotKitInterruptData(value=_text(data.get("value", "")), messages=messages)
    )


def _interrupt_message(item: dict[str, Any]) -> MessageOutput | None:
    message: MessageOutput
    if "content" in item and ("role" in item or item.get("type") == "TextMessage"):
        message = TextMessageOutput(
            id=str(item.get("id", "")),
            role=item.get("role", "assistant"),
            content=Channel.of(_text(item["content"])),
        )
    elif "arguments" in item:
        message = ActionExecutionMessageOutput(
            id=str(item.get("id", "")),
            name=str(item.get("name", "")),
            arguments=Channel.of(_text(item["arguments"])),
        )
    else:
        log.warning("interrupt_message_unknown", keys=sorted(item))
        return None
    message.close(SuccessMessageStatus())
    return message
