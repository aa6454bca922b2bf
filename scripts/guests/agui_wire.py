"""A conversation over AG-UI, as ``HttpAgent`` holds it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import jsonpatch

from scripts.guests.conversation import (
    STOP_SECONDS,
    TOOL,
    TOOL_DESCRIPTION,
    TOOL_PARAMETERS,
    TURN_SECONDS,
    Conversation,
    Turn,
)
from tests.support.local_server import PATH

_TOOL = {"name": TOOL, "description": TOOL_DESCRIPTION, "parameters": TOOL_PARAMETERS}


class AGUIConversation(Conversation):
    """A client that keeps the thread's messages and the agent's state, and sends them with each run."""

    def __init__(self, client: httpx.AsyncClient, agent: str) -> None:
        self._client = client
        self._place = f"{PATH}/agent/{agent}"
        self._thread_id = str(uuid4())
        self._messages: list[dict[str, Any]] = []
        self._state: dict[str, Any] = {}
        self._asked: list[Any] = []

    async def say(self, text: str) -> Turn:
        """Send a user's message."""
        self._messages.append({"id": str(uuid4()), "role": "user", "content": text})
        return await self._run()

    async def give_result(self, result: str) -> Turn:
        """Send the result of the tool that was called last."""
        call = [call for message in self._messages for call in message.get("toolCalls", ())][-1]
        self._messages.append({"id": str(uuid4()), "role": "tool", "content": result, "toolCallId": call["id"]})
        return await self._run()

    async def answer(self, response: str) -> Turn:
        """Send the answer to the agent's question."""
        return await self._run(forwardedProps={"command": {"resume": response, "interruptEvent": self._asked[-1]}})

    async def stop_midway(self, text: str) -> None:
        """Stop the run once the agent speaks.

        Raises:
            RuntimeError: The run ended before.
            TimeoutError: It does not end.
        """
        self._messages.append({"id": str(uuid4()), "role": "user", "content": text})
        async with asyncio.timeout(TURN_SECONDS):
            events = self._events("run", self._input())
            async for event in events:
                if "on and on" in event.get("delta", ""):
                    break
            else:
                raise RuntimeError("the run ended before it could be stopped")
            stopped = await self._client.post(f"{self._place}/stop/{self._thread_id}")
            stopped.raise_for_status()
            async with asyncio.timeout(STOP_SECONDS):
                async for _ in events:
                    pass

    async def reload(self) -> list[str]:
        """Return the thread's texts as a fresh client sees them."""
        fresh = _Chat([])
        async with asyncio.timeout(TURN_SECONDS):
            async for event in self._events("connect", {**self._input(), "messages": [], "state": {}}):
                fresh.take(event)
        return [message["content"] for message in fresh.messages if message.get("content")]

    def _input(self, **more: Any) -> dict[str, Any]:
        run = {"threadId": self._thread_id, "runId": str(uuid4()), "messages": self._messages, "state": self._state}
        return {**run, "tools": [_TOOL], "context": [], "forwardedProps": {}, **more}

    async def _events(self, verb: str, body: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        async with self._client.stream("POST", f"{self._place}/{verb}", json=body) as response:
            if response.status_code != 200:
                raise RuntimeError(f"{response.status_code}: {(await response.aread())[:200]!r}")
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))

    async def _run(self, **more: Any) -> Turn:
        chat = _Chat(self._messages, self._state)
        async with asyncio.timeout(TURN_SECONDS):
            async for event in self._events("run", self._input(**more)):
                chat.take(event)
        self._messages, self._state, self._asked = chat.messages, chat.state, chat.turn.asked
        return chat.turned()


class _Chat:
    """The messages and the state of a thread while the events of a run come in."""

    def __init__(self, messages: list[dict[str, Any]], state: dict[str, Any] | None = None) -> None:
        self.messages = [*messages]
        self.state = state or {}
        self.turn = Turn()
        self._pieces: dict[str, int] = {}
        self._said: dict[str, dict[str, Any]] = {}
        self._called: dict[str, dict[str, Any]] = {}

    def take(self, event: dict[str, Any]) -> None:
        """Take the next event over."""
        match event["type"]:
            case "TEXT_MESSAGE_START":
                self._begin(event["messageId"], event.get("role", "assistant"))
            case "TEXT_MESSAGE_CONTENT":
                self._say(event["messageId"], event["delta"])
            case "TOOL_CALL_START":
                self._call(event)
            case "TOOL_CALL_ARGS":
                self._called[event["toolCallId"]]["function"]["arguments"] += event["delta"]
            case "TOOL_CALL_RESULT":
                result = {"id": event["messageId"], "role": "tool", "content": event["content"]}
                self.messages.append({**result, "toolCallId": event["toolCallId"]})
            case "MESSAGES_SNAPSHOT":
                self.messages = event["messages"]
            case _:
                self._take_other(event)

    def _take_other(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "RUN_STARTED":
                # What a run was given is how a fresh client comes to know what the user said.
                known = {message["id"] for message in self.messages}
                given = (event.get("input") or {}).get("messages", ())
                self.messages += [message for message in given if message["id"] not in known]
            case "STATE_SNAPSHOT":
                self.state = event["snapshot"] or {}
            case "STATE_DELTA":
                self.state = jsonpatch.apply_patch(self.state, event["delta"])
            case "CUSTOM" if event["name"] == "on_interrupt":
                self.turn.asked.append(event["value"])
            case "RUN_ERROR":
                self.turn.fault = event["message"]

    def turned(self) -> Turn:
        """Return what the client saw of the run."""
        spoken = [message for message in self._said.values() if message["role"] == "assistant"]
        self.turn.texts = [message["content"] for message in spoken if message.get("content")]
        self.turn.pieces = max(self._pieces.values(), default=0)
        called = [call["function"] for call in self._called.values()]
        self.turn.calls = [(call["name"], json.loads(call["arguments"] or "{}")) for call in called]
        self.turn.state = self.state
        return self.turn

    def _begin(self, message_id: str, role: str) -> dict[str, Any]:
        if message_id not in self._said:
            self._said[message_id] = {"id": message_id, "role": role, "content": ""}
            self.messages.append(self._said[message_id])
        return self._said[message_id]

    def _say(self, message_id: str, delta: str) -> None:
        self._said[message_id]["content"] += delta
        self._pieces[message_id] = self._pieces.get(message_id, 0) + 1

    def _call(self, event: dict[str, Any]) -> None:
        function = {"name": event["toolCallName"], "arguments": ""}
        call = {"id": event["toolCallId"], "type": "function", "function": function}
        self._called[call["id"]] = call
        message = self._begin(event.get("parentMessageId") or event["toolCallId"], "assistant")
        message.setdefault("toolCalls", []).append(call)
