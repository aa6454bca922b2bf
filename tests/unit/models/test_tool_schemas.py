from __future__ import annotations

from typing import Any

import pytest

from copilotkit_runtime.providers.models.tool_schemas import tool_schema

STRING = {"type": "string"}
NUMBER = {"type": "number"}


def refused(schema: dict[str, Any]) -> str | None:
    """What OpenAI or Anthropic refuse a tool for."""
    if schema.get("type") != "object":
        return "no object"
    if "properties" not in schema:
        return "no properties"
    if top := {"anyOf", "oneOf", "allOf", "enum", "not", "const", "$ref", "if"} & set(schema):
        return f"{top} at the top"
    return None


@pytest.mark.parametrize(
    ("given", "properties", "required"),
    [
        ({}, {}, []),
        (None, {}, []),
        ([], {}, []),
        (True, {}, []),
        ({"type": "object"}, {}, []),
        ({"type": ["object", "null"]}, {}, []),
        ({"type": "string"}, {}, []),
        ({"properties": {"a": STRING}}, {"a": STRING}, []),
        ({"type": "object", "properties": None, "required": None}, {}, []),
        ({"properties": {"a": True, "b": {}}}, {"a": {}, "b": {}}, []),
        ({"properties": {"a": STRING}, "required": ["a", "ghost", 5]}, {"a": STRING}, ["a"]),
        ({"properties": {"a": STRING}, "anyOf": [{"required": ["a"]}]}, {"a": STRING}, ["a"]),
        (
            {"properties": {"a": STRING, "b": STRING}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
            {"a": STRING, "b": STRING},
            [],
        ),
        (
            {
                "oneOf": [
                    {"properties": {"k": STRING, "a": STRING}, "required": ["k", "a"]},
                    {"properties": {"k": STRING, "b": NUMBER}, "required": ["k", "b"]},
                ]
            },
            {"k": STRING, "a": STRING, "b": NUMBER},
            ["k"],
        ),
        (
            {
                "allOf": [
                    {"properties": {"a": STRING}, "required": ["a"]},
                    {"properties": {"b": NUMBER}, "required": ["b"]},
                ],
                "properties": {"c": STRING},
                "required": ["c"],
            },
            {"a": STRING, "b": NUMBER, "c": STRING},
            ["c", "a", "b"],
        ),
        (
            {"$ref": "#/$defs/In", "$defs": {"In": {"properties": {"a": STRING}, "required": ["a"]}}},
            {"a": STRING},
            ["a"],
        ),
        ({"$ref": "#/$defs/Nowhere"}, {}, []),
        ({"$ref": "#"}, {}, []),
        ({"properties": {"a": STRING}, "not": {"required": ["a"]}, "enum": [1]}, {"a": STRING}, []),
        ({"properties": {"l": {"type": "array"}}}, {"l": {"type": "array", "items": {}}}, []),
        ({"properties": {"items": STRING, "required": NUMBER}}, {"items": STRING, "required": NUMBER}, []),
    ],
)
def test_every_schema_becomes_an_object_with_properties(given: Any, properties: Any, required: list[str]) -> None:
    schema = tool_schema(given)
    assert refused(schema) is None
    assert (schema["properties"], schema.get("required", [])) == (properties, required)


def test_a_schema_that_vendors_take_stays_as_it_is() -> None:
    given = {
        "type": "object",
        "properties": {"a": {"anyOf": [STRING, {"type": "null"}]}, "b": {"$ref": "#/$defs/B"}, "c": {"enum": ["x"]}},
        "required": ["a"],
        "additionalProperties": False,
        "$defs": {"B": {"type": "array", "items": STRING}},
    }
    assert tool_schema(given) == given


def test_what_is_nested_is_completed_and_names_are_not_taken_for_keywords() -> None:
    nested = {"type": "object", "properties": {"properties": {"type": "array"}, "anyOf": True}}
    schema = tool_schema({"$schema": "x", "properties": {"deep": {"anyOf": [nested, {"items": True}]}}})
    completed = {"type": "object", "properties": {"properties": {"type": "array", "items": {}}, "anyOf": {}}}
    assert schema == {"type": "object", "properties": {"deep": {"anyOf": [completed, {"items": {}}]}}}


@pytest.mark.parametrize(
    "hostile",
    [
        {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}},
        {"anyOf": [{"$ref": "#/$defs/A"}], "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/A"}]}}},
    ],
    ids=["circle", "circles that branch"],
)
def test_a_schema_that_points_at_itself_comes_to_an_end(hostile: dict[str, Any]) -> None:
    assert refused(tool_schema(hostile)) is None


def test_a_schema_that_is_nested_deeper_than_any_tool_is_passed_on() -> None:
    deep: dict[str, Any] = {}
    for _ in range(400):
        deep = {"properties": {"a": deep}}
    assert refused(tool_schema(deep)) is None
