"""Answers that are read as server-sent events, beneath a vendor's SDK."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import msgspec

from ...runtime.events import Event
from ..answers import MAX_ANSWER_BYTES
from ..event_stream import EventStreamReader
from .failures import Vendor, vendor_failures
from .streams import closing, drained
from .vendor_errors import BrokenStreamError

_KEEP_ALIVES = frozenset({b"", b"ping", b"keepalive", b"keep-alive", b"heartbeat", b"null"})
_LONGEST_KEEP_ALIVE = 20
_parse = msgspec.json.Decoder(msgspec.Raw).decode


class Response(Protocol):
    """A response that is still being received, as the SDKs have it."""

    def iter_bytes(self) -> AsyncIterator[bytes]:
        """Return its body, as it comes."""


class Reader(Protocol):
    """Reads a vendor's protocol. ``done`` is true once the vendor has declared its answer complete."""

    done: bool

    def read(self, data: bytes) -> Iterable[Event]:
        """Return what one server-sent event adds to the answer."""

    def end(self) -> Iterable[Event]:
        """Complete the answer, or raise because it is not complete."""

    def details(self) -> dict[str, dict[str, Any]]:
        """Return what has to come back with the answer's calls, by their ids (``CallDetails.keep``)."""


async def answered(
    request: Callable[[], AbstractAsyncContextManager[Response]],
    reader: Reader,
    vendor: Vendor,
    keep: Callable[[Mapping[str, Mapping[str, Any]]], None],
) -> AsyncGenerator[Event]:
    """Send ``request``, and yield the answer as it comes. Closing the generator closes the response.

    The bytes are read beneath the SDK's own parser, which would cost several times the CPU; authentication, retries
    before the first byte, and connections stay the SDK's.

    Args:
        request: Sends the request.
        reader: Reads the vendor's protocol.
        vendor: Who answers.
        keep: Takes what has to come back with the answer's calls, once the answer is complete.

    Raises:
        CopilotKitError: The vendor failed (``failures.vendor_failures``).
    """
    body = _Body()
    with vendor_failures(vendor):
        async with request() as response, closing(response.iter_bytes()) as chunks:
            async for chunk in chunks:
                for data in body.feed(chunk):
                    for event in reader.read(data):
                        yield event
                if reader.done:
                    break
            for data in () if reader.done else body.close():
                for event in reader.read(data):
                    yield event
            for event in reader.end():
                yield event
            keep(reader.details())
            await drained(chunks)


class _Body:
    """Splits a body into the data of its events. A body that is JSON, as gateways send instead, is one event."""

    def __init__(self) -> None:
        self._stream = EventStreamReader(MAX_ANSWER_BYTES, whole=_is_whole)
        self._json: list[bytes] = []
        self._size = 0
        self._begun = False
        self._is_json = False

    def feed(self, chunk: bytes) -> Iterable[bytes]:
        if not self._begun:
            start = chunk.removeprefix(b"\xef\xbb\xbf").lstrip()
            self._begun = bool(start)
            self._is_json = start.startswith((b"{", b"["))
        if self._is_json:
            self._keep(chunk)
            return ()
        return _without_control_events(self._stream.feed(chunk))

    def close(self) -> Iterable[bytes]:
        return [b"".join(self._json).strip()] if self._json else _without_control_events(self._stream.close())

    def _keep(self, chunk: bytes) -> None:
        self._json.append(chunk)
        self._size += len(chunk)
        if self._size > MAX_ANSWER_BYTES:
            raise BrokenStreamError(f"The answer is longer than {MAX_ANSWER_BYTES} bytes.")


def _without_control_events(events: list[bytes]) -> list[bytes]:
    return [event for event in events if len(event) > _LONGEST_KEEP_ALIVE or not _keeps_alive(event)]


def _keeps_alive(data: bytes) -> bool:
    return data.strip().lower() in _KEEP_ALIVES


def _is_whole(data: bytes) -> bool:
    data = data.strip()
    if not (data.startswith(b"{") and data.endswith(b"}")):
        return data == b"[DONE]"
    try:
        _parse(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True
