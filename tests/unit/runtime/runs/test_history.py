from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from copilotkit_runtime.runtime.messages import Message, TextMessage, ToolCallMessage, ToolResultMessage
from copilotkit_runtime.runtime.runs.history import insert_turn, leaves_out, merge_messages, without_instructions

EARLY = datetime(2026, 1, 1, tzinfo=UTC)
ASKED = EARLY + timedelta(minutes=1)
LATE = EARLY + timedelta(minutes=2)


def said(*ids: str, at: datetime = EARLY) -> list[Message]:
    return [TextMessage(id=id_, role="user", content=id_, created_at=at) for id_ in ids]


def ids(kept: list[Message], asked: list[Message], added: list[Message]) -> list[str]:
    return [message.id for message in merge_messages(kept, asked, added, ASKED)]


def test_a_first_turn_is_kept() -> None:
    assert ids([], said("u1"), said("a1")) == ["u1", "a1"]


def test_a_client_that_sends_the_whole_thread_repeats_nothing() -> None:
    assert ids(said("u1", "a1"), said("u1", "a1", "u2"), said("a2")) == ["u1", "a1", "u2", "a2"]


def test_a_client_that_sends_only_what_is_new_loses_nothing() -> None:
    assert ids(said("u1", "a1"), said("u2"), said("a2")) == ["u1", "a1", "u2", "a2"]


def test_what_the_client_took_back_is_gone() -> None:
    assert ids(said("u1", "a1", "u2", "a2"), said("u1"), said("a3")) == ["u1", "a3"]


def test_what_was_written_after_the_request_stays() -> None:
    kept = [*said("u1"), *said("a1", at=LATE)]
    assert ids(kept, said("u1", "u2"), said("a2")) == ["u1", "u2", "a1", "a2"]


def test_what_earlier_runs_have_stored_since_the_request_stays_in_front_of_it() -> None:
    kept = said("u0", "a0", "old", "u1", "a1")
    merged = merge_messages(kept, said("u0", "a0", "u2"), said("a2"), ASKED, {"u1", "a1"})
    assert [message.id for message in merged] == ["u0", "a0", "u1", "a1", "u2", "a2"]


def test_a_client_leaves_out_what_is_behind_its_last_known_message_unless_it_wants_that_answered_anew() -> None:
    kept = said("u0", "a0", "u1", "a1")
    assert leaves_out(kept, said("u0", "a0", "u2"))
    assert not leaves_out(kept, said("u0"))
    assert not leaves_out(kept, said("u0", "a0", "u1", "a1", "u2"))
    assert not leaves_out(kept, said("u2"))


def test_an_answer_of_which_the_client_has_only_the_beginning_stays_whole() -> None:
    def answer(content: str) -> Message:
        return TextMessage(id="a1", role="assistant", content=content, created_at=EARLY)

    def kept(sent: str) -> list[str]:
        asked = [*said("u1"), answer(sent), *said("u2")]
        merged = merge_messages([*said("u1"), answer("Hello world")], asked, [], ASKED)
        return [message.content for message in merged if isinstance(message, TextMessage)]

    assert kept("Hel") == ["u1", "Hello world", "u2"]
    assert kept("Bye") == ["u1", "Bye", "u2"]


def test_a_turn_that_was_sent_twice_at_once_has_the_later_answer() -> None:
    answer = TextMessage(id="a1", role="assistant", content="first", created_at=LATE)
    thread = [*said("u1"), answer]
    assert ids(thread, said("u1"), said("a2")) == ["u1", "a2"]
    assert ids([*thread, *said("u2", at=LATE)], said("u1"), said("a2")) == ["u1", "u2", "a2"], "another tab's"
    assert ids(thread, said("u1", "u2"), said("a2")) == ["u1", "u2", "a1", "a2"], "the next turn takes nothing back"


def test_a_message_that_is_sent_again_keeps_its_place_and_has_its_new_text() -> None:
    again = TextMessage(id="a1", role="assistant", content="new", created_at=EARLY)
    result = merge_messages(said("u1", "a1"), said("u1", "a1", "u2"), [again], ASKED)
    assert [message.id for message in result] == ["u1", "a1", "u2"]
    assert isinstance(result[1], TextMessage)
    assert result[1].content == "new"


def instructions(*ids: str) -> list[Message]:
    return [TextMessage(id=id_, role="system", content="Be kind.", created_at=EARLY) for id_ in ids]


def test_instructions_at_the_head_are_not_part_of_the_thread() -> None:
    asked = [*instructions("s2"), *said("u1", "a1", "u2")]
    assert ids([*instructions("s1"), *said("u1", "a1")], asked, said("a2")) == ["u1", "a1", "u2", "a2"]
    assert ids([], [*instructions("s2", "s1"), *said("u1")], said("a1")) == ["u1", "a1"]


