"""The page of the published client: it sends the whole conversation again, with what the last answer left it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from tests.parity.fold import fold, view
from tests.parity.langgraph.scenarios import Respond, Return, Say, Turn
from tests.parity.scenarios import MOMENT, request_data
from tests.parity.scenarios import Scenario as Request
from tests.parity.wire import Answer, ask

if TYPE_CHECKING:
    import httpx

_STATE = "AgentStateMessageOutput"
_PATIENCE = 30.0


@dataclass
class Page:
    """One thread with one agent on the runtime at ``url``.

    Its thread's id is a UUID, as a LangGraph server wants it, and the same in each recording.
    """

    client: httpx.AsyncClient
    url: str
    agent: str
    name: str
    said: int = 0
    messages: list[dict[str, Any]] = field(default_factory=list)
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def take(self, turn: Turn) -> tuple[dict[str, Any], Answer]:
        """Takes a turn; gives what was sent as ``data``, and the answer, which the page then shows."""
        data = self._data(turn)
        answer = await ask(self.client, self.url, Request(self.name, "agent", data).body, _PATIENCE)
        self._show(view(fold(answer.parts)))
        return data, answer

    def _data(self, turn: Turn) -> dict[str, Any]:
        answers = []
        match turn:
            case Say(text=text):
                self.said += 1
                self.messages.append(_message(f"user-{self.said}", "textMessage", role="user", content=text))
            case Return(result=result):
                self.messages.append(_result(self.messages[-1], result))
            case Respond(response=response):
                answers = [
                    {"name": event["name"], "value": event["value"], "response": response} for event in self.asked
                ]
        return {
            **request_data("", str(uuid5(NAMESPACE_URL, self.name))),
            "messages": list(self.messages),
            "metaEvents": answers,
            "agentSession": self._session(),
            "agentStates": [_state(state) for state in self.states.values()],
        }

    def _session(self) -> dict[str, Any]:
        last = self.states.get(self.agent)
        return {"agentName": self.agent, **({"nodeName": last["nodeName"]} if last and last["running"] else {})}

    def _show(self, end: dict[str, Any]) -> None:
        for message in end["messages"]:
            if message["__typename"] == _STATE:
                self.states[message["agentName"]] = message
            else:
                self.messages.append(_again(message))
        self.asked = end["metaEvents"]


def _state(shown: dict[str, Any]) -> dict[str, Any]:
    return {"agentName": shown["agentName"], "state": json.dumps(shown["state"])}


def _message(id_: str, kind: str, **content: Any) -> dict[str, Any]:
    return {"id": id_, "createdAt": MOMENT, kind: content}


def _result(call: dict[str, Any], result: str) -> dict[str, Any]:
    name = call["actionExecutionMessage"]["name"]
    content = {"actionExecutionId": call["id"], "actionName": name, "result": result}
    return _message(f"result-of-{call['id']}", "resultMessage", **content)


_SENT_AGAIN = {
    "TextMessageOutput": ("textMessage", ("role", "content", "parentMessageId")),
    "ActionExecutionMessageOutput": ("actionExecutionMessage", ("name", "arguments", "parentMessageId")),
    "ResultMessageOutput": ("resultMessage", ("actionExecutionId", "actionName", "result")),
}


def _again(message: dict[str, Any]) -> dict[str, Any]:
    kind, keys = _SENT_AGAIN[message["__typename"]]
    return _message(message["id"], kind, **{key: message[key] for key in keys})
