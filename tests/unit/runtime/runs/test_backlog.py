"""What waits for a store is bounded in number and in bytes, and the oldest makes room."""

from __future__ import annotations

import pytest

from copilotkit_runtime.runtime.runs import backlog
from copilotkit_runtime.runtime.runs.backlog import Backlog


@pytest.fixture
def out() -> list[str]:
    return []


@pytest.fixture
def waiting(out: list[str], monkeypatch: pytest.MonkeyPatch) -> Backlog[str]:
    monkeypatch.setattr(backlog, "MOST_WAITING", 3)
    monkeypatch.setattr(backlog, "MOST_BYTES", 100)
    return Backlog[str](out.append)


def test_the_oldest_makes_room_for_one_too_many(waiting: Backlog[str], out: list[str]) -> None:
    for item in "abcd":
        waiting.add(item, 1)
    assert (list(waiting), out) == (["b", "c", "d"], ["a"])


def test_the_oldest_make_room_for_bytes(waiting: Backlog[str], out: list[str]) -> None:
    for item, size in (("a", 60), ("b", 40), ("c", 90)):
        waiting.add(item, size)
    assert (list(waiting), out) == (["c"], ["a", "b"])


def test_what_fits_nowhere_is_given_up_itself(waiting: Backlog[str], out: list[str]) -> None:
    waiting.add("a", 101)
    assert (list(waiting), out) == ([], ["a"])


def test_what_was_taken_out_or_has_another_size_takes_no_room(waiting: Backlog[str], out: list[str]) -> None:
    for _ in range(50):
        waiting.add("a", 90)
        waiting.add("b", 5)
        assert waiting.remove("b")
        assert not waiting.remove("b")
    assert (list(waiting), out) == (["a"], [])


def test_what_waits_may_be_taken_out_while_it_is_gone_through(waiting: Backlog[str]) -> None:
    for item in "abc":
        waiting.add(item, 1)
    for item in waiting:
        waiting.remove(item)
    assert not waiting


def test_what_has_waited_for_an_hour_is_to_be_given_up(waiting: Backlog[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(backlog, "monotonic", lambda: now[0])
    waiting.add("a", 1)
    now[0] = 3599.0
    assert not waiting.has_waited_too_long("a")
    now[0] = 3600.0
    assert waiting.has_waited_too_long("a")
    assert not waiting.has_waited_too_long("b")
