"""A client with one thread: it starts a run, reads it, and finds it again where the connection breaks."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from time import monotonic
from typing import Any

import httpx
from msgspec import Struct
from typing_extensions import override

from scripts.hosts.agent import AGENT, word
from tests.support.agui_client import run_input, user

PAUSE_SECONDS = 0.5


class Seen(Struct):
    """What one stream has shown."""

    texts: dict[str, str] = {}
    runs: list[str] = []
    """The runs that began in it, by id."""
    ends: list[str] = []
    faults: list[str] = []
    """What a client would show twice or lose."""

    def take(self, event: Mapping[str, Any]) -> bool:
        """Fold an event; return whether it is a word of a message."""
        match event["type"]:
            case "RUN_STARTED":
                self.runs.append(event["runId"])
            case "TEXT_MESSAGE_START":
                if event["messageId"] in self.texts:
                    self.faults.append("a message began twice")
                self.texts[event["messageId"]] = ""
            case "TEXT_MESSAGE_CONTENT":
                self.texts[event["messageId"]] += event["delta"]
                return True
            case "RUN_FINISHED" | "RUN_ERROR":
                self.ends.append(" ".join(str(event.get(key, "")) for key in ("type", "code", "message")).strip())
        return False


class Visitor(ABC):
    """A client with a thread of its own, for one run.

    Args:
        client: Its connections.
        url: Where it sends requests.
        thread: The thread.
        words: How many words it asks for.
        pace: Seconds between them.
    """

    def __init__(self, client: httpx.AsyncClient, url: str, thread: str, words: int, pace: float) -> None:
        self.thread = thread
        self.first_word: float | None = None
        self.longest_pause = 0.0
        self.connections = 0
        self.speaking = asyncio.Event()
        """Set when the first word has come."""
        self.refusals: list[str] = []
        self._client = client
        self._url = url
        self._asked = json.dumps({"words": words, "pace": pace})
        self._lasts = words * pace
        self._whole = "".join(word(number) for number in range(words))
        self._began = self._last = monotonic()

    async def converse(self) -> None:
        """Start the run, and follow it to its end over as many connections as it takes."""
        self._began = self._last = monotonic()
        await self._converse()

    @abstractmethod
    async def _converse(self) -> None: ...

    @abstractmethod
    def faults(self) -> list[str]:
        """Return what is wrong with what was shown at the end."""

    @abstractmethod
    async def stored(self, url: str) -> list[str]:
        """Return what is wrong with what a web process has of the thread."""

    def _spoken(self) -> None:
        """Note that words have come."""
        present = monotonic()
        if self.first_word is None:
            self.first_word = present - self._began
            self.speaking.set()
        else:
            self.longest_pause = max(self.longest_pause, present - self._last)
        self._last = present


class AGUIVisitor(Visitor):
    """A client that joins its run again, and is shown it from its beginning."""

    def __init__(self, client: httpx.AsyncClient, url: str, thread: str, words: int, pace: float) -> None:
        super().__init__(client, url, thread, words, pace)
        self.run = f"run-{thread}"
        self.seen = Seen()
        """What the last stream has shown."""

    @override
    async def _converse(self) -> None:
        body = run_input(user(self._asked), thread=self.thread, run=self.run)
        await self._read("run", body)
        while not self._over:
            await asyncio.sleep(PAUSE_SECONDS)
            answered = await self._read("connect", run_input(thread=self.thread, run="c"))
            if answered and self._is_unknown:  # who finds no run sends the message again
                await self._read("run", body)

    @property
    def _is_unknown(self) -> bool:
        failed = any(end.startswith("RUN_ERROR") for end in self.seen.ends)
        return self.run not in self.seen.runs and not failed

    @property
    def _over(self) -> bool:
        return self.run in self.seen.runs and bool(self.seen.ends)

    @override
    def faults(self) -> list[str]:
        return [*self.seen.faults, *faults_of(self.seen, self.run, self._whole)]

    @override
    async def stored(self, url: str) -> list[str]:
        reader = AGUIVisitor(self._client, url, self.thread, 0, 0)
        await reader._read("connect", run_input(thread=self.thread, run="c"))
        return [*reader.refusals, *reader.seen.faults, *faults_of(reader.seen, self.run, self._whole)]

    async def _read(self, method: str, body: dict[str, Any]) -> bool:
        self.seen = Seen()
        try:
            async with self._client.stream("POST", f"{self._url}/agent/{AGENT}/{method}", json=body) as response:
                if response.status_code != 200:
                    self.refusals.append(f"{method} {response.status_code}")
                    return False
                self.connections += 1
                async for line in response.aiter_lines():
                    if line.startswith("data: "):
                        self._take(json.loads(line.removeprefix("data: ")))
        except httpx.HTTPError as error:
            self.refusals.append(f"{method} {type(error).__name__}")
            return False
        return True

    def _take(self, event: dict[str, Any]) -> None:
        if self.seen.take(event):
            self._spoken()


def faults_of(seen: Seen, run: str, whole: str) -> list[str]:
    """Return what is wrong with a stream that should show a run once, from its beginning to its good end."""
    found = []
    if seen.runs.count(run) != 1:
        found.append(f"the run began {seen.runs.count(run)} times")
    if seen.ends[-1:] != ["RUN_FINISHED"]:
        found.append(f"ended by {seen.ends}")
    if list(seen.texts.values()) != [whole]:
        found.append(f"shows {len(seen.texts)} messages of {[len(text) for text in seen.texts.values()]} characters")
    return found
