"""A run's input as AG-UI's ``RunAgentInput`` (docs/contract.md, sections 4.4 and 6.1)."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import msgspec

from ...runtime.agui_messages import messages_to_agui

if TYPE_CHECKING:
    from ...runtime.context import Resume, RunContext, RunInput


def run_agent_input(run: RunInput, context: RunContext, *, forward_node_name: bool = False) -> dict[str, Any]:
    """Return the JSON object that starts a run of an AG-UI agent.

    Args:
        run: The run.
        context: The request's context.
        forward_node_name: Whether to send the name of the node that the client saw last. AG-UI's own clients do not,
            and adapters of LangGraph take it for an order to go on behind that node, which at the graph's end is
            nowhere.
    """
    payload = {
        "threadId": run.thread_id,
        "runId": run.run_id,
        "tools": msgspec.to_builtins(run.tools),
        "context": msgspec.to_builtins(run.context),
        "forwardedProps": _forwarded_props(run, context, forward_node_name=forward_node_name),
        "state": run.state,
        "messages": messages_to_agui(run.messages),
    }
    answers = [each for answer in run.resume for each in _one_by_one(answer)]
    resume = [entry for answer in answers if (entry := _resume_entry(answer)) is not None]
    return {**payload, "resume": resume} if resume else payload


def _forwarded_props(run: RunInput, context: RunContext, *, forward_node_name: bool) -> dict[str, Any]:
    config = dict(run.config)
    props: dict[str, Any] = {"threadMetadata": context.properties.get("threadMetadata") or {}}
    if "streamSubgraphs" in config:
        props["streamSubgraphs"] = config.pop("streamSubgraphs")
    if forward_node_name and run.node_name is not None:
        props["nodeName"] = run.node_name
    if run.resume:
        props["command"] = _command(run.resume[0])
    return {"config": config, **props, **context.properties}


def _command(answer: Resume) -> dict[str, Any]:
    """Return the answer as CopilotKit's clients give it: with what was asked, which Mastra needs to find a tool."""
    command = {"resume": _answer(answer)}
    if answer.question is not msgspec.UNSET:
        return {**command, "interruptEvent": answer.question}
    return {**command, "interruptEvent": answer.value} if answer.value else command


def _one_by_one(answer: Resume) -> list[Resume]:
    """Return the answers to a list of interrupts of AG-UI 1.0: clients get those of one run as one question.

    Each needs an answer. Of a single one, which may have been meant for any, the first interrupt is resolved.
    """
    interrupts = _decoded(answer.value)
    if not isinstance(interrupts, list) or not interrupts or not all(_is_interrupt(each) for each in interrupts):
        return [answer]
    given = _answer(answer)
    if not isinstance(given, list) or len(given) != len(interrupts):
        given = [given]
    answers = zip_longest(interrupts, given, fillvalue=msgspec.UNSET)
    return [_answer_to(answer, each, part) for each, part in answers]


def _answer_to(answer: Resume, interrupt: Any, given: Any) -> Resume:
    cancelled = answer.cancelled or given is msgspec.UNSET
    return msgspec.structs.replace(
        answer,
        value=msgspec.json.encode(interrupt).decode(),
        answer=None if cancelled else given,
        interrupt_id=None,
        cancelled=cancelled,
    )


def _resume_entry(answer: Resume) -> dict[str, Any] | None:
    """Return the answer as AG-UI 1.0 wants it, if what was asked was an interrupt of AG-UI 1.0."""
    id_ = _interrupt_id(answer.value) or answer.interrupt_id
    if id_ is None:
        return None
    if answer.cancelled:
        return {"interruptId": id_, "status": "cancelled"}
    return {"interruptId": id_, "status": "resolved", "payload": _answer(answer)}


def _interrupt_id(value: str) -> str | None:
    interrupt = _decoded(value)
    return str(interrupt["id"]) if _is_interrupt(interrupt) else None


def _is_interrupt(interrupt: Any) -> bool:
    return isinstance(interrupt, dict) and isinstance(interrupt.get("id"), str) and "reason" in interrupt


def _decoded(value: str) -> Any:
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        return None


def _answer(resume: Resume) -> Any:
    return resume.response if resume.answer is msgspec.UNSET else resume.answer
