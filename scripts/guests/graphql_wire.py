"""A conversation over GraphQL, as the published React client holds it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx

from scripts.guests.conversation import TOOL, TOOL_DESCRIPTION, TOOL_PARAMETERS, TURN_SECONDS, Conversation, Turn
from tests.parity.wire import ACCEPT
from tests.support.local_server import PATH
from tests.support.react_page import ReactPage
from tests.support.request_bodies import generate, text_message

_ACTION = {"name": TOOL, "description": TOOL_DESCRIPTION, "jsonSchema": json.dumps(TOOL_PARAMETERS)}


class GraphQLConversation(Conversation):
    """A client like react-core 1.10.6."""

    def __init__(self, client: httpx.AsyncClient, agent: str) -> None:
        self._client = client
        self._page = ReactPage(client, agent, tools=[_ACTION])

    async def say(self, text: str) -> Turn:
        """Send a user's message."""
        return self._turn(await self._page.say(text))

    async def give_result(self, result: str) -> Turn:
        """Send the result of the tool that was called last."""
        return self._turn(await self._page.give_result(result))

    async def answer(self, response: str) -> Turn:
        """Send the answer to the agent's question."""
        return self._turn(await self._page.answer(response))

    async def stop_midway(self, text: str) -> None:
        """Stop the run once the agent speaks.

        Raises:
            RuntimeError: The run ended before.
            TimeoutError: It does not end.
        """
        # The client's stop button closes the request.
        body = generate(text_message(text), agent=self._page.agent, threadId=self._page.thread_id)
        headers = {"accept": ACCEPT}
        async with asyncio.timeout(TURN_SECONDS), self._client.stream("POST", PATH, json=body, headers=headers) as sent:
            seen = ""
            async for piece in sent.aiter_text():
                seen += piece
                if "on and on" in seen:
                    return
        raise RuntimeError("the run ended before it could be stopped")

    async def reload(self) -> list[str]:
        """Return the thread's texts as a fresh client sees them."""
        await self._page.reload()
        return self._page.texts()

    def _turn(self, response: dict[str, Any]) -> Turn:
        messages = response["messages"]
        texts = [m["content"] for m in messages if m["__typename"] == "TextMessageOutput" and m["role"] == "assistant"]
        calls = [m for m in messages if m["__typename"] == "ActionExecutionMessageOutput"]
        status = response.get("status") or {}
        return Turn(
            texts=["".join(content) for content in texts],
            pieces=max(map(len, texts), default=0),
            calls=[(call["name"], json.loads("".join(call["arguments"]) or "{}")) for call in calls],
            state=self._page.state,
            asked=response["metaEvents"],
            fault=None if status.get("code") == "Success" else json.dumps(status)[:300],
        )
