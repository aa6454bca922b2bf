"""Requests that offer to go on in another protocol: a server that does not take the offer reads them as any other.

httptools leaves off behind the head of such a request. uvicorn answers it without its body, and takes the body for
the next request: clients such as Java's, which offer HTTP/2 with each request, lose what they send, and whoever can
send a body past a proxy can hide a request in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from httptools import HttpParserUpgrade, HttpRequestParser

if TYPE_CHECKING:
    from array import array


class Reader(Protocol):
    """What is called with the parts of requests."""

    url: bytes
    headers: list[tuple[bytes, bytes]]

    @property
    def declines_upgrade(self) -> bool:
        """Whether the request whose head has come offers a protocol that the server does not take."""


class DecliningParser(HttpRequestParser):
    """Parses requests, and those whose offer is declined once more, without it.

    Args:
        reader: What is called with their parts; for a request whose offer is declined, twice with its head.
    """

    __slots__ = ("_reader",)

    def __init__(self, reader: Reader) -> None:
        super().__init__(reader)
        self._reader = reader

    def feed_data(self, data: bytes | bytearray | memoryview[int] | array[int]) -> None:
        """Parse what has come.

        Raises:
            HttpParserUpgrade: The connection goes on in another protocol.
            HttpParserError: It is no request.
        """
        rest = bytes(data)
        while True:
            try:
                super().feed_data(rest)
            except HttpParserUpgrade as offer:
                if not self._reader.declines_upgrade:
                    raise
                rest = self._head_without_offer() + rest[offer.args[0] :]
            else:
                return

    def _head_without_offer(self) -> bytes:
        reader = self._reader
        version = self.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.get_method(), reader.url, version)]
        lines += [b"%b: %b" % (name, value) for name, value in reader.headers if name != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])
