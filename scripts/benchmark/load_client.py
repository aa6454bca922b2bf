"""Many streams at once, each counted as it comes and none kept."""

from __future__ import annotations

import asyncio
import json
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from scripts.benchmark.load_app import MARK, speech_id, speech_of
from tests.parity.scenarios import DOCUMENT, OPERATION, request_data
from tests.parity.wire import ACCEPT

TURNS_OF_A_THREAD = 10
"""After how many turns a conversation goes on with a fresh thread."""
_MARK = MARK.encode()
_TAIL = 4096
_SUCCESS = b'"code":"Success"'
_END = b"\r\n0\r\n\r\n"


@dataclass
class Speech(asyncio.Protocol):
    """One stream: ``words`` have come, the first ``first_word`` seconds after it was asked for.

    ``lags`` has for each word when it came, in seconds behind the moment that its pace gives it.
    """

    request: bytes
    expected: int
    pace: float
    words: int = 0
    first_word: float = 0.0
    longest_pause: float = 0.0
    lags: array[float] = field(default_factory=lambda: array("f"))
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _asked: float = 0.0
    _last: float = 0.0
    _tail: bytes = b""

    def connection_made(self, transport: Any) -> None:
        """Send the request."""
        self._transport = transport
        self._asked = time.perf_counter()
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Count."""
        present = time.perf_counter()
        found = data.count(_MARK)
        if found:
            if self.words:
                self.longest_pause = max(self.longest_pause, present - self._last)
            else:
                self.first_word = present - self._asked
            for number in range(self.words, self.words + found):
                self.lags.append(present - self._asked - number * self.pace)
            self.words += found
            self._last = present
        self._tail = (self._tail + data)[-_TAIL:]
        if self._tail.endswith(_END):
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self.ended.set()

    @property
    def took(self) -> float:
        """For how long its words came, in seconds behind the request."""
        return self._last - self._asked

    @property
    def failed(self) -> bool:
        """Whether a word is missing, or the answer has no good end."""
        return self.words != self.expected or _SUCCESS not in self._tail or not self._tail.endswith(_END)


def added_delays(speeches: Sequence[Speech]) -> list[float]:
    """Return by how many seconds each word came later than the most punctual one of its stream."""
    return [lag - first for speech in speeches if speech.lags for first in (min(speech.lags),) for lag in speech.lags]


def request(url: str, thread_id: str, words: int, pace: float, earlier: int = 0) -> bytes:
    """Return the bytes that ask for a stream, after so many earlier turns on the thread."""
    place = urlsplit(url)
    data = request_data(json.dumps({"words": words, "pace": pace}), thread_id)
    (asked,) = data["messages"]
    data["messages"] = [message for turn in range(earlier) for message in _turn(asked, turn, words)]
    data["messages"].append({**asked, "id": f"user-{earlier}"})
    variables = {"data": data | {"agentSession": {"agentName": "speaker"}}, "properties": {}}
    query = {"operationName": OPERATION, "query": DOCUMENT.read_text(encoding="utf-8"), "variables": variables}
    body = json.dumps(query).encode()
    head = (
        f"POST {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nAccept: {ACCEPT}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _turn(asked: dict[str, Any], turn: int, words: int) -> list[dict[str, Any]]:
    """Return a turn's two messages as the client sends them with the next one."""
    said = {"role": "assistant", "content": speech_of(words)}
    answer = {"id": speech_id(2 * turn + 1), "createdAt": asked["createdAt"], "textMessage": said}
    return [{**asked, "id": f"user-{turn}"}, answer]


def _same(speech: Speech) -> Speech:
    return speech


async def wave(url: str, streams: int, words: int, pace: float, threads: str = "load") -> list[Speech]:
    """Open ``streams`` streams within two seconds, each on its thread, and wait until all have ended."""
    place = urlsplit(url)
    host, port = place.hostname or "", place.port or 80
    loop = asyncio.get_running_loop()
    speeches = [Speech(request(url, f"{threads}-{number}", words, pace), words, pace) for number in range(streams)]
    for speech in speeches:
        await loop.create_connection(partial(_same, speech), host, port)
        await asyncio.sleep(2 / streams)
    async with asyncio.timeout(words * pace * 3 + 60):
        await asyncio.gather(*(speech.ended.wait() for speech in speeches))
    return speeches


async def talks(url: str, streams: int, turns: int, words: int, pace: float) -> list[Speech]:
    """Hold ``streams`` conversations at once, begun within two seconds; return what was said in all their turns.

    They begin where others had got to by then, so that they are not all long at the same time.
    """
    talking: list[asyncio.Task[list[Speech]]] = []
    async with asyncio.TaskGroup() as group:
        for number in range(streams):
            talking.append(group.create_task(_talk(url, number, turns, words, pace)))
            await asyncio.sleep(2 / streams)
    return [speech for talk in talking for speech in talk.result()]


async def _talk(url: str, number: int, turns: int, words: int, pace: float) -> list[Speech]:
    place, loop = urlsplit(url), asyncio.get_running_loop()
    said: list[Speech] = []
    first = number % TURNS_OF_A_THREAD if turns > 1 else 0
    for turn in range(first, first + turns):
        thread, earlier = divmod(turn, TURNS_OF_A_THREAD)
        speech = Speech(request(url, f"load-{number}-{thread}", words, pace, earlier), words, pace)
        async with asyncio.timeout(words * pace * 3 + 60):
            await loop.create_connection(partial(_same, speech), place.hostname or "", place.port or 80)
            await speech.ended.wait()
        speech.request, speech.lags = b"", array("f")
        said.append(speech)
    return said