def test_a_system_message_within_the_thread_stays() -> None:
    thread = [*said("u1"), *instructions("note"), *said("u2")]
    assert without_instructions([*instructions("s1"), *thread]) == thread
    assert ids([], thread, said("a2")) == ["u1", "note", "u2", "a2"]


def replied(id_: str, text: str) -> Message:
    return TextMessage(id=id_, role="assistant", content=text, created_at=LATE)


def test_a_late_turn_takes_the_place_of_the_part_that_another_process_has_stored() -> None:
    kept = [*said("u1", at=LATE), replied("a1", "Half of"), *said("u2", at=LATE), replied("a2", "Next.")]
    whole = insert_turn(kept, said("u1"), [replied("a1", "Half of it.")], ASKED)
    assert insert_turn(whole, said("u1"), [replied("a1", "Half of")], ASKED) == whole, "in whichever order"
    assert [(message.id, getattr(message, "content", "")) for message in whole] == [
        ("u1", "u1"),
        ("a1", "Half of it."),
        ("u2", "u2"),
        ("a2", "Next."),
    ]


def test_a_late_turn_leaves_what_a_later_one_said_under_the_same_id() -> None:
    kept = [*said("u1", "u2", at=LATE), replied("a", "Yes")]
    whole = insert_turn(kept, said("u1"), [replied("a", "Yes, again.")], ASKED)
    assert [message.id for message in whole] == ["u1", "a-2", "u2", "a"]


def test_what_the_client_did_not_send_stays_in_its_place() -> None:
    kept = [*said("u0"), replied("a0", "Not sent."), *said("u1"), replied("a1", "Neither."), *said("u2")]
    order = ids(kept, said("u0", "u2", "u3"), [replied("a3", "Yes.")])
    assert order == ["u0", "a0", "u1", "a1", "u2", "u3", "a3"]


def test_a_new_answer_without_a_word_leaves_the_old_one() -> None:
    kept = [*said("u1"), TextMessage(id="a1", role="assistant", content="Old.", created_at=EARLY)]
    assert ids(kept, said("u1"), []) == ["u1", "a1"]


def test_a_late_turn_that_said_nothing_leaves_the_other_answer() -> None:
    kept = [*said("u1"), replied("a1", "Whole.")]
    assert insert_turn(kept, said("u1"), [], ASKED) == kept


@pytest.mark.parametrize(("late", "left"), [(-1, "second"), (1, "first")])
def test_of_two_answers_to_one_message_the_one_that_began_later_is_left(late: int, left: str) -> None:
    answered = [replied("second", "Again.")]
    added = [replied("first", "Once.")]
    added[0].created_at = answered[0].created_at + timedelta(seconds=late)
    kept = [*said("u1"), *answered, *said("u2", at=LATE + timedelta(minutes=1))]
    assert [message.id for message in insert_turn(kept, said("u1"), added, ASKED)] == ["u1", left, "u2"]


def test_a_late_turn_loses_no_question_of_a_client_whose_clock_is_slow() -> None:
    kept = [*said("u0", "u2"), replied("a2", "Next."), *said("u3"), replied("a3", "And so on.")]
    whole = insert_turn(kept, said("u0", "u1"), [replied("a1", "Late.")], ASKED)
    assert [message.id for message in whole] == ["u0", "u1", "a1", "u2", "a2", "u3", "a3"]


def called(arguments: dict[str, object] | None = None) -> Message:
    return ToolCallMessage(id="c", name="look", arguments=arguments or {}, created_at=LATE)


def result(text: str, id_: str = "result-c") -> Message:
    return ToolResultMessage(id=id_, tool_call_id="c", tool_name="look", result=text, created_at=LATE)


def test_a_part_of_a_turn_takes_nothing_of_its_tool_calls_from_the_whole_whichever_comes_first() -> None:
    part = [called(), result('{"status":"failed"}')]
    whole = [called({"where": "there"}), result("a cat"), replied("a1", "A cat.")]
    stored = [*said("u1"), *whole]
    assert insert_turn(stored, said("u1"), part, ASKED) == stored
    assert insert_turn([*said("u1"), *part], said("u1"), whole, ASKED) == stored


def test_a_call_stays_in_front_of_its_result_which_the_client_sent_before_the_late_turn_was_stored() -> None:
    later = LATE + timedelta(minutes=1)
    answer = TextMessage(id="a2", role="assistant", content="Shown.", created_at=later)
    kept = [*said("u1"), called({"n": 1}), result("done", "client's"), answer]
    assert insert_turn(kept, said("u1"), [called({"n": 1})], ASKED) == kept
    told = [replied("a1", "I show it."), called({"n": 1})]
    assert insert_turn(kept, said("u1"), told, ASKED) == [kept[0], *told, *kept[2:]]
