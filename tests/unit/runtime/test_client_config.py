"""What clients may set of a run's configuration."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilotkit_runtime import RuntimeConfig
from copilotkit_runtime.runtime.client_config import (
    MAX_RECURSION_LIMIT,
    ClientConfigRules,
    allowed_names,
    is_framework_name,
    recursion_limit,
)

FRAMEWORKS = [
    "thread_id",
    "threadId",
    "THREAD-ID",
    " thread_id ",
    "\uff54hread_id",
    "run_id",
    "assistant_id",
    "graph_id",
    "checkpoint_id",
    "checkpoint_ns",
    "checkpointMap",
    "__pregel_send",
    "__pregel_store",
    "__anything",
    "langgraph_auth_user",
    "Langgraph-Auth-User",
    "langgraphAuthUserId",
    "LANGGRAPH.AUTH.USER",
    "\uff4canggraph_auth_user",
    "langsmith_project",
    "ls_provider",
    "copilotkit",
    "copilotkit_forwarded_headers",
    "x-user",
    "X_User",
    "ag-ui",
]
ODD = [
    "l\u0430nggraph_auth_user",  # the second letter is Cyrillic
    "to\u200bne",
    "",
    "1",
    "a b",
    "a" * 65,
    "tone\n",
    "user_id",
    "UserId",
    "identity",
    "callbacks",
    "store",
    "checkpointer",
    "metadata",
    "source",
    "step",
]
OPEN = ClientConfigRules(opened=("user_id",))
ODD_LIMITS: list[Any] = [0, -1, float("nan"), True, False, "7", None, [7], {}]
LEFT_TO_THE_PROVIDER = ClientConfigRules(declares=True)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_nothing_gives_a_client_a_name_of_a_framework(name: str) -> None:
    assert is_framework_name(name)
    assert allowed_names({name: 1}, declared={name}, opened={name}, authenticated=False) == {}
    for rules in (ClientConfigRules(opened=(name,), declares=True, authenticated=False), ClientConfigRules()):
        places = {"configurable": {name: 1}, "context": {name: 1}, "metadata": {name: 1}, name: 1}
        assert rules.config(places) == {"configurable": {}, "context": {}, "metadata": {}}


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_the_application_cannot_open_a_name_of_a_framework(name: str) -> None:
    with pytest.raises(ValueError, match="frameworks set themselves"):
        RuntimeConfig(client_config_keys=(name,))


@pytest.mark.parametrize("name", ODD)
def test_an_agent_that_declares_nothing_is_given_ordinary_names_alone(name: str) -> None:
    assert allowed_names({name: 1, "tone": "kind", "my-key": 2, "a.b": 3}) == {"tone": "kind", "my-key": 2, "a.b": 3}


def test_an_agent_that_declares_names_is_given_no_others() -> None:
    sent = {"tone": "kind", "other": 1}
    assert allowed_names(sent, declared={"tone"}) == {"tone": "kind"}
    assert allowed_names(sent, declared=()) == {}
    assert allowed_names(sent, declared=(), opened={"other"}) == {"other": 1}


def test_a_declared_name_of_the_caller_is_the_client_s_only_if_nobody_was_authenticated() -> None:
    assert allowed_names({"user_id": "ann"}, declared={"user_id"}) == {}
    assert allowed_names({"user_id": "ann"}, declared={"user_id"}, authenticated=False) == {"user_id": "ann"}
    assert LEFT_TO_THE_PROVIDER.config({"context": {"user_id": "ann", "x": 1}}) == {"context": {"x": 1}}


def test_what_the_application_opened_is_the_client_s() -> None:
    sent = {"user_id": 1, "callbacks": [], "configurable": {"user_id": 2}, "context": {"identity": 3}}
    assert OPEN.config(sent) == {"user_id": 1, "configurable": {"user_id": 2}, "context": {}}


def test_of_a_configuration_only_the_places_of_data_are_read() -> None:
    sent = {
        "callbacks": ["x"],
        "store": {},
        "run_name": "x",
        "max_concurrency": 10**9,
        "config": {"configurable": {}},
        "configurable": "no mapping",
        "metadata": [1],
        "tags": "no list",
        "streamSubgraphs": "yes",
    }
    assert ClientConfigRules().config(sent) == {}


@pytest.mark.parametrize(
    ("asked", "given_"),
    [(7, 7), (10**400, 500), (1e308, 500), (float("inf"), 500), (1.9, 1)] + [(odd, None) for odd in ODD_LIMITS],
)
@pytest.mark.parametrize("name", ["recursion_limit", "recursionLimit"])
def test_a_recursion_limit_is_a_number_up_to_the_highest(name: str, asked: Any, given_: int | None) -> None:
    expected = {} if given_ is None else {name: given_}
    assert recursion_limit({name: asked}) == given_
    assert ClientConfigRules().config({name: asked}) == expected
    assert ClientConfigRules().properties({name: asked, "config": {name: asked}}) == {**expected, "config": expected}


def test_tags_by_which_frameworks_hide_a_run_are_dropped() -> None:
    tags = ["blue", "team:red", "nostream", "langsmith:nostream", "langsmith:hidden", "hidden", 3, "y" * 1000]
    assert ClientConfigRules().config({"tags": tags}) == {"tags": ["blue", "team:red", "y" * 200]}
    assert len(ClientConfigRules().config({"tags": ["a"] * 1000})["tags"]) == 50


def test_properties_have_any_name_but_those_that_frameworks_trust() -> None:
    forged = {"langgraph_auth_user": 1, "LangGraph-Auth-User": 2, "copilotkit_forwarded_headers": 3}
    kept = {"user_id": 1, "l\u0430nggraph": 2, "metadata": "text", "tags": {}, "context": 5}
    nested = {"configurable": forged, "config": {"configurable": forged, "callbacks": []}}
    cleaned = ClientConfigRules().properties({**forged, **kept, **nested})
    assert cleaned == {**kept, "configurable": {}, "config": {"configurable": {}}}


@pytest.mark.parametrize("config", ["config", "Config", "CONFIG", "\uff43onfig", " config"])
@pytest.mark.parametrize("place", ["configurable", "Configurable", "context", "CONTEXT", "meta-data"])
def test_a_configuration_under_another_spelling_is_one_to_adapters_that_fold_names(config: str, place: str) -> None:
    forged = {"langgraph_auth_user": 1, "user_id": 2, "thread_id": 3}
    cleaned = ClientConfigRules().properties({config: {"callbacks": [], "configurable": forged}, place: forged})
    assert cleaned == {config: {"configurable": {}}, place: {}}


@pytest.mark.parametrize("name", ["Recursion-Limit", "RECURSION_LIMIT", "recursion limit"])
def test_a_recursion_limit_under_another_spelling_is_bounded(name: str) -> None:
    assert ClientConfigRules().properties({name: 10**9}) == {name: MAX_RECURSION_LIMIT}
    assert ClientConfigRules().properties({name: "7"}) == {}


def test_the_number_of_names_is_bounded() -> None:
    assert len(allowed_names({f"n{index}": index for index in range(1000)})) == 100


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from((*FRAMEWORKS, *ODD)) | st.text(), inner)
    ),
    max_leaves=8,
)
PLACES = st.sampled_from(["configurable", "context", "metadata", "tags", "config", "recursion_limit", "tone"])


@given(st.dictionaries(PLACES | st.sampled_from((*FRAMEWORKS, *ODD)) | st.text(max_size=5), JSON), st.booleans())
def test_what_is_left_is_left_again_and_holds_no_name_of_a_framework(sent: dict[str, Any], declares: bool) -> None:
    rules = ClientConfigRules(declares=declares)
    config = rules.config(sent)
    assert repr(rules.config(config)) == repr(config)
    for place in ("configurable", "context", "metadata"):
        assert not [name for name in config.get(place, ()) if is_framework_name(name)]
    assert config.keys() <= {"configurable", "context", "metadata", "tags", "recursion_limit"}
    assert recursion_limit(config) is None or recursion_limit(config) <= MAX_RECURSION_LIMIT  # type: ignore[operator]
