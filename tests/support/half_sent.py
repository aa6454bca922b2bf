"""A request of which only a part has been sent."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx

from tests.support.polling import until

_SENT_FIRST = 10


class HalfSent:
    """A request whose server has its head and the beginning of its body.

    Args:
        url: Where it is sent.
        body: What its body says.
        accept: What its client accepts.
    """

    def __init__(self, url: str, body: dict[str, Any], accept: str = "*/*") -> None:
        self._url = httpx.URL(url)
        self._body = json.dumps(body).encode()
        self._accept = accept

    async def begin(self) -> None:
        """Send the first part."""
        self._reader, self._writer = await asyncio.open_connection(self._url.host, self._url.port)
        head = [
            f"POST {self._url.path} HTTP/1.1",
            "Host: here",
            f"Accept: {self._accept}",
            "Content-Type: application/json",
            f"Content-Length: {len(self._body)}",
        ]
        self._writer.write("\r\n".join([*head, "", ""]).encode() + self._body[:_SENT_FIRST])
        await self._writer.drain()
        await until(self._is_up, 30)  # what was sent before has come by then

    async def complete(self) -> str:
        """Send the rest once the server takes no more connections; return the whole answer."""
        await until(self._is_down, 30)
        self._writer.write(self._body[_SENT_FIRST:])
        try:
            return (await asyncio.wait_for(self._reader.read(), 60)).decode()
        finally:
            self._writer.close()

    async def _is_up(self) -> bool:
        async with httpx.AsyncClient() as client:
            answer = await client.options(self._url)
        return answer.status_code < 500

    async def _is_down(self) -> bool:
        try:
            return not await self._is_up()
        except httpx.TransportError:
            return True
