"""Interfaces and unions: every answer object names its own type."""

from __future__ import annotations

from typing import Any

from ariadne import InterfaceType, UnionType


def _typename(value: Any, *_args: object) -> str:
    return str(value.typename)


abstract_types = [
    InterfaceType("BaseMessageOutput", _typename),
    InterfaceType("BaseMetaEvent", _typename),
    InterfaceType("BaseResponseStatus", _typename),
    UnionType("MessageStatus", _typename),
    UnionType("ResponseStatus", _typename),
]
