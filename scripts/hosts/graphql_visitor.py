"""A client of the first wire, which has no way back into a run: it waits until the thread has what was said."""

from __future__ import annotations

import asyncio
import json
from time import monotonic
from typing import Any

import httpx
from typing_extensions import override

from scripts.hosts.agent import AGENT
from scripts.hosts.visitor import PAUSE_SECONDS, Visitor
from tests.parity.fold import fold
from tests.parity.wire import ACCEPT, PartReader
from tests.support.request_bodies import generate, text_message

_LOAD = "query($data: LoadAgentStateInput!) { loadAgentState(data: $data) { threadExists messages } }"
_SHOWN_BYTES = 200
_GONE_SECONDS = 60.0
"""How long after its run should have ended a client sends its message again, if the thread has nothing of it."""


class NotLoadedError(Exception):
    """A thread could not be loaded."""


class GraphQLVisitor(Visitor):
    """A client that loads the thread again and again once its connection has broken."""

    def __init__(self, client: httpx.AsyncClient, url: str, thread: str, words: int, pace: float) -> None:
        super().__init__(client, url, thread, words, pace)
        self._texts: list[str] = []
        self._end: str | None = None

    @override
    async def _converse(self) -> None:
        while self._end is None:
            if not await self._send():
                await self._wait_for_thread()

    @override
    def faults(self) -> list[str]:
        ended = [] if self._end == "Success" else [f"ended by {self._end}"]
        return [*ended, *self._faults_of(self._texts)]

    @override
    async def stored(self, url: str) -> list[str]:
        try:
            return self._faults_of(await self._load(url))
        except NotLoadedError as error:
            return [str(error)]

    def _faults_of(self, texts: list[str]) -> list[str]:
        if texts == [self._whole]:
            return []
        return [f"shows {len(texts)} messages of {[len(text) for text in texts]} characters"]

    async def _send(self) -> bool:
        """Send the message and read what comes; return whether there is an answer, or certainly none will come."""
        body = generate(text_message(self._asked), agent=AGENT, threadId=self.thread)
        parts: list[Any] = []
        reader = PartReader()
        came = b""
        try:
            async with self._client.stream("POST", self._url, json=body, headers={"accept": ACCEPT}) as response:
                if response.status_code != httpx.codes.OK:
                    self.refusals.append(f"generate {response.status_code}")
                    await asyncio.sleep(PAUSE_SECONDS)
                    return response.status_code == httpx.codes.SERVICE_UNAVAILABLE
                self.connections += 1
                async for chunk in response.aiter_bytes():
                    came = (came + chunk)[:_SHOWN_BYTES]
                    parts += reader.feed(chunk)
                    if b"word" in chunk:
                        self._spoken()
        except httpx.HTTPError as error:
            self.refusals.append(f"generate {type(error).__name__}")
            return False
        if not reader.finished:
            self.refusals.append(f"generate: {came.decode(errors='replace')}")
            return False
        self._show(fold(parts))
        return True

    def _show(self, response: dict[str, Any]) -> None:
        said = [each for each in response["messages"] if each["__typename"] == "TextMessageOutput"]
        self._texts = ["".join(each["content"]) for each in said]
        status = response["status"]
        self._end = "Success" if status["code"] == "Success" else json.dumps(status)

    async def _wait_for_thread(self) -> None:
        """Load the thread until it has an answer; return without one when none can be expected any longer."""
        deadline = monotonic() + self._lasts + _GONE_SECONDS
        while monotonic() < deadline:
            await asyncio.sleep(PAUSE_SECONDS)
            try:
                self._texts = await self._load(self._url)
            except NotLoadedError as error:
                self.refusals.append(str(error))
                continue
            if self._texts:
                self.connections += 1
                self._spoken()
                self._end = "Success"
                return

    async def _load(self, url: str) -> list[str]:
        """Return what the agent has said in the thread.

        Raises:
            NotLoadedError: The answer does not come, or is a refusal.
        """
        data = {"threadId": self.thread, "agentName": AGENT}
        try:
            answer = await self._client.post(url, json={"query": _LOAD, "variables": {"data": data}})
            loaded = answer.raise_for_status().json()
        except httpx.HTTPError as error:
            raise NotLoadedError(f"load {type(error).__name__}") from error
        if not loaded.get("data"):
            raise NotLoadedError(f"load: {loaded['errors'][0]['message']}")
        messages = json.loads(loaded["data"]["loadAgentState"]["messages"])
        return [each["content"] for each in messages if each.get("role") == "assistant" and "content" in each]
