from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from copilotkit_runtime.runtime.call_ids import CallIds, prompt_ids, vendor_id
from copilotkit_runtime.runtime.messages import TextMessage, ToolCallMessage, ToolResultMessage

vendor_ids = st.sampled_from(["call_0", "functions.search:0", "0", "a.ck12345678", "\ud83d", "line\nend"])


def test_a_free_id_stays_the_vendors() -> None:
    assert CallIds().assign("call_0") == "call_0"


def test_a_call_without_an_id_gets_one() -> None:
    ids = CallIds()
    made = [ids.assign(None), ids.assign("")]
    assert all(id_.startswith("call_") for id_ in made)
    assert len(set(made)) == 2


def test_the_ids_of_a_thread_are_those_of_all_its_messages() -> None:
    thread = [
        TextMessage(id="t", role="user", content=""),
        ToolCallMessage(id="c", name="act", arguments={}),
        ToolResultMessage(id="r", tool_call_id="gone", tool_name="act", result=""),
    ]
    ids = CallIds.of(thread)
    assert all(id_ in ids for id_ in ("t", "c", "r", "gone"))
    assert "free" not in ids
    assert ids.assign("t") != "t"


@given(st.lists(vendor_ids, max_size=8))
def test_every_call_has_an_id_of_its_own_that_leads_back(given_ids: list[str]) -> None:
    ids = CallIds(["call_0"])
    assigned = [ids.assign(id_) for id_ in given_ids]
    assert len({*assigned, "call_0"}) == len(given_ids) + 1
    for given_id, own in zip(given_ids, assigned, strict=True):
        assert own == given_id or vendor_id(own) == given_id


@given(st.lists(st.tuples(vendor_ids, st.sampled_from("abc")), max_size=8))
def test_with_a_scope_the_same_call_has_the_same_id_wherever_it_is_read(calls: list[tuple[str, str]]) -> None:
    one, other = CallIds(), CallIds()
    first = [one.assign(*call) for call in calls]
    assert [other.assign(*call) for call in calls] == first
    assert [one.assign(*call) for call in calls] == first
    assert len(set(first)) == len(set(calls))


@given(st.lists(st.sampled_from(["a", "a.ck00000000", "a.ck00000000.ck11111111", "a.ck22222222"]), unique=True))
def test_no_prompt_holds_an_id_twice(call_ids: list[str]) -> None:
    shown = prompt_ids(call_ids)
    assert list(shown) == call_ids
    assert len(set(shown.values())) == len(call_ids)


def test_a_vendor_reads_its_own_id_where_no_other_call_has_it() -> None:
    ids = CallIds(["call_0"])
    again = ids.assign("call_0")
    assert prompt_ids([again]) == {again: "call_0"}
    assert prompt_ids(["call_0", again]) == {"call_0": "call_0", again: again}
