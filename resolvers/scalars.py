"""``DateTimeISO``, ``JSON`` and ``JSONObject`` (docs/contract.md, section 1.8)."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from ariadne import ScalarType
from graphql import GraphQLError, ValueNode, print_ast
from graphql.utilities import value_from_ast_untyped

_RFC3339 = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt]([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(\.\d+)?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)"
)

date_time = ScalarType("DateTimeISO")
json_value = ScalarType("JSON")
json_object = ScalarType("JSONObject")


@date_time.serializer
def serialize_date_time(value: datetime) -> str:
    """Format a time as JavaScript's ``toISOString`` does: UTC, milliseconds, ``Z``."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@date_time.value_parser
def parse_date_time(value: Any) -> datetime:
    """Return an RFC 3339 date-time with its zone, nothing less.

    Raises:
        GraphQLError: It is none.
    """
    if not isinstance(value, str):
        raise GraphQLError(f"DateTime cannot represent non string or Date type {_shown(value)}")
    if _is_as_clients_write(value):
        with suppress(ValueError):  # a second that is a leap second, or what is not a date
            return datetime.fromisoformat(value)
    match = _RFC3339.fullmatch(value)
    if match is None:
        raise GraphQLError(f"DateTime cannot represent an invalid date-time-string {value}.")
    date, hour, minute, second, fraction, zone = match.groups()
    text = f"{date}T{hour}:{minute}:{min(int(second), 59):02}{(fraction or '')[:7]}{zone.upper()}"
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise GraphQLError(f"DateTime cannot represent an invalid date-time-string {value}.") from error


def _is_as_clients_write(value: str) -> bool:
    """Return whether a text looks like ``toISOString``'s: each message of each request has one."""
    separators = (value[4:5], value[7:8], value[10:11], value[13:14], value[16:17], value[19:20], value[23:])
    # Newer Pythons take midnight for 24 o'clock, too.
    return separators == ("-", "-", "T", ":", ":", ".", "Z") and value[11:13] != "24"


@json_value.serializer
def serialize_json(value: Any) -> Any:
    """Any JSON value as it is."""
    return value


@json_value.value_parser
def parse_json(value: Any) -> Any:
    """Any JSON value as it is."""
    return value


@json_object.serializer
def serialize_json_object(value: Any) -> dict[str, Any]:
    """Return a JSON object as it is."""
    return _object(value)


@json_object.value_parser
def parse_json_object(value: Any) -> dict[str, Any]:
    """Return a JSON object as it is.

    Raises:
        GraphQLError: It is another JSON value.
    """
    return _object(value)


@json_object.literal_parser
def parse_json_object_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a JSON object written in the document.

    Raises:
        GraphQLError: It is another value.
    """
    value = value_from_ast_untyped(node, variables)
    if not isinstance(value, dict):
        raise GraphQLError(f"JSONObject cannot represent non-object value: {print_ast(node)}", node)
    return value


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise GraphQLError(f"JSONObject cannot represent non-object value: {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    return ",".join(map(_shown, value)) if isinstance(value, list) else str(value)
