from __future__ import annotations

import dataclasses
import enum
import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from copilotkit_runtime.providers.langgraph.decoding import is_echo, restore
from copilotkit_runtime.providers.langgraph.encoding import Encoder


class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l"


class Trip(BaseModel):
    stops: set[str]
    at: datetime
    price: Decimal = Decimal("0.10")
    size: Size = Size.SMALL


@dataclasses.dataclass(frozen=True)
class Corner:
    x: float
    y: float


@dataclasses.dataclass
class Shape:
    corners: frozenset[Corner]
    named: tuple[str, ...] = ()


def values() -> list[Any]:
    return [
        {"b", "a", "c"},
        frozenset({(2, "x"), (1, "y")}),
        {"deep": [{"tags": {3, 1, 20}}]},
        {Size.SMALL: {"x", "y"}, 7: {Size.LARGE}},
        Trip(stops={"Ulm", "Graz"}, at=datetime(2026, 5, 1, 12, tzinfo=UTC)),
        Shape(frozenset({Corner(1, 2), Corner(0, 1)}), ("a", "b")),
        {"nan": float("nan"), "inf": float("-inf"), "zero": -0.0},
        {"id": UUID(int=5), "day": date(2026, 1, 2), "for": timedelta(hours=1), "at": PurePosixPath("/a")},
        {"bytes": b"\x00\xff", "money": Decimal("1.50"), "huge": Decimal("NaN")},
        {"count": 2**53 + 1, "nested": [-(2**60) - 7]},
    ]


def through_a_client(value: Any) -> Any:
    """What JavaScript makes of a value: whole numbers are doubles, and written without a fraction."""

    def number(text: str) -> float | int:
        return _double(float(text))

    return json.loads(json.dumps(Encoder().encode(value)), parse_int=number, parse_float=number)


def _double(number: float) -> float | int:
    return int(number) if number.is_integer() else number


@pytest.mark.parametrize("value", values())
def test_what_a_client_only_echoes_is_not_a_change_and_keeps_its_value(value: Any) -> None:
    echoed = through_a_client(value)
    assert is_echo(value, echoed)
    assert restore(value, echoed) is value


@pytest.mark.timeout(300)  # three processes import LangGraph
def test_every_process_shows_a_set_alike() -> None:
    program = (
        "import json\nfrom copilotkit_runtime.providers.langgraph.encoding import Encoder\n"
        "names = {f'n{i}' for i in range(50)}\n"
        "print(json.dumps(Encoder().encode([names, {frozenset({n, 'x'}) for n in names}, {1, 2.5, 'a', None, True}])))"
    )
    shown = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "77")
    }
    assert len(shown) == 1


@pytest.mark.parametrize(
    ("value", "echoed"),
    [
        ({"done": 1}, {"done": True}),
        ({"done": False}, {"done": 0}),
        ({"a", "b"}, ["a"]),
        ([1, 2], [2, 1]),
        ({"x": 1}, {"x": 1, "y": None}),
        (2**53 + 1, 2**53 + 4),
        (7, "7"),
    ],
)
def test_what_a_client_changed_is_a_change(value: Any, echoed: Any) -> None:
    assert not is_echo(value, echoed)


@pytest.mark.parametrize(
    ("value", "echoed", "restored"),
    [
        ({"a", "b"}, ["b", "c"], {"b", "c"}),
        (frozenset({(1, 2)}), [[1, 2], 5], frozenset({(1, 2), 5})),
        ({"tags": {"a"}, "title": "old"}, {"tags": ["a"], "title": "new"}, {"tags": {"a"}, "title": "new"}),
        ([{"id": 2**60 + 1, "n": 1}], [{"id": 2**60, "n": 2}], [{"id": 2**60 + 1, "n": 2}]),
        (("a", Decimal("1.0")), ["b", "1.0"], ("b", Decimal("1.0"))),
        (Decimal("1.0"), "2.5", Decimal("2.5")),
        (datetime(2026, 1, 1, tzinfo=UTC), "2027-01-01T00:00:00Z", datetime(2027, 1, 1, tzinfo=UTC)),
        (timedelta(seconds=1), 90, timedelta(seconds=90)),
        (Size.SMALL, "l", Size.LARGE),
        ({Size.SMALL: 1, Size.LARGE: 2}, {"s": 5}, {Size.SMALL: 5}),
        (b"a", "Yg==", b"b"),
        (Shape(frozenset()), {"corners": [], "named": ["n"]}, Shape(frozenset(), ("n",))),
        ({"hidden": object, "n": 1}, {"n": 2}, {"hidden": object, "n": 2}),
    ],
)
def test_what_a_client_changes_keeps_the_type_that_the_graph_gave_it(value: Any, echoed: Any, restored: Any) -> None:
    got = restore(value, echoed)
    assert got == restored
    assert type(got) is type(restored)


def test_a_model_is_changed_field_by_field() -> None:
    trip = Trip(stops={"Ulm", "Graz"}, at=datetime(2026, 5, 1, tzinfo=UTC))
    echoed = through_a_client(trip) | {"size": "l"}
    assert restore(trip, echoed) == trip.model_copy(update={"size": Size.LARGE})


@pytest.mark.parametrize(
    ("value", "echoed"),
    [
        (Decimal(1), "not a number"),
        (date(2026, 1, 1), "soon"),
        ({"a"}, [{"unhashable": 1}]),
        ({"a"}, None),
        (Size.SMALL, "unknown"),
        (Trip(stops=set(), at=datetime(2026, 1, 1, tzinfo=UTC)), {"stops": 5}),
        (b"a", "***"),
        ({"a": 1}, "text"),
    ],
)
def test_what_cannot_have_the_old_type_stays_as_the_client_sent_it(value: Any, echoed: Any) -> None:
    assert restore(value, echoed) == echoed


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, JSON)
def test_plain_json_is_taken_as_it_is(value: Any, echoed: Any) -> None:
    assert is_echo(value, Encoder().encode(value))
    if not is_echo(value, echoed):
        json.dumps(restore(value, echoed))
