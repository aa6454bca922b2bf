"""HTTP clients that report requests whose answer will never come: the library leaves such calls waiting."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, TypeAlias

import msgspec

from ..answers import MAX_ANSWER_BYTES, UNCOMPRESSED, compression_of

SESSION_HEADER = "mcp-session-id"
RESUME_HEADER = "last-event-id"
RESUME_SECONDS = 5.0
"""How long the library may take to resume a broken stream of events with ids."""

# A server that was restarted does not know the session: 404 by the protocol, 400 or 410 by some.
_SESSION_UNKNOWN = frozenset({400, 404, 410})
_EVENT_STREAM = "text/event-stream"
_ID_LINE = b"\nid:"
_EVENT_END = re.compile(rb"\n\r?\n|\r\r")

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
            if compression_of(response.headers) is not None:
                await response.aclose()
                watch.failed(request, delivered=True)
                raise httpx.RemoteProtocolError("The answer is compressed, for which nobody asked.", request=request)
            is_stream = _is_event_stream(response)
            awaited = watch.answered(request, response)
            ended = partial(watch.ended, request) if awaited else _nobody_waits
            response.stream = stream_class(response.stream, ended, ends_whole=not is_stream)
            return response

    return WatchedClient(**{**settings, "headers": {**UNCOMPRESSED, **(settings.get("headers") or {})}})


def _watched_stream(httpx: Any) -> Any:
    class WatchedStream(httpx.AsyncByteStream):  # type: ignore[misc]
        """A stream of bounded events, or a bounded body, that reports when it is lost.

        The library closes a stream of events once it has its answer; one that ends before is lost.
        """

        def __init__(self, stream: Any, ended: Callable[[bool], None], *, ends_whole: bool) -> None:
            self._stream = stream
            self._ended = ended
            self._ends_whole = ends_whole

        async def __aiter__(self) -> AsyncIterator[bytes]:
            resumable, tail, size = False, b"\n", 0
            try:
                async for piece in self._stream:
                    joined = tail + piece
                    resumable = resumable or _ID_LINE in joined
                    size += len(piece)
                    if not self._ends_whole and _EVENT_END.search(joined):
                        size = len(piece)
                    if size > MAX_ANSWER_BYTES:
                        raise httpx.ReadError(f"The server sent more than {MAX_ANSWER_BYTES} bytes.")
                    tail = joined[-len(_ID_LINE) :]
                    yield piece
            except httpx.TransportError:
                self._ended(resumable)
                raise
            if not self._ends_whole:
                self._ended(resumable)

        async def aclose(self) -> None:
            await self._stream.aclose()

    return WatchedStream


def _is_event_stream(response: Any) -> bool:
    return bool(response.headers.get("content-type", "").startswith(_EVENT_STREAM))


def _nobody_waits(resumable: bool) -> None:
    """Do nothing."""


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
        """Report a request that was refused, and return whether it matters if the answer is lost."""
        if request.method == "POST" and response.is_error:
            unknown = response.status_code in _SESSION_UNKNOWN and _names_session(request)
            self._on_loss(self._mark_of(request), not unknown)
            return False
        if response.is_success and RESUME_HEADER in request.headers:
            for timer in self._resuming:
                timer.cancel()
            self._resuming.clear()
        # Calls wait for their own stream, or for the only one that an SSE server has.
        return request.method == "POST" or (SESSION_HEADER not in request.headers and _is_event_stream(response))

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
