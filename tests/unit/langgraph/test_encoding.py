from __future__ import annotations

import dataclasses
import enum
import json
import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage
from pydantic import BaseModel, field_serializer

from copilotkit_runtime.providers.langgraph.encoding import Encoder


class Color(enum.Enum):
    RED = "red"


class Name(str):
    __slots__ = ()


class Pair(NamedTuple):
    a: int
    b: Any


@dataclasses.dataclass
class Point:
    x: float
    tags: set[str]


class Model(BaseModel):
    at: datetime
    point: Any = None


class Failing(BaseModel):
    x: int = 1

    @field_serializer("x")
    def refuse(self, _: int) -> int:
        raise ValueError("no")


class Array:
    def tolist(self) -> list[float]:
        return [1.0, math.inf]


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        (math.nan, None),
        (-math.inf, None),
        (Name("n"), "n"),
        (Color.RED, "red"),
        ({Color.RED: 1, 2: 3, None: 4}, {"red": 1, "2": 3, "None": 4}),
        ((1, [2]), [1, [2]]),
        ({1}, [1]),
        (Pair(1, {2}), [1, [2]]),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (time(1, 2), "01:02:00"),
        (timedelta(minutes=1), 60.0),
        (b"ABC", "QUJD"),
        (Decimal("1.10"), "1.10"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (PurePosixPath("a/b"), "a/b"),
        (Point(math.nan, {"t"}), {"x": None, "tags": ["t"]}),
        (
            Model(at=datetime(2026, 1, 2), point=Point(1, set())),
            {"at": "2026-01-02T00:00:00", "point": {"x": 1, "tags": []}},
        ),
        (Array(), [1.0, None]),
        ("ok \ud800", "ok ?"),
    ],
)
def test_a_value_has_one_json_form(value: Any, encoded: Any) -> None:
    encoder = Encoder()
    assert encoder.encode(value) == encoded
    assert encoder.failures == {}


def test_a_message_in_the_state_keeps_its_kind_and_content() -> None:
    encoded = Encoder().encode({"last": HumanMessage(id="h", content="hi")})
    assert encoded["last"]["type"] == "human"
    assert (encoded["last"]["id"], encoded["last"]["content"]) == ("h", "hi")


def test_what_cannot_be_encoded_is_left_out_of_objects_and_null_in_lists_and_is_named() -> None:
    encoder = Encoder()
    encoded = encoder.encode({"fine": 1, "odd": object(), "list": [1, print], "model": Failing()}, "state")

    assert encoded == {"fine": 1, "list": [1, None]}
    assert list(encoder.failures) == ["state.odd", "state.list[1]", "state.model"]
    assert encoder.failures["state.odd"] == "state.odd (object) has no JSON form"
    assert "failed to serialise" in encoder.failures["state.model"]


def test_a_value_that_contains_itself_is_named_instead_of_followed_for_ever() -> None:
    loop: dict[str, Any] = {}
    loop["again"] = loop
    encoder = Encoder()
    encoder.encode(loop)

    (failure,) = encoder.failures.values()
    assert failure.endswith("is nested too deeply")


def test_what_is_encoded_shares_nothing_with_the_value() -> None:
    value = {"list": [{"done": False}]}
    encoded = Encoder().encode(value)
    value["list"][0]["done"] = True
    assert encoded == {"list": [{"done": False}]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_json_values_stay_what_they_are(value: Any) -> None:
    assert Encoder().encode(value) == value


@given(
    st.recursive(st.floats() | st.binary() | st.dates() | st.text(), lambda i: st.lists(i) | st.frozensets(st.text()))
)
def test_every_encoded_value_is_strict_json(value: Any) -> None:
    json.dumps(Encoder().encode(value), allow_nan=False)
