"""Parameters of a handler, read from its signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic_core import ArgsKwargs

from ..context import RunContext
from ..errors import InvalidArgumentsError, MisuseError

_UNNAMED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)


class Signature:
    """The keyword arguments of a handler: their JSON Schema, and how to make them fit.

    A parameter that is annotated with ``RunContext`` gets the request's context, and is not part of the schema.

    Args:
        handler: The function.

    Raises:
        MisuseError: It takes positional arguments only, or its annotations cannot be understood.
    """

    def __init__(self, handler: Callable[..., Any]) -> None:
        signature = _signature(handler)
        named = list(signature.parameters.values())
        contexts = [parameter for parameter in named if parameter.annotation is RunContext]
        taken = [parameter for parameter in named if parameter.annotation is not RunContext]
        if any(parameter.kind in _UNNAMED for parameter in taken):
            raise MisuseError(f"The handler {_name(handler)} must take its arguments by keyword.")
        self._context_positions = sum(parameter.kind is parameter.POSITIONAL_ONLY for parameter in contexts)
        self._context_names = [p.name for p in contexts if p.kind is not p.POSITIONAL_ONLY]
        self._adapter = _adapter(handler, taken)

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema object of the arguments."""
        schema = _without_titles(self._adapter.json_schema())
        return {**schema, "properties": schema.get("properties", {}), "required": schema.get("required", [])}

    def fit(self, arguments: dict[str, Any], context: RunContext) -> tuple[tuple[RunContext, ...], dict[str, Any]]:
        """Return what to call the handler with, by position and by keyword.

        Raises:
            InvalidArgumentsError: ``arguments`` do not fit.
        """
        try:
            fitting: dict[str, Any] = self._adapter.validator.validate_python(ArgsKwargs((), arguments))
        except ValidationError as error:
            raise InvalidArgumentsError(_explanation(error)) from error
        return (context,) * self._context_positions, {**fitting, **dict.fromkeys(self._context_names, context)}


def _signature(handler: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(handler, eval_str=True)
    except NameError as error:
        raise MisuseError(f"An annotation of the handler {_name(handler)} cannot be resolved: {error}.") from error


def _adapter(handler: Callable[..., Any], taken: list[inspect.Parameter]) -> TypeAdapter[Any]:
    def arguments(**given: Any) -> dict[str, Any]:
        return given

    arguments.__signature__ = inspect.Signature(taken)  # type: ignore[attr-defined]
    arguments.__annotations__ = {p.name: p.annotation for p in taken if p.annotation is not p.empty}
    try:
        return TypeAdapter(arguments)
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        raise MisuseError(
            f"A parameter of the handler {_name(handler)} has a type that JSON cannot express."
        ) from error


def _explanation(error: ValidationError) -> str:
    """Return what is wrong, without the values that were given."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems)


def _without_titles(schema: Any, *, names: bool = False) -> Any:
    """Return ``schema`` without the titles that repeat its names. Below ``properties``, keys are names."""
    if isinstance(schema, list):
        return [_without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without_titles(value, names=not names and key in ("properties", "$defs")) if key != "default" else value
        for key, value in schema.items()
        if names or key != "title"
    }


def _name(handler: Callable[..., Any]) -> str:
    return str(getattr(handler, "__name__", type(handler).__name__))
