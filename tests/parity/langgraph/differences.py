"""Where a LangGraph agent ends a turn otherwise here than behind the TypeScript runtime, on purpose, and why.

A turn is named by its scenario and its number in it, from 1.
"""

from __future__ import annotations

from typing import Any

from tests.parity.differences import ABSENT, Difference

_SUCCESS = {"code": "Success", "__typename": "SuccessResponseStatus"}
_MESSAGE_SUCCESS = {"code": "Success", "__typename": "SuccessMessageStatus"}
_OWN_KEY = "the page's own tools and context, which the graph keeps under `copilotkit`, are no state to send it back"
_RETURNED = "a message that a node returns without streaming it is shown, not kept in the state alone"


def _text(id_: str, content: str) -> dict[str, Any]:
    return {
        "__typename": "TextMessageOutput",
        "id": id_,
        "content": content,
        "role": "assistant",
        "parentMessageId": None,
        "status": _MESSAGE_SUCCESS,
    }


def _call(id_: str, parent: str) -> dict[str, Any]:
    return {
        "__typename": "ActionExecutionMessageOutput",
        "id": id_,
        "name": "setColor",
        "arguments": '{"color": "red"}',
        "parentMessageId": parent,
        "status": _MESSAGE_SUCCESS,
    }


def _written(call_id: str) -> dict[str, Any]:
    return {
        "__typename": "ResultMessageOutput",
        "id": f"result-{call_id}",
        "result": "written",
        "actionExecutionId": call_id,
        "actionName": "write_report",
        "status": _MESSAGE_SUCCESS,
    }


def _said(id_: str, content: str) -> dict[str, Any]:
    return {"id": id_, "role": "user", "content": content}


DIFFERENCES = (
    Difference("*[!d].?", _OWN_KEY, {"messages.0.state.copilotkit": ABSENT}),
    Difference("interrupt-ignored.1", _OWN_KEY, {"messages.0.state.copilotkit": ABSENT}),
    Difference(
        "tool-call-behind-text.1",
        "a tool call that follows text in one message is shown; the original takes its first chunk for the text's end",
        {"messages.2": _call("call-of-answer-1", "answer-1")},
    ),
    Difference(
        "state*.1",
        "a tool result that a node returns is shown, as is one that a tool node returns",
        {"messages.3": _written("call-of-answer-2")},
    ),
    Difference(
        "state*.2",
        "a tool result that a node returns is shown, as is one that a tool node returns",
        {"messages.3": _written("call-of-answer-6")},
    ),
    Difference("interrupt.3", _RETURNED, {"messages.1": _text("chosen-1", 'Ada chose "red"')}),
    Difference(
        "interrupt-answered-with-json.3",
        f"an answer that is JSON text of an object reaches the graph as that object; {_RETURNED}",
        {
            "messages.0.state.messages.1.content": 'Ada chose {"colour": "red"}',
            "messages.1": _text("chosen-1", 'Ada chose {"colour": "red"}'),
        },
    ),
    Difference(
        "interrupt-ignored.2",
        "a message in place of an answer reaches the graph, which asks again; the original refuses its own events",
        {
            "status": _SUCCESS,
            "messages.0.active": False,
            "messages.0.state": {"messages": [_said("user-1", "Go"), _said("user-2", "Never mind")]},
        },
    ),
)
