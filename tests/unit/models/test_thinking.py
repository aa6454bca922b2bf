from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from copilotkit_runtime.providers.models.thinking import ThinkingFilter


def filtered(pieces: list[str]) -> str:
    keep = ThinkingFilter()
    return "".join([*map(keep.feed, pieces), keep.end()])


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[one:other] for one, other in itertools.pairwise(edges)]


@given(st.text("<>/thinkga ", max_size=20), st.lists(st.integers(0, 99)))
def test_a_thought_is_left_out_wherever_the_text_is_cut(after: str, places: list[int]) -> None:
    assert filtered(cut(f"<thinking>a < b</thinking>{after}", places)) == after


@given(st.text("<>/thinkga ", max_size=20), st.lists(st.integers(0, 99)))
def test_other_text_is_kept_wherever_it_is_cut(text: str, places: list[int]) -> None:
    expected = "" if text.startswith("<thinking>") else text
    if "</thinking>" not in text:
        assert filtered(cut(text, places)) == expected


def test_a_thought_that_never_ends_is_left_out() -> None:
    assert filtered(["<thinking>", "hm"]) == ""
