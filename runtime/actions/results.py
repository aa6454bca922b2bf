"""Results of actions as the text that models and agents read (docs/contract.md, section 3.5)."""

from __future__ import annotations

from typing import Any

import msgspec
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_jsonable_python

from ..errors import ActionError


class Activity(msgspec.Struct, frozen=True, kw_only=True):
    """What clients draw for a call, by its ``activity_type``: an AG-UI activity message."""

    activity_type: str
    content: dict[str, Any]


class ActionResult(msgspec.Struct, frozen=True, kw_only=True):
    """An action's value, and what clients draw beside it. ``failed``: the value is the text of an error."""

    value: Any
    activity: Activity | None = None
    failed: bool = False


def encode_result(value: Any) -> str:
    """``value`` as compact JSON; a text as it is. None is ``null``.

    Raises:
        ActionError: JSON cannot express it.
    """
    if isinstance(value, str):
        return value
    try:
        return msgspec.json.encode(value, enc_hook=_jsonable).decode()
    except (TypeError, ValueError, RecursionError, PydanticSerializationError) as error:
        raise ActionError(f"The action returned {type(value).__name__}, which JSON cannot express.") from error


def error_result(code: str, message: str) -> str:
    """Return a failure, in the contract's shape."""
    return msgspec.json.encode({"error": {"code": code, "message": message}, "result": ""}).decode()


def _jsonable(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else to_jsonable_python(value)
