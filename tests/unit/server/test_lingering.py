"""A connection that is answered early is closed late, but it is closed; its head does not go alone."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from copilotkit_runtime.server.cli import lingering
from copilotkit_runtime.server.cli.lingering import LingeringTransport
from tests.support.polling import until


class _Connection(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.closed = self.half_closed = False
        self.written: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    async def is_closed(self) -> bool:
        return self.closed

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.half_closed = True

    def resume_reading(self) -> None:
        pass


async def test_a_connection_whose_request_is_whole_is_closed_at_once() -> None:
    connection = _Connection()
    LingeringTransport(connection, SimpleNamespace(unread=False)).close()
    assert connection.closed


async def test_a_client_that_falls_silent_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "IDLE_SECONDS", 0.05)
    connection = _Connection()
    transport = LingeringTransport(connection, SimpleNamespace(unread=True))
    transport.close()
    assert (connection.half_closed, transport.is_closing(), connection.closed) == (True, True, False)
    await until(connection.is_closed)


@pytest.mark.parametrize("closes", [True, False])
async def test_a_client_that_sends_for_ever_is_cut_off(monkeypatch: pytest.MonkeyPatch, *, closes: bool) -> None:
    monkeypatch.setattr(lingering, "TOTAL_SECONDS", 0.2)
    connection = _Connection()
    transport = LingeringTransport(connection, SimpleNamespace(unread=True))
    (transport.close if closes else transport.limit_unread)()

    async def sends_and_is_cut_off() -> bool:
        transport.discard()
        return connection.closed

    await until(sends_and_is_cut_off)


async def test_a_second_close_is_final() -> None:
    connection = _Connection()
    transport = LingeringTransport(connection, SimpleNamespace(unread=True))
    transport.close()
    transport.close()
    assert connection.closed


async def test_the_head_of_an_answer_is_written_with_the_beginning_of_its_body() -> None:
    connection = _Connection()
    transport = LingeringTransport(connection, SimpleNamespace(unread=False))
    transport.hold_head()
    for piece in (b"head", b"", b" first"):
        transport.write(piece)
    transport.write(b"second")
    transport.write_at_once(b"token")
    assert connection.written == [b"head first", b"second", b"token"]


async def test_nothing_comes_before_the_head_of_its_answer() -> None:
    connection = _Connection()
    transport = LingeringTransport(connection, SimpleNamespace(unread=False))
    transport.hold_head()
    transport.write(b"head")
    transport.write_at_once(b" token")
    assert connection.written == [b"head token"]


async def test_a_head_whose_body_is_late_is_written_within_two_turns_of_the_loop() -> None:
    connection = _Connection()
    transport = LingeringTransport(connection, SimpleNamespace(unread=False))
    transport.hold_head()
    transport.write(b"head")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert connection.written == [b"head"]


@pytest.mark.parametrize("unread", [True, False])
async def test_a_head_that_waits_is_written_before_the_connection_is_closed(*, unread: bool) -> None:
    connection = _Connection()
    transport = LingeringTransport(connection, SimpleNamespace(unread=unread))
    transport.hold_head()
    transport.write(b"refused")
    transport.close()
    assert connection.written == [b"refused"]
