"""A page of the published React client: what it sends with each request, and what it takes over from each answer."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

from tests.parity.fold import fold
from tests.parity.wire import ask
from tests.support.local_server import PATH
from tests.support.request_bodies import CREATED_AT, generate

_LOAD = "query($data: LoadAgentStateInput!) { loadAgentState(data: $data) { threadId threadExists state messages } }"
_SENT = {
    "TextMessageOutput": "textMessage",
    "ActionExecutionMessageOutput": "actionExecutionMessage",
    "ResultMessageOutput": "resultMessage",
}


@dataclass
class ReactPage:
    """One thread with one agent, as react-core 1.10.6 keeps it.

    Every request brings fresh instructions and the whole chat. The last state of a run replaces the chat if it has
    messages, and its node becomes part of the session unless the agent has exited.
    """

    client: httpx.AsyncClient
    agent: str
    thread_id: str = field(default_factory=lambda: str(uuid4()))
    tools: list[dict[str, Any]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    session: dict[str, Any] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def say(self, text: str) -> dict[str, Any]:
        """Sends what the person typed."""
        self.messages.append(_message(str(uuid4()), "textMessage", role="user", content=text))
        return await self._send()

    async def give_result(self, result: str) -> dict[str, Any]:
        """Sends the result of the frontend tool that was called last."""
        call = next(m for m in reversed(self.messages) if "actionExecutionMessage" in m)
        name = call["actionExecutionMessage"]["name"]
        content = {"actionExecutionId": call["id"], "actionName": name, "result": result}
        self.messages.append(_message(f"result-{call['id']}", "resultMessage", **content))
        return await self._send()

    async def answer(self, response: str) -> dict[str, Any]:
        """Sends the answer to the question that was asked last."""
        asked = [{"name": one["name"], "value": one["value"], "response": response} for one in self.asked]
        return await self._send(metaEvents=asked)

    async def reload(self) -> list[dict[str, Any]]:
        """Loads the thread as a fresh page does; returns its messages."""
        data = {"threadId": self.thread_id, "agentName": self.agent}
        answer = await self.client.post(PATH, json={"query": _LOAD, "variables": {"data": data}})
        loaded = answer.json()["data"]["loadAgentState"]
        self.session, self.state = {}, json.loads(loaded["state"])
        self.messages = _chat(json.loads(loaded["messages"]))
        return list(json.loads(loaded["messages"]))

    def texts(self) -> list[str]:
        """Returns the chat's texts."""
        return [m["textMessage"]["content"] for m in self.messages if "textMessage" in m]

    async def _send(self, **more: Any) -> dict[str, Any]:
        instructions = _message(str(uuid4()), "textMessage", role="system", content="Be brief.")
        body = generate(
            instructions,
            *self.messages,
            threadId=self.thread_id,
            frontend={"actions": self.tools},
            agentSession={"agentName": self.agent, **self.session},
            agentStates=[{"agentName": self.agent, "state": json.dumps(self.state)}],
            **more,
        )
        answer = await ask(self.client, PATH, body, 60)
        assert answer.complete
        response: dict[str, Any] = fold(answer.parts)
        self._show(response)
        return response

    def _show(self, response: dict[str, Any]) -> None:
        self.asked = response["metaEvents"]
        states = [m for m in response["messages"] if m["__typename"] == "AgentStateMessageOutput"]
        self.messages += [_again(m) for m in response["messages"] if m["__typename"] in _SENT]
        if not states:
            return
        last = states[-1]
        self.state = json.loads(last["state"])
        synced = self.state.pop("messages", None)
        if synced:
            self.messages = _chat(synced)
        self.session = {"nodeName": last["nodeName"]} if last["running"] else {}


def _chat(loaded: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages of a synchronised state, distinguished by the keys that they have."""
    chat = []
    for message in loaded:
        if "content" in message:
            said = {"role": message["role"], "content": message["content"]}
            chat.append(_message(message["id"], "textMessage", **said, **_parent(message)))
        elif "arguments" in message:
            call = {"name": message["name"], "arguments": json.dumps(message["arguments"])}
            chat.append(_message(message["id"], "actionExecutionMessage", **call, **_parent(message)))
        elif "result" in message:
            keys = ("actionExecutionId", "actionName", "result")
            chat.append(_message(message["id"], "resultMessage", **{key: message[key] for key in keys}))
    return chat


def _again(shown: dict[str, Any]) -> dict[str, Any]:
    match shown["__typename"]:
        case "TextMessageOutput":
            content = {"role": shown["role"], "content": "".join(shown["content"]), **_parent(shown)}
        case "ActionExecutionMessageOutput":
            content = {"name": shown["name"], "arguments": "".join(shown["arguments"]), **_parent(shown)}
        case _:
            content = {key: shown[key] for key in ("actionExecutionId", "actionName", "result")}
    return _message(shown["id"], _SENT[shown["__typename"]], **content)


def _parent(message: dict[str, Any]) -> dict[str, Any]:
    return {} if message.get("parentMessageId") is None else {"parentMessageId": message["parentMessageId"]}


def _message(id_: str, kind: str, **content: Any) -> dict[str, Any]:
    return {"id": id_, "createdAt": CREATED_AT, kind: content}
