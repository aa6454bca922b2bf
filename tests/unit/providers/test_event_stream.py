from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilotkit_runtime.providers.event_stream import EventStreamReader
from copilotkit_runtime.runtime.errors import ProtocolError

STREAM = ': hello\r\ndata: {"a":\r\ndata:  1}\r\nid: 7\r\n\r\nevent: x\ndata:zwei ü 🎈\n\n:ping\rdata: drei\r\rdata\n\n'
EVENTS = ['{"a":\n 1}', "zwei ü 🎈", "drei", ""]


def read(pieces: list[bytes]) -> list[str]:
    reader = EventStreamReader()
    events = [event for piece in pieces for event in reader.feed(piece)] + reader.close()
    return [event.decode() for event in events]


@given(st.lists(st.integers(0, len(STREAM.encode())), max_size=12))
def test_events_are_the_same_wherever_the_stream_is_cut(cuts: list[int]) -> None:
    stream = STREAM.encode()
    borders = [0, *sorted(cuts), len(stream)]
    assert read([stream[a:b] for a, b in pairwise(borders)]) == EVENTS


def test_the_stream_may_be_read_byte_by_byte() -> None:
    assert read([bytes([byte]) for byte in STREAM.encode()]) == EVENTS


def test_an_event_is_given_out_as_soon_as_its_blank_line_is_there() -> None:
    reader = EventStreamReader()
    assert reader.feed(b"data: 1\r\r") == [b"1"]
    assert reader.feed(b"\ndata: 2\r\n\r\n") == [b"2"]


def test_a_byte_order_mark_is_not_part_of_the_stream() -> None:
    assert read([b"\xef\xbb\xbfdata: 1\n\n"]) == ["1"]


def test_an_event_without_its_last_blank_line_is_not_lost() -> None:
    assert read([b"data: 1\n\ndata: 2"]) == ["1", "2"]


def test_fields_that_are_not_data_give_no_event() -> None:
    assert read([b"event: ping\n\nretry: 10\n\nid: 3\n\ndatax: 1\n\n"]) == []


def test_an_endless_event_is_given_up() -> None:
    reader = EventStreamReader(max_event_bytes=100)
    with pytest.raises(ProtocolError):
        [reader.feed(b"data: 0123456789") for _ in range(20)]


def test_many_short_events_are_no_endless_event() -> None:
    reader = EventStreamReader(max_event_bytes=100)
    for _ in range(50):
        assert reader.feed(b"data: 0123456789\n\n") == [b"0123456789"]


def test_an_endless_event_of_many_lines_is_given_up() -> None:
    reader = EventStreamReader(max_event_bytes=100)
    with pytest.raises(ProtocolError):
        [reader.feed(b"data: 0123456789\n") for _ in range(20)]


def test_an_endless_event_of_empty_lines_is_given_up() -> None:
    reader = EventStreamReader(max_event_bytes=100)
    with pytest.raises(ProtocolError):
        [reader.feed(b"data:\n") for _ in range(200)]


def test_an_event_may_be_as_long_as_the_limit_whatever_is_left_out() -> None:
    reader = EventStreamReader(max_event_bytes=100)
    assert reader.feed(b"data: " + b"x" * 60 + b"\n") == []
    assert reader.feed(b": " + b"y" * 30 + b"\nid: 7\ndata: z\n\n") == [b"x" * 60 + b"\nz"]
