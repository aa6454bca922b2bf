"""A client's JSON as the Python values that it stands for: the way back of ``encoding``."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence, Set
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from .encoding import Encoder, Json, key_text

_EXACT = 2**53
"""JavaScript rounds whole numbers beyond this one."""


def is_echo(value: Any, echoed: Json) -> bool:
    """Return whether ``echoed`` is what a client has that was shown ``value`` and did not change it.

    Args:
        value: A value of the graph's state.
        echoed: What the client sent.
    """
    return _same(Encoder().encode(value), echoed)


def restore(value: Any, echoed: Json) -> Any:
    """Return ``echoed`` as a value of the types that ``value`` has, with all of ``value`` that did not change.

    A client reads a set as a list and a date as text, and sends them back so. A graph that gets them in that form
    breaks at the next operation of the type. What cannot have the old type stays as the client sent it.

    Args:
        value: The present value of the graph's state.
        echoed: What the client makes of it.
    """
    if is_echo(value, echoed):
        return value
    try:
        return _rebuild(value, echoed)
    except (TypeError, ValueError, ArithmeticError, AttributeError):
        return echoed


def _same(shown: Json, echoed: Json) -> bool:
    if isinstance(shown, dict) and isinstance(echoed, dict):
        return shown.keys() == echoed.keys() and all(_same(each, echoed[key]) for key, each in shown.items())
    if isinstance(shown, list) and isinstance(echoed, list):
        return len(shown) == len(echoed) and all(map(_same, shown, echoed))
    if isinstance(shown, bool) or isinstance(echoed, bool):
        return shown is echoed
    return bool(shown == echoed) or _is_rounded(shown, echoed)


def _is_rounded(shown: Json, echoed: Json) -> bool:
    if not (isinstance(shown, (int, float)) and isinstance(echoed, (int, float))) or abs(shown) <= _EXACT:
        return False
    try:
        return float(shown) == float(echoed)
    except OverflowError:
        return False


def _rebuild(value: Any, echoed: Json) -> Any:
    for kinds, rebuild in _REBUILDERS:
        if isinstance(value, kinds):
            return rebuild(value, echoed)
    if dataclasses.is_dataclass(value) and not isinstance(value, type) and isinstance(echoed, dict):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
        return dataclasses.replace(value, **_changed(fields, echoed))
    return echoed


def _changed(fields: Mapping[str, Any], echoed: Mapping[str, Json]) -> dict[str, Any]:
    return {name: restore(fields[name], new) if name in fields else new for name, new in echoed.items()}


def _mapping(value: Mapping[Any, Any], echoed: Json) -> Any:
    if not isinstance(echoed, dict):
        return echoed
    keys, shown = {key_text(key): key for key in value}, Encoder().encode(value)
    unseen = {key: value[key] for text, key in keys.items() if text not in shown}
    seen = {keys.get(k, k): restore(value[keys[k]], new) if k in keys else new for k, new in echoed.items()}
    return {**unseen, **seen}


def _set(value: Set[Any], echoed: Json) -> Any:
    if not isinstance(echoed, list):
        return echoed
    present = {_json(Encoder().encode(item)): item for item in value}
    items = (present.get(_json(item), item) for item in echoed)
    return frozenset(items) if isinstance(value, frozenset) else set(items)


def _json(value: Json) -> str:
    return json.dumps(value, sort_keys=True)


def _sequence(value: Sequence[Any], echoed: Json) -> Any:
    if not isinstance(echoed, list):
        return echoed
    items = [restore(value[i], item) if i < len(value) else item for i, item in enumerate(echoed)]
    return tuple(items) if type(value) is tuple else items


def _model(value: BaseModel, echoed: Json) -> Any:
    if not isinstance(echoed, dict):
        return echoed
    fields = _changed({name: getattr(value, name) for name in type(value).model_fields}, echoed)
    return type(value).model_validate(fields, by_name=True, by_alias=True)


def _text(kind: Callable[[str], Any]) -> Callable[[Any, Json], Any]:
    return lambda _, echoed: kind(echoed) if isinstance(echoed, str) else echoed


_REBUILDERS: tuple[tuple[type | tuple[type, ...], Callable[[Any, Json], Any]], ...] = (
    (BaseModel, _model),
    (Enum, lambda value, echoed: type(value)(echoed)),
    (Mapping, _mapping),
    (Set, _set),
    (datetime, _text(datetime.fromisoformat)),
    (date, _text(date.fromisoformat)),
    (time, _text(time.fromisoformat)),
    (timedelta, lambda _, echoed: timedelta(seconds=echoed)),
    (Decimal, _text(Decimal)),
    (Fraction, _text(Fraction)),
    (UUID, _text(UUID)),
    (PurePath, lambda value, echoed: type(value)(echoed)),
    ((bytes, bytearray), lambda value, echoed: type(value)(base64.b64decode(echoed, validate=True))),
    (str, lambda _, echoed: echoed),
    (Sequence, _sequence),
)
