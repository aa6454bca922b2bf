"""Names and attributes of spans, by OpenTelemetry's semantic conventions for HTTP and for generative AI."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ..runs.usage import TokenUsage

if TYPE_CHECKING:
    from ..runs.run import Run
    from .served_request import ServedRequest

Attributes: TypeAlias = dict[str, str | int | float | bool]

_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
_LONGEST = 200
_ERROR_STATUS = 500


def server_name(served: ServedRequest) -> str:
    """Return the name of a request's span."""
    return f"{_method(served) if _method(served) != '_OTHER' else 'HTTP'} {served.route[:_LONGEST]}"


def server_attributes(served: ServedRequest) -> Attributes:
    """Return what is known of a request when it comes."""
    attributes: Attributes = {
        "http.request.method": _method(served),
        "http.route": served.route[:_LONGEST],
        "url.path": served.path[:_LONGEST],
    }
    agent = served.headers.get("user-agent")
    return {**attributes, **({"user_agent.original": agent[:_LONGEST]} if agent else {})}


def answer_attributes(status: int) -> Attributes:
    """Return the attributes of a request that has been answered; the status is 0 if its client left before."""
    if not status:
        return {}
    return {"http.response.status_code": status, **({"error.type": str(status)} if is_failure(status) else {})}


def is_failure(status: int) -> bool:
    """Return whether a status reports a failure of the server."""
    return status >= _ERROR_STATUS


def _method(served: ServedRequest) -> str:
    return served.method if served.method in _METHODS else "_OTHER"


def queue_attributes(queue: str) -> Attributes:
    """Return what is known of a run that is handed over to the workers of a queue."""
    return {
        "messaging.system": "copilotkit",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": queue,
    }


def run_attributes(run: Run) -> Attributes:
    """Return the attributes of a run that starts."""
    attributes: Attributes = {
        "gen_ai.conversation.id": run.input.thread_id,
        "copilotkit.run_id": run.input.run_id,
    }
    if run.agent_name:
        attributes["gen_ai.agent.name"] = run.agent_name
    if run.context.identity is not None:
        attributes["enduser.id"] = run.context.identity
    return attributes


def outcome_attributes(run: Run) -> Attributes:
    """Return what is known of a run when it has ended. Its error's text is for the log alone."""
    attributes: Attributes = {
        "copilotkit.outcome": run.status.value,
        "copilotkit.pieces": run.log.pieces,
        **usage_attributes(run.transcript.usage.total),
    }
    if run.error is not None:
        attributes["error.type"] = type(run.cause or run.error).__name__
    return attributes


def invocation_name(run: Run) -> str:
    """Return the name of the span of an agent, or of the model, at work."""
    return f"invoke_agent {run.agent_name}".rstrip()


def invocation_attributes(run: Run) -> Attributes:
    """Return the attributes of an agent at work."""
    return {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": run.provider.name,
        **run_attributes(run),
    }


def tool_attributes(name: str, call_id: str) -> Attributes:
    """Return what is known of a tool's execution."""
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": name,
        "gen_ai.tool.call.id": call_id,
        "gen_ai.tool.type": "function",
    }


def chat_attributes(provider: str, model: str | None, usage: TokenUsage) -> Attributes:
    """Return the attributes of a call of a model."""
    names: Attributes = {"gen_ai.request.model": model, "gen_ai.response.model": model} if model else {}
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        **names,
        **usage_attributes(usage),
    }


def usage_attributes(usage: TokenUsage | None) -> Attributes:
    """Return the tokens that were spent, as far as they are known."""
    if usage is None:
        return {}
    attributes: Attributes = {
        "gen_ai.usage.input_tokens": usage.input,
        "gen_ai.usage.output_tokens": usage.output,
    }
    if usage.cached:
        attributes["gen_ai.usage.cache_read.input_tokens"] = usage.cached
    if usage.reasoning:
        attributes["gen_ai.usage.reasoning.output_tokens"] = usage.reasoning
    return attributes
