"""Graph values as JSON: the Python objects of an agent's state in the form that a client can read."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from typing import Any
from uuid import UUID

from pydantic import BaseModel

Json = Any

_DEEPEST = 64
_DROPPED = object()
_PLAIN = frozenset({bool, int, type(None)})


class Encoder:
    """Encodes values as JSON values, and remembers what it could not encode.

    Equal values have equal forms, in every process. Numbers that JSON lacks (NaN, infinities) become null, as in
    JavaScript. Bytes become base64, sets sorted lists, dates ISO 8601, time spans seconds. What cannot be encoded is
    left out of its object, is null in its list, and is named in ``failures``.
    """

    def __init__(self) -> None:
        self.failures: dict[str, str] = {}

    def encode(self, value: Any, path: str = "$") -> Json:
        """Return ``value`` as a JSON value that shares nothing with it. ``path`` names it in ``failures``."""
        encoded = self._encode(value, path, 0)
        return None if encoded is _DROPPED else encoded

    def _encode(self, value: Any, path: str, depth: int) -> Any:
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is str:
            return _text(value)
        if kind is float:
            return value if math.isfinite(value) else None
        if depth > _DEEPEST:
            return self._fail(value, path, "is nested too deeply")
        return self._encode_object(value, path, depth)

    def _encode_object(self, value: Any, path: str, depth: int) -> Any:
        if isinstance(value, Mapping):
            return self._encode_items(value.items(), path, depth)
        if isinstance(value, Set):
            return sorted(self._encode_list(value, path, depth), key=_order)
        for kinds, convert in _CONVERSIONS:
            if isinstance(value, kinds):
                return self._convert(value, convert, path, depth)
        if isinstance(value, Sequence):
            return self._encode_list(value, path, depth)
        return self._encode_foreign(value, path, depth)

    def _encode_items(self, items: Iterable[tuple[Any, Any]], path: str, depth: int) -> dict[str, Json]:
        pairs = ((key_text(k), self._encode(v, f"{path}.{k}", depth + 1)) for k, v in items)
        return {key: encoded for key, encoded in pairs if encoded is not _DROPPED}

    def _encode_list(self, values: Iterable[Any], path: str, depth: int) -> list[Json]:
        encoded = [self._encode(value, f"{path}[{i}]", depth + 1) for i, value in enumerate(values)]
        return [None if item is _DROPPED else item for item in encoded]

    def _encode_foreign(self, value: Any, path: str, depth: int) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = ((field.name, getattr(value, field.name, None)) for field in dataclasses.fields(value))
            return self._encode_items(fields, path, depth)
        if callable(tolist := getattr(value, "tolist", None)):
            return self._convert(value, lambda _: tolist(), path, depth)
        return self._fail(value, path, "has no JSON form")

    def _convert(self, value: Any, convert: Callable[[Any], Any], path: str, depth: int) -> Any:
        try:
            converted = convert(value)
        except (TypeError, ValueError, AttributeError, RecursionError) as error:
            return self._fail(value, path, f"failed to serialise: {type(error).__name__}")
        return self._encode(converted, path, depth + 1)

    def _fail(self, value: Any, path: str, reason: str) -> object:
        self.failures.setdefault(path, f"{path} ({type(value).__name__}) {reason}")
        return _DROPPED


def _dump(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(mode="python", warnings=False)


def _base64(value: bytes | bytearray | memoryview) -> str:
    return base64.b64encode(value).decode("ascii")


_CONVERSIONS: tuple[tuple[tuple[type, ...], Callable[[Any], Any]], ...] = (
    ((BaseModel,), _dump),
    ((Enum,), lambda value: value.value),
    ((str,), str.__str__),
    ((bool, int), int),
    ((float,), float),
    ((date, time), lambda value: value.isoformat()),
    ((timedelta,), timedelta.total_seconds),
    ((UUID, Decimal, Fraction, PurePath), str),
    ((bytes, bytearray, memoryview), _base64),
)


def _text(value: str) -> str:
    if value.isascii():
        return value
    return value.encode("utf-8", "replace").decode("utf-8")


def key_text(key: Any) -> str:
    """Return the text under which an object's key stands in JSON."""
    if isinstance(key, Enum):
        return str(key.value)
    return key if isinstance(key, str) else str(key)


def _order(encoded: Json) -> tuple[int, float, str]:
    """Return a set's order: its numbers, its texts, then everything else by its JSON form."""
    if isinstance(encoded, (int, float)) and not isinstance(encoded, bool):
        return 0, _comparable(encoded), str(encoded)
    if isinstance(encoded, str):
        return 1, 0, encoded
    return 2, 0, json.dumps(encoded, sort_keys=True)


def _comparable(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.copysign(math.inf, number)
