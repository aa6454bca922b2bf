"""HTTP clients that report requests whose answer will never come: the library leaves such calls waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

import msgspec

SESSION_HEADER = "mcp-session-id"
RESUME_HEADER = "last-event-id"
RESUME_SECONDS = 5.0
"""How long the library may take to resume a broken stream of events with ids."""

# A server that was restarted does not know the session: 404 by the protocol, 400 or 410 by some.
_SESSION_UNKNOWN = frozenset({400, 404, 410})
_EVENT_STREAM = "text/event-stream"
_ID_LINE = b"\nid:"

OnLoss: TypeAlias = Callable[[str | None, bool], None]
"""Called with the mark of the call that was lost, or None for a stream that all calls share; and with whether the call
may have been executed."""


def watched_client(httpx: Any, on_loss: OnLoss, mark_key: str, **settings: Any) -> Any:
    """Return an ``AsyncClient`` that reports losses.

    Args:
        httpx: The package of which the library takes a client.
        on_loss: Called for each loss.
        mark_key: The key in a call's ``_meta`` under which its mark is.
        settings: The client's.
    """
    watch = _Watch(on_loss, mark_key)
    stream_class = _watched_stream(httpx)

    class WatchedClient(httpx.AsyncClient):  # type: ignore[misc]
        """A client whose lost requests are reported."""

        async def send(self, request: Any, **options: Any) -> Any:
            try:
                response = await super().send(request, **options)
            except httpx.TransportError as error:
                watch.failed(request, delivered=not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout))
                raise
            if watch.answered(request, response):
                response.stream = stream_class(response.stream, lambda resumable: watch.ended(request, resumable))
            return response

    return WatchedClient(**settings)


def _watched_stream(httpx: Any) -> Any:
    class WatchedStream(httpx.AsyncByteStream):  # type: ignore[misc]
        """A stream that reports its end, unless it is closed before: the library does so once it has its answer."""

        def __init__(self, stream: Any, ended: Callable[[bool], None]) -> None:
            self._stream = stream
            self._ended = ended

        async def __aiter__(self) -> AsyncIterator[bytes]:
            resumable, tail = False, b"\n"
            try:
                async for piece in self._stream:
                    resumable = resumable or _ID_LINE in tail + piece
                    tail = piece[-len(_ID_LINE) :]
                    yield piece
            except httpx.TransportError:
                self._ended(resumable)
                raise
            self._ended(resumable)

        async def aclose(self) -> None:
            await self._stream.aclose()

    return WatchedStream


class _Watch:
    """Finds out from one connection's requests and answers which calls are lost."""

    def __init__(self, on_loss: OnLoss, mark_key: str) -> None:
        self._on_loss = on_loss
        self._mark_key = mark_key
        self._resuming: list[asyncio.TimerHandle] = []

    def failed(self, request: Any, *, delivered: bool) -> None:
        """Report a request that got no answer."""
        if request.method == "POST":
            self._on_loss(self._mark_of(request), delivered)

    def answered(self, request: Any, response: Any) -> bool:
        """Report a request that was refused, and return whether the answer is a stream whose end matters."""
        if request.method == "POST" and response.is_error:
            unknown = response.status_code in _SESSION_UNKNOWN and _names_session(request)
            self._on_loss(self._mark_of(request), not unknown)
            return False
        if response.is_success and RESUME_HEADER in request.headers:
            for timer in self._resuming:
                timer.cancel()
            self._resuming.clear()
        # Calls wait for their own stream, or for the only one that an SSE server has.
        awaited = request.method == "POST" or SESSION_HEADER not in request.headers
        return awaited and response.headers.get("content-type", "").startswith(_EVENT_STREAM)

    def ended(self, request: Any, resumable: bool) -> None:
        """Report a stream that ended before its answer, at once or when it was not resumed in time."""
        mark = self._mark_of(request)
        if resumable:
            timer = asyncio.get_running_loop().call_later(RESUME_SECONDS, self._on_loss, mark, True)
            self._resuming.append(timer)
        else:
            self._on_loss(mark, True)

    def _mark_of(self, request: Any) -> str | None:
        if request.method != "POST":
            return None
        try:
            return str(msgspec.json.decode(request.content)["params"]["_meta"][self._mark_key])
        except (msgspec.DecodeError, KeyError, TypeError):
            return ""


def _names_session(request: Any) -> bool:
    return SESSION_HEADER in request.headers or "session_id" in request.url.params
