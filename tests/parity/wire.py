"""Answers as they come over HTTP: one JSON document, or the parts of a ``multipart/mixed`` stream."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

BOUNDARY = b"\r\n---"
END = b"--\r\n"
ACCEPT = ", ".join(
    (
        "application/graphql-response+json",
        "application/graphql+json",
        "application/json",
        "text/event-stream",
        "multipart/mixed",
    )
)


class FramingError(ValueError):
    """A stream is not framed as the published client expects it."""


@dataclass
class PartReader:
    """Cuts a stream into parts as the published client does: at the boundary behind a part."""

    finished: bool = False
    _rest: bytes = b""
    _opened: bool = False

    def feed(self, chunk: bytes) -> list[Any]:
        """Takes bytes; gives the parts that they completed.

        Raises:
            FramingError: There are bytes before the first or behind the last boundary, or a wrong length.
        """
        *bodies, self._rest = (self._rest + chunk).split(BOUNDARY)
        if bodies and not self._opened:
            self._opened = True
            if bodies.pop(0):
                raise FramingError("bytes before the first boundary")
        parts = [_part(body) for body in bodies]
        self.finished = self._opened and self._rest == END
        return parts


def _part(body: bytes) -> Any:
    head, _, content = body.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
    if int(headers["Content-Length"]) != len(content):
        raise FramingError(f"Content-Length {headers['Content-Length']} for {len(content)} bytes")
    return json.loads(content)


@dataclass
class Answer:
    """What a server sent: ``complete`` shows whether it came to an end within the time given."""

    status: int
    content_type: str
    parts: list[Any] = field(default_factory=list)
    complete: bool = False


async def ask(client: httpx.AsyncClient, url: str, body: dict[str, Any], patience: float = 10) -> Answer:
    """Sends ``body`` as the published client does; collects the answer for ``patience`` seconds at most."""
    async with client.stream("POST", url, json=body, headers={"accept": ACCEPT}) as response:
        answer = Answer(response.status_code, response.headers.get("content-type", ""))
        try:
            async with asyncio.timeout(patience):
                await _collect(response, answer)
        except TimeoutError:
            return answer
    return answer


async def _collect(response: httpx.Response, answer: Answer) -> None:
    if not answer.content_type.startswith("multipart/mixed"):
        answer.parts.append(json.loads(await response.aread()))
        answer.complete = True
        return
    reader = PartReader()
    async for chunk in response.aiter_bytes():
        answer.parts.extend(reader.feed(chunk))
    answer.complete = reader.finished
