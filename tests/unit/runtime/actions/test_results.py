from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from copilotkit_runtime import errors
from copilotkit_runtime.runtime.actions.results import encode_result, error_result


class Model(BaseModel):
    when: datetime


class Struct(msgspec.Struct):
    x: int


@dataclass
class Data:
    x: int


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Model(when=datetime(2026, 1, 1, tzinfo=UTC)), '{"when":"2026-01-01T00:00:00Z"}'),
        ([Struct(1), Data(2)], '[{"x":1},{"x":2}]'),
        ((1, 2), "[1,2]"),
        ({"ü": None}, '{"ü":null}'),
        (float("nan"), "null"),
        (10**30, str(10**30)),
    ],
)
def test_python_values_become_compact_json(value: Any, text: str) -> None:
    assert encode_result(value) == text


def circle() -> list[Any]:
    endless: list[Any] = []
    endless.append(endless)
    return endless


@pytest.mark.parametrize("value", [object(), circle(), lambda: None, {"x": object()}])
def test_what_json_cannot_express_is_an_error(value: Any) -> None:
    with pytest.raises(errors.ActionError):
        encode_result(value)


def test_an_error_has_the_contracts_shape() -> None:
    assert error_result("C", "m") == '{"error":{"code":"C","message":"m"},"result":""}'
