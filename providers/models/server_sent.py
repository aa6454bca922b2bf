"""Answers that are read as server-sent events, beneath a vendor's SDK."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from ...runtime.events import Event
from .failures import vendor_failures
from .streams import closing, drained

_DATA = b"data:"


class Response(Protocol):
    """A response that is still being received, as the SDKs have it."""

    def iter_bytes(self) -> AsyncIterator[bytes]:
        """Its body, as it comes."""


class Reader(Protocol):
    """What a vendor's protocol makes of the data. ``done`` tells that nothing more is to be said."""

    done: bool

    def read(self, data: bytes) -> Iterable[Event]:
        """What one server-sent event adds to the answer."""

    def end(self) -> Iterable[Event]:
        """Completes the answer, or raises because it is not complete."""


async def answered(
    request: Callable[[], AbstractAsyncContextManager[Response]], reader: Reader, vendor: str, secrets: Sequence[str]
) -> AsyncGenerator[Event]:
    """Sends ``request``, and yields the answer as it comes. Closing the generator closes the response.

    The bytes are read beneath the SDK's own parser, which would cost several times the CPU (reference,
    frameworks 4.1); authentication, retries before the first byte, and connections stay the SDK's.

    Args:
        request: Sends the request.
        reader: What understands the vendor's protocol.
        vendor: Who answers, as errors call it.
        secrets: Texts that must not appear in an error.

    Raises:
        CopilotKitError: The vendor failed (``failures.vendor_failures``).
    """
    lines = _Lines()
    with vendor_failures(vendor, secrets):
        async with request() as response, closing(response.iter_bytes()) as chunks:
            async for chunk in chunks:
                for data in lines.split(chunk):
                    for event in reader.read(data):
                        yield event
                if reader.done:
                    await drained(chunks)
        for data in lines.split(b"\n"):
            for event in reader.read(data):
                yield event
        for event in reader.end():
            yield event


# The SDKs' own lines end at every separator that Unicode knows, and so in the middle of some texts.
class _Lines:
    def __init__(self) -> None:
        self._rest = b""

    def split(self, chunk: bytes) -> list[bytes]:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [data for line in lines if line.startswith(_DATA) and (data := line[len(_DATA) :].strip())]
