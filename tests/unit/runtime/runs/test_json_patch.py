"""JSON Patch does what RFC 6902 requires; the examples of its appendix A are among the cases."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilotkit_runtime.runtime.runs.json_patch import JsonPatchError, apply_patch

DONE: list[tuple[Any, list[dict[str, Any]], Any]] = [
    # Appendix A.
    ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"baz": "qux", "foo": "bar"}),
    ({"foo": ["bar", "baz"]}, [{"op": "add", "path": "/foo/1", "value": "qux"}], {"foo": ["bar", "qux", "baz"]}),
    ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),
    ({"foo": ["bar", "qux", "baz"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["bar", "baz"]}),
    (
        {"baz": "qux", "foo": "bar"},
        [{"op": "replace", "path": "/baz", "value": "boo"}],
        {"baz": "boo", "foo": "bar"},
    ),
    (
        {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
        [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
        {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
    ),
    (
        {"foo": ["all", "grass", "cows", "eat"]},
        [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
        {"foo": ["all", "cows", "eat", "grass"]},
    ),
    (
        {"baz": "qux", "foo": ["a", 2, "c"]},
        [{"op": "test", "path": "/baz", "value": "qux"}, {"op": "test", "path": "/foo/1", "value": 2}],
        {"baz": "qux", "foo": ["a", 2, "c"]},
    ),
    ({"foo": "bar"}, [{"op": "add", "path": "/child", "value": {"x": {}}}], {"foo": "bar", "child": {"x": {}}}),
    ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}], {"foo": "bar", "baz": "qux"}),
    ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
    ({"foo": ["bar"]}, [{"op": "add", "path": "/foo/-", "value": ["abc"]}], {"foo": ["bar", ["abc"]]}),
    # Around it.
    ({"a": 1}, [{"op": "add", "path": "/a", "value": None}], {"a": None}),
    ({"a": 1}, [{"op": "add", "path": "", "value": [1]}], [1]),
    ({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}], {"b": 2}),
    ({}, [{"op": "add", "path": "/", "value": 1}], {"": 1}),
    ({"": {"": 1}}, [{"op": "remove", "path": "//"}], {"": {}}),
    ({"a/b": 1}, [{"op": "remove", "path": "/a~1b"}], {}),
    ({"1": [0]}, [{"op": "add", "path": "/1/1", "value": 1}], {"1": [0, 1]}),
    ([], [{"op": "add", "path": "/0", "value": 1}], [1]),
    ([1, 2], [{"op": "copy", "from": "/0", "path": "/-"}], [1, 2, 1]),
    ({"a": 1}, [{"op": "move", "from": "/a", "path": "/a"}], {"a": 1}),
    ({"a": {"b": 1}, "c": 0}, [{"op": "move", "from": "/a/b", "path": "/a"}], {"a": 1, "c": 0}),
    ({"a": 1}, [{"op": "test", "path": "/a", "value": 1.0}], {"a": 1}),
    ({"a": {}}, [{"op": "copy", "from": "/a", "path": "/b"}, {"op": "add", "path": "/b/c", "value": 1}],
     {"a": {}, "b": {"c": 1}}),
    ({"a": 1}, [], {"a": 1}),
]  # fmt: skip

REFUSED: list[tuple[Any, Any]] = [
    # Appendix A.
    ({"baz": "qux"}, [{"op": "test", "path": "/baz", "value": "bar"}]),
    ({"foo": "bar"}, [{"op": "add", "path": "/baz/bat", "value": "qux"}]),
    ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": "10"}]),
    # The patch itself.
    ({}, {"op": "add", "path": "/a", "value": 1}),
    ({}, "add"),
    ({}, None),
    ({}, ["add"]),
    ({}, [{"path": "/a", "value": 1}]),
    ({}, [{"op": "spam", "path": "/a", "value": 1}]),
    ({}, [{"op": ["add"], "path": "/a", "value": 1}]),
    ({}, [{"op": "add", "value": 1}]),
    ({}, [{"op": "add", "path": None, "value": 1}]),
    ({}, [{"op": "add", "path": "a", "value": 1}]),
    ({}, [{"op": "add", "path": "/~2", "value": 1}]),
    ({}, [{"op": "add", "path": "/a"}]),
    ({"a": 1}, [{"op": "replace", "path": "/a"}]),
    ({"a": None}, [{"op": "test", "path": "/a"}]),
    ({"a": 1}, [{"op": "move", "path": "/b"}]),
    ({"a": 1}, [{"op": "copy", "path": "/b"}]),
    # Places.
    ({}, [{"op": "remove", "path": "/a"}]),
    ({}, [{"op": "remove", "path": ""}]),
    ({}, [{"op": "replace", "path": "/a", "value": 1}]),
    ({}, [{"op": "test", "path": "/a", "value": None}]),
    ({}, [{"op": "copy", "from": "/a", "path": "/b"}]),
    ({"a": {"b": 1}}, [{"op": "move", "from": "/a", "path": "/a/b"}]),
    ({"a": "text"}, [{"op": "add", "path": "/a/0", "value": "x"}]),
    ({"a": "text"}, [{"op": "test", "path": "/a/0", "value": "t"}]),
    # Indexes.
    ([1, 2], [{"op": "add", "path": "/3", "value": 1}]),
    ([1, 2], [{"op": "add", "path": "/-1", "value": 1}]),
    ([1, 2], [{"op": "add", "path": "/01", "value": 1}]),
    ([1, 2], [{"op": "add", "path": "/1e0", "value": 1}]),
    ([1, 2], [{"op": "add", "path": "/\u0661", "value": 1}]),
    ([1, 2], [{"op": "add", "path": "/", "value": 1}]),
    ([1, 2], [{"op": "remove", "path": "/2"}]),
    ([1, 2], [{"op": "remove", "path": "/-"}]),
    ([1, 2], [{"op": "replace", "path": "/-", "value": 1}]),
    ([1, 2], [{"op": "remove", "path": "/" + "9" * 100_000}]),
    # Equality is JSON's.
    ({"a": 1}, [{"op": "test", "path": "/a", "value": True}]),
    ({"a": [0]}, [{"op": "test", "path": "/a", "value": [False]}]),
    ({"a": [1]}, [{"op": "test", "path": "/a", "value": [1, 2]}]),
    ({"a": {"b": 1}}, [{"op": "test", "path": "/a", "value": {"c": 1}}]),
    ({"a": []}, [{"op": "test", "path": "/a", "value": {}}]),
]


@pytest.mark.parametrize(("document", "patch", "result"), DONE)
def test_a_patch_that_fits_is_applied_and_leaves_the_document(
    document: Any, patch: list[dict[str, Any]], result: Any
) -> None:
    before = copy.deepcopy(document)
    assert apply_patch(document, patch) == result
    assert document == before


@pytest.mark.parametrize(("document", "patch"), REFUSED)
def test_a_patch_that_does_not_fit_is_refused_and_leaves_the_document(document: Any, patch: Any) -> None:
    before = copy.deepcopy(document)
    with pytest.raises(JsonPatchError):
        apply_patch(document, patch)
    assert document == before


def test_a_patch_is_applied_as_a_whole_or_not_at_all() -> None:
    document = {"a": [1]}
    with pytest.raises(JsonPatchError):
        apply_patch(document, [{"op": "add", "path": "/a/-", "value": 2}, {"op": "remove", "path": "/b"}])
    assert document == {"a": [1]}


def test_what_a_patch_does_not_touch_is_shared_and_what_it_brings_is_not_changed_by_later_operations() -> None:
    document, brought = {"large": {"x": [1]}, "small": {"y": [2]}}, {"z": [3]}
    patch = [{"op": "add", "path": "/new", "value": brought}, {"op": "add", "path": "/new/z/-", "value": 4}]
    patched = apply_patch(document, patch)
    assert patched["large"] is document["large"]
    assert (brought, patched["new"]) == ({"z": [3]}, {"z": [3, 4]})


def test_a_deep_value_is_compared_without_the_interpreters_stack() -> None:
    left: list[Any] = []
    right: list[Any] = []
    for _ in range(100_000):
        left, right = [left], [right]
    apply_patch({"a": left}, [{"op": "test", "path": "/a", "value": right}])


def test_a_document_that_is_copied_into_itself_does_not_grow_without_bound() -> None:
    doubling = [{"op": "copy", "from": "", "path": f"/{number}"} for number in range(64)]
    with pytest.raises(JsonPatchError, match="too large"):
        apply_patch({}, doubling)


MANY = 20_000
_THERE_AND_BACK = [("move", {"from": "/a", "path": "/c"}), ("move", {"from": "/c", "path": "/a"})]
LONG: dict[str, Any] = {"a": list(range(90_000)), "b": {}}


@pytest.mark.parametrize(
    "patch",
    [
        [{"op": "copy", "from": "/a", "path": f"/b/{n}"} for n in range(MANY)],
        [{"op": "add", "path": "/a/0", "value": 1}] * MANY,
        [{"op": "move", "from": "/a/0", "path": "/a/-"}] * MANY,
        [{"op": op, **at} for _ in range(MANY) for op, at in _THERE_AND_BACK],
    ],
    ids=["copies", "insertions", "rotations", "moves"],
)
def test_a_patch_of_few_words_for_much_work_is_refused(patch: Any) -> None:
    with pytest.raises(JsonPatchError):
        apply_patch(LONG, patch)
    apply_patch(LONG, patch[:10])


@pytest.mark.parametrize("times", [1, 1000])
def test_a_document_does_not_nest_deeper_than_can_be_written(times: int) -> None:
    deeper = [
        {"op": "add", "path": "/n", "value": {}},
        {"op": "move", "from": "/r", "path": "/n/c"},
        {"op": "move", "from": "/n", "path": "/r"},
    ]
    apply_patch({"r": {}}, deeper * 150)
    with pytest.raises(JsonPatchError):
        apply_patch({"r": {}}, [*deeper * 150, {"op": "add", "path": "/r" + "/c" * 150, "value": _nested(50 * times)}])


def _nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab~/0", max_size=2), inner, max_size=3),
    max_leaves=12,
)


def pointers(value: Any, above: str = "") -> list[str]:
    """All places in a value."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    names = [(str(name).replace("~", "~0").replace("/", "~1"), inner) for name, inner in members]
    return [above, *(place for name, inner in names for place in pointers(inner, f"{above}/{name}"))]


@given(VALUES, st.data())
def test_a_value_that_is_added_is_found_there_and_removing_it_restores_the_document(
    document: Any, data: st.DataObject
) -> None:
    place, value = data.draw(st.sampled_from(pointers(document))), data.draw(VALUES)
    found = {"op": "test", "path": place, "value": value}
    apply_patch(document, [{"op": "replace", "path": place, "value": value}, found])
    if place and place.rpartition("/")[2].isdigit() and isinstance(_at(document, place.rpartition("/")[0]), list):
        added = apply_patch(document, [{"op": "add", "path": place, "value": value}, found])
        assert apply_patch(added, [{"op": "remove", "path": place}]) == document


def _at(document: Any, pointer: str) -> Any:
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        document = document[int(name)] if isinstance(document, list) else document[name]
    return document
