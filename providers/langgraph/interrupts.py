"""A graph's interrupts as the contract's meta events, and a person's answers as the graph's ``Command``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec
import pydantic_core
from langchain_core.messages import BaseMessage, HumanMessage, ToolMessage
from langgraph.types import Interrupt

from ...runtime.context import Resume
from ...runtime.events import COPILOTKIT_INTERRUPT, INTERRUPT, Custom, Event
from ...runtime.messages import TextMessage, ToolCallMessage, new_id
from .encoding import Encoder, Json
from .messages import as_langchain, from_langchain
from .reviews import cancelled_review, decisions, review_answer

_SDK_VALUE = "__copilotkit_interrupt_value__"
_SDK_MESSAGES = "__copilotkit_messages__"


def interrupt_events(interrupts: Iterable[Interrupt]) -> list[Event]:
    """Return one meta event for each interrupt."""
    return [_event(interrupt.value) for interrupt in interrupts]


def _event(value: Any) -> Event:
    if isinstance(value, Mapping) and _SDK_VALUE in value:
        messages = from_langchain(as_langchain(value.get(_SDK_MESSAGES)))
        data = {"value": _as_text(value[_SDK_VALUE]), "messages": list(_shapes(messages))}
        return Custom(name=COPILOTKIT_INTERRUPT, value=data)
    return Custom(name=INTERRUPT, value=Encoder().encode(value))


def _shapes(messages: Iterable[Any]) -> Iterable[dict[str, Json]]:
    for message in messages:
        match message:
            case TextMessage(content=content) if content:
                yield {
                    "id": message.id or new_id(),
                    "type": "TextMessage",
                    "role": message.role,
                    "content": content,
                }
            case ToolCallMessage():
                yield {
                    "id": message.id,
                    "type": "ActionExecutionMessage",
                    "name": message.name,
                    "arguments": message.arguments,
                    "parentMessageId": message.parent_message_id or message.id,
                }


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else pydantic_core.to_json(Encoder().encode(value)).decode()


def _asked(interrupt: Interrupt) -> str:
    value = interrupt.value
    return _as_text(value[_SDK_VALUE] if isinstance(value, Mapping) and _SDK_VALUE in value else value)


def answer_of(resume: Resume) -> Json:
    """Return a person's answer as the graph gets it.

    The client sends what it was given as text, and everything else as JSON text. So objects, lists, true, false
    and null are read as JSON; text stays text, numbers included, because a person may have typed them.
    """
    if resume.answer is not msgspec.UNSET:
        return resume.answer
    text = resume.response
    if text is None:
        return ""
    if text.strip()[:1] not in ("{", "[") and text not in ("true", "false", "null"):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def resume_map(pending: Sequence[Interrupt], answers: Sequence[Resume]) -> dict[str, Json]:
    """Return what ``Command(resume=...)`` takes: answers by interrupt id, the only form that any JSON value survives.

    An answer goes to the interrupt whose question it names, else to the first one without an answer.
    One answer may also be an object of answers by interrupt id, or a list of one for each interrupt, in their order.
    """
    values = {interrupt.id: interrupt.value for interrupt in pending}
    waiting = _Waiting(pending)
    by_id: dict[str, Json] = {}
    for answer in answers:
        value = answer_of(answer)
        if answer.interrupt_id in values:
            given = {answer.interrupt_id: value}
        elif isinstance(value, dict) and value and value.keys() <= values.keys():
            given = value
        elif _answers_each(answer, value, waiting):
            given = dict(zip(waiting.ids(), value, strict=True))
        else:
            given = dict.fromkeys(waiting.asking(answer.value) or waiting.ids()[:1], value)
        waiting.answered(given)
        shaped = cancelled_review if answer.cancelled else review_answer
        by_id.update({id_: shaped(values[id_], each) for id_, each in given.items()})
    return by_id


def _answers_each(answer: Resume, value: Json, waiting: _Waiting) -> bool:
    """Return whether an answer is a list of answers: AG-UI's clients are asked several questions in one list."""
    is_list = answer.answer is not msgspec.UNSET and isinstance(value, list) and len(value) == len(waiting) > 1
    return is_list and not waiting.asking(answer.value)


class _Waiting:
    """The interrupts that have no answer yet, by their questions, each of which is read once."""

    def __init__(self, pending: Sequence[Interrupt]) -> None:
        self._pending = {interrupt.id: interrupt for interrupt in pending}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._pending)

    def ids(self) -> list[str]:
        """Return their ids, in order."""
        return list(self._pending)

    @cached_property
    def _by_question(self) -> dict[str, list[str]]:
        """The ids of the interrupts with the same question, the first one last."""
        found: dict[str, list[str]] = {}
        for id_, interrupt in reversed(self._pending.items()):
            found.setdefault(_question(_asked(interrupt)), []).append(id_)
        return found

    def asking(self, question: str) -> list[str]:
        """Return the id of the first interrupt that asks this, if there is one."""
        same = self._by_question.get(_question(question), [])
        while same and same[-1] not in self._pending:
            same.pop()
        return same[-1:]

    def answered(self, ids: Iterable[str]) -> None:
        """Leave these out from now on."""
        for id_ in ids:
            self._pending.pop(id_, None)


def typed_answers(pending: Sequence[Interrupt], new: Sequence[BaseMessage]) -> dict[str, Any]:
    """Return the answers, by interrupt id, that a person gave by a message; none if the messages answer nothing.

    A client shows the question of ``copilotkit_interrupt`` as a message, and its action as an action: what comes
    back is the next message, or the action's result. A review is answered by a word of decision. No message answers
    any other interrupt.

    Args:
        pending: The interrupts that wait.
        new: The messages that the thread does not have yet.
    """
    answers = [message for message in new if isinstance(message, (HumanMessage, ToolMessage))]
    if not answers:
        return {}
    asking = [interrupt for interrupt in pending if asks_by_message(interrupt)]
    if asking:
        return {_addressed(asking, answers[-1]).id: list(new[: list(new).index(answers[-1]) + 1])}
    decided = {each.id: decisions(each.value, answers[-1].content) for each in pending if len(answers) == 1}
    return {} if None in decided.values() else decided


def asks_by_message(interrupt: Interrupt) -> bool:
    """Return whether the client shows the interrupt's question as messages of the chat."""
    return isinstance(interrupt.value, Mapping) and _SDK_VALUE in interrupt.value


def _addressed(asking: Sequence[Interrupt], answer: BaseMessage) -> Interrupt:
    """Return the interrupt whose action has the result ``answer``, else the first one."""
    called = getattr(answer, "tool_call_id", None)
    return next((each for each in asking if called is not None and called in _call_ids(each)), asking[0])


def _call_ids(interrupt: Interrupt) -> set[str]:
    parts = from_langchain(as_langchain(interrupt.value.get(_SDK_MESSAGES)))
    return {part.id for part in parts if isinstance(part, ToolCallMessage)}


def _question(text: str) -> str:
    """Return a question in one spelling: clients may send the JSON of one back as they write JSON."""
    try:
        return json.dumps(json.loads(text, parse_float=_plain_number), sort_keys=True)
    except (ValueError, RecursionError):
        return text


def _plain_number(digits: str) -> float | int:
    """Return what JavaScript writes without a fraction as a whole number."""
    number = float(digits)
    return int(number) if number.is_integer() else number
