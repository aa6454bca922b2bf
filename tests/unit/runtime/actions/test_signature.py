from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from copilotkit_runtime import Action, CopilotRuntime, RunContext, action, errors
from copilotkit_runtime.runtime.thread_pool import Workers


class Colour(Enum):
    RED = "red"


class Place(BaseModel):
    title: str


def paint(
    context: RunContext,
    what: Annotated[str, Field(description="What to paint")],
    colour: Colour = Colour.RED,
    places: list[Place] | None = None,
) -> None:
    """Paints something."""


def test_a_schema_is_read_from_the_signature() -> None:
    schema = action(paint).tool.parameters
    assert schema["type"] == "object"
    assert schema["required"] == ["what"]
    assert schema["properties"]["what"] == {"type": "string", "description": "What to paint"}
    assert schema["$defs"]["Place"] == {
        "type": "object",
        "properties": {"title": {"type": "string"}},
        "required": ["title"],
    }
    assert "context" not in schema["properties"]


def test_a_handler_without_arguments_has_an_empty_schema() -> None:
    schema = Action("go", "", lambda: None).tool.parameters
    assert (schema["type"], schema["properties"], schema["required"]) == ("object", {}, [])


def test_name_and_description_come_from_the_function_unless_given() -> None:
    assert (action(paint).name, action(paint).description) == ("paint", "Paints something.")
    named = action(name="draw", description="Draws")(paint)
    assert (named.name, named.description) == ("draw", "Draws")


def test_an_action_can_still_be_called_as_a_function() -> None:
    @action
    def add(left: int, right: int) -> int:
        return left + right

    assert add(1, right=2) == 3


async def invoke(handler: Any, **arguments: Any) -> Any:
    return await Action("x", "", handler).invoke(arguments, RunContext(url="here"), Workers())


async def test_arguments_are_converted_to_the_types_of_the_signature() -> None:
    def show(colour: Colour, place: Place, number: int = 3) -> Any:
        return colour, place.title, number

    assert await invoke(show, colour="red", place={"title": "T"}) == (Colour.RED, "T", 3)


async def test_the_context_cannot_be_given_by_the_model() -> None:
    def where(context: RunContext) -> str | None:
        return context.url

    with pytest.raises(errors.InvalidArgumentsError):
        await invoke(where, context={"url": "elsewhere"})


async def test_a_handler_of_any_arguments_may_have_one_named_context() -> None:
    async def where(_context: RunContext, /, **given: Any) -> Any:
        return _context.url, given

    assert await invoke(where, context="mine") == ("here", {"context": "mine"})


async def test_a_sync_function_may_return_something_to_await() -> None:
    async def late() -> int:
        return 1

    assert await invoke(lambda: late()) == 1


class Callable:
    async def __call__(self, name: str) -> str:
        return name


async def test_an_object_may_be_the_handler() -> None:
    assert await invoke(Callable(), name="n") == "n"


def positional(value: int, /) -> None: ...


def many(*values: int) -> None: ...


def unknown(value: Missing) -> None:  # type: ignore[name-defined]  # noqa: F821
    ...


class Odd: ...


def odd(value: Odd) -> None: ...


@pytest.mark.parametrize("handler", [positional, many, unknown, odd, 3])
def test_what_cannot_be_called_with_json_is_refused_at_once(handler: Any) -> None:
    with pytest.raises(errors.MisuseError):
        Action("x", "", handler)


def test_a_given_schema_is_kept_whole() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}, "additionalProperties": False}
    assert Action("x", "", lambda **_: None, schema).tool.parameters == schema


@pytest.mark.parametrize("handler", [lambda: 1, 3])
def test_what_has_no_name_is_not_an_action(handler: Any) -> None:
    with pytest.raises(errors.MisuseError):
        CopilotRuntime(actions=[handler])
