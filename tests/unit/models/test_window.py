from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilotkit_runtime.providers.models.conversation import Exchange, Picture, TextTurn, Turn
from copilotkit_runtime.providers.models.window import PICTURE_CHARACTERS, context_of, fit
from copilotkit_runtime.runtime.context import Tool
from copilotkit_runtime.runtime.errors import ConfigurationError
from copilotkit_runtime.runtime.messages import ToolCallMessage

SYSTEM = TextTurn(role="system", text="s" * 9)


def user(size: int) -> TextTurn:
    return TextTurn(role="user", text="u" * size)


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("gpt-4", 8_192),
        ("gpt-4-0613", 8_192),
        ("gpt-4o", 128_000),
        ("gpt-4o-mini", 128_000),
        ("gpt-4-turbo-2024-04-09", 128_000),
        ("gpt-3.5-turbo-0613", 4_096),
        ("o1", 200_000),
        ("o1-mini", 128_000),
        ("somebody-elses", 128_000),
    ],
)
def test_the_context_of_a_model_is_the_contracts(model: str, tokens: int) -> None:
    assert context_of(model) == tokens


def test_what_fits_is_kept_whole() -> None:
    thread: list[Turn] = [SYSTEM, user(30), user(30)]
    assert fit(thread, [], 23) == thread


def test_the_oldest_goes_first_and_system_texts_stay_in_place() -> None:
    later = TextTurn(role="developer", text="d")
    thread: list[Turn] = [user(30), SYSTEM, user(31), later, user(32)]
    assert fit(thread, [], 24) == [SYSTEM, later, user(32)]


def test_nothing_older_slips_past_what_did_not_fit() -> None:
    thread: list[Turn] = [user(1), user(90), user(30)]
    assert fit(thread, [], 20) == [user(30)]


def test_the_newest_turn_is_kept_however_long_it_is() -> None:
    thread: list[Turn] = [user(3), user(900)]
    assert fit(thread, [], 20) == [user(900)]


def test_an_exchange_is_dropped_whole_and_counts_its_results() -> None:
    call = ToolCallMessage(id="c", name="act", arguments={"a": "x" * 20})
    exchange = Exchange(calls=[call], results=["y" * 20])
    assert fit([exchange, user(30)], [], 20) == [user(30)]
    assert fit([exchange, user(30)], [], 30) == [exchange, user(30)]


def test_a_picture_counts_the_same_whatever_its_bytes() -> None:
    picture = Picture(format="png", data="A" * 1_000_000)
    thread: list[Turn] = [picture, user(3)]
    assert fit(thread, [], PICTURE_CHARACTERS // 3 + 1) == thread


def test_tools_that_fill_the_context_are_an_error() -> None:
    tool = Tool(name="act", description="d" * 300, parameters={})
    with pytest.raises(ConfigurationError, match=r"Too many tokens in function definitions: \d+ > 100"):
        fit([user(3)], [tool], 100)


def test_system_texts_that_fill_the_context_are_an_error() -> None:
    with pytest.raises(ConfigurationError, match="Not enough tokens for system message"):
        fit([SYSTEM], [], 2)


turn = st.builds(user, st.integers(0, 60)) | st.just(SYSTEM)


@given(st.lists(turn, max_size=8), st.integers(40, 200))
def test_what_is_kept_is_the_newest_in_order(thread: list[Turn], limit: int) -> None:
    kept = fit(thread, [], limit)
    history = [turn for turn in thread if turn is not SYSTEM]
    newest = [turn for turn in kept if turn is not SYSTEM]
    assert newest == history[len(history) - len(newest) :]
    assert kept.count(SYSTEM) == thread.count(SYSTEM)
    assert not history or newest
