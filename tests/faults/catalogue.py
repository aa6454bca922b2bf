"""The faults, each with the tests that show what becomes of runs, threads and clients."""

from __future__ import annotations

_STORES = "tests/integration/stores"
_RUNS = "tests/integration/runtime/runs"
_INPUT = "tests/integration/wires/graphql/test_bad_input.py"
_SERVER = "tests/integration/server"
_TABS = "tests/integration/wires/agui/test_tabs.py"
_NEW = "tests/faults/test_faults.py"
_CLIENTS = "tests/faults/test_clients.py"

FAULTS: dict[str, tuple[str, ...]] = {
    "the connection drops in mid-token": (
        f"{_RUNS}/test_runs.py::test_a_client_that_leaves_cancels_its_run_within_a_second_and_keeps_what_was_sent",
        f"{_RUNS}/test_runs.py::test_a_run_may_outlive_its_client",
    ),
    "a client reads 1 kB/s": (
        "tests/integration/wires/agui/test_slow_readers.py::"
        "test_a_reader_at_a_kilobyte_a_second_neither_delays_a_fast_one_nor_costs_memory",
        f"{_NEW}::test_a_slow_reader_holds_up_nobody_else",
    ),
    "a client reconnects at every offset": (
        f"{_STORES}/test_followed_runs.py::test_every_offset_of_a_run_of_200_events_leads_to_the_same_end",
        f"{_STORES}/test_run_logs.py::test_every_offset_of_a_run_is_followed_by_its_rest",
    ),
    "a client reconnects after expiry": (f"{_NEW}::test_a_thread_that_has_expired_is_followed_by_nobody",),
    "a tab sleeps for a minute": (
        f"{_TABS}::test_a_tab_that_was_asleep_for_a_minute_finds_what_it_missed",
        "tests/integration/runtime/runs/test_runs.py::"
        "test_a_tab_that_was_asleep_while_its_run_went_on_gets_the_whole_answer_once",
    ),
    "two tabs use one thread": (
        f"{_TABS}::test_two_tabs_of_one_thread_take_turns_and_both_find_all_of_it",
        f"{_CLIENTS}::test_two_tabs_that_send_at_once_are_answered_one_after_the_other",
    ),
    "two tabs follow one run": (
        f"{_CLIENTS}::test_two_tabs_on_one_thread_see_the_same_run",
        f"{_STORES}/test_followed_runs.py::test_twenty_readers_join_and_leave_at_random",
    ),
    "a turn is submitted twice": (
        f"{_STORES}/test_double_submits.py::"
        "test_a_turn_that_is_submitted_twice_within_ten_milliseconds_is_shown_and_kept_once",
        f"{_TABS}::test_a_turn_that_is_submitted_twice_at_once_is_kept_once",
        f"{_RUNS}/test_thread_lock.py::test_a_turn_that_is_sent_twice_is_kept_once",
    ),
    "a stop comes before its run, or means several": (f"{_RUNS}/test_early_stops.py",),
    "the connection for news of runs is lost": (
        f"{_STORES}/test_run_news.py::test_a_lost_connection_is_replaced_and_nothing_is_missed",
        f"{_STORES}/test_run_news.py::test_followers_outlast_a_restart_of_the_server",
    ),
    "a run is stopped at each event": (
        f"{_STORES}/test_stopped_runs.py::test_stopping_at_each_event_leaves_a_valid_stream",
    ),
    "a run is stopped after its end": (f"{_NEW}::test_a_stop_after_the_end_changes_nothing",),
    "an agent raises once it is stopped": (
        f"{_STORES}/test_stopped_runs.py::test_an_agent_that_raises_once_it_is_stopped_ends_once_and_keeps_what_it_sent",
    ),
    "kill -9": (
        f"{_STORES}/test_durability.py::test_every_finished_turn_survives_a_kill_in_the_middle_of_a_run",
        f"{_STORES}/test_followed_runs.py::test_runs_of_a_killed_process_are_closed_by_another",
        f"{_SERVER}/test_supervisor.py::test_a_worker_that_dies_is_replaced_at_once",
        f"{_SERVER}/test_supervisor.py::test_workers_end_with_the_process_that_started_them",
        f"{_STORES}/test_late_turns.py::test_a_turn_that_waits_for_its_thread_is_stored_though_its_process_is_killed",
    ),
    "SIGTERM with 20 streams": (
        f"{_CLIENTS}::test_sigterm_ends_twenty_streams_each_with_what_was_sent_and_one_end",
        f"{_SERVER}/test_shutdown.py::test_runs_that_take_longer_are_ended_with_a_terminal_event",
        f"{_SERVER}/test_workers.py::test_a_signal_to_the_parent_ends_the_runs_of_all_workers_with_a_terminal_event",
    ),
    "Redis is paused": (
        f"{_STORES}/test_late_turns.py::test_a_turn_waits_in_memory_for_a_store_that_is_away",
        f"{_STORES}/test_outage.py::test_a_server_that_hangs_holds_nobody_up_for_longer_than_the_limits",
    ),
    "PostgreSQL is restarted": (
        f"{_STORES}/test_outage.py::test_every_connection_that_a_restart_cut_is_replaced",
        f"{_STORES}/test_durability.py::test_ten_seconds_without_the_store_lose_no_turn_that_finishes_and_hang_nothing",
    ),
    "a proxy cuts the connection": (
        f"{_TABS}::test_a_run_outlives_a_connection_that_a_proxy_cuts_and_is_joined_again",
        f"{_SERVER}/test_nginx.py::test_a_client_that_leaves_is_noticed_through_the_proxy",
    ),
    "200 runs at once": (
        "tests/integration/langgraph/test_isolation.py::test_two_hundred_runs_of_five_agents_at_once_do_not_cross",
    ),
    "100 runs of every kind at once": (f"{_NEW}::test_a_hundred_runs_of_every_kind_end_as_they_should",),
    "an agent raises before, within and after": (
        f"{_INPUT}::test_an_agent_that_raises_before_its_first_event_fails_its_run",
        f"{_INPUT}::test_an_agent_that_raises_within_a_message_keeps_what_it_sent",
        f"{_INPUT}::test_an_agent_that_raises_within_a_tool_call_fails_the_call",
        f"{_INPUT}::test_an_agent_that_raises_after_its_last_event_fails_its_run",
    ),
    "an agent never ends": (
        f"{_INPUT}::test_an_agent_that_never_ends_is_ended",
        f"{_RUNS}/test_orphans.py::test_a_run_ends_without_an_agent_that_ignores_its_end_and_the_thread_is_free",
    ),
    "odd events": (
        f"{_RUNS}/test_foreign_events.py::test_what_is_not_an_event_is_refused_in_words",
        f"{_RUNS}/test_message_ids.py::test_every_text_is_kept_in_its_place",
        f"{_RUNS}/test_message_ids.py::test_every_call_is_kept_with_its_own_result",
    ),
    "malformed and interleaved arguments": (
        f"{_CLIENTS}::test_malformed_arguments_between_others_fail_their_own_call_alone",
        "tests/integration/runtime/actions/test_actions.py::test_interleaved_calls_keep_their_own_arguments",
    ),
    "guardrails are slow, fail or come late": (
        "tests/integration/runtime/guardrails/test_guardrails.py::"
        "test_a_guardrail_that_fails_or_hangs_follows_the_policy",
        "tests/integration/runtime/guardrails/test_guardrails.py::test_a_verdict_that_comes_late_changes_nothing",
    ),
    "an MCP server is down": (
        "tests/integration/mcp/test_servers.py::test_a_server_that_is_not_there_is_never_fatal",
        "tests/integration/mcp/test_restarts.py::test_a_call_in_flight_ends_with_its_server",
    ),
    "a clock jumps": (
        f"{_STORES}/test_clocks.py::test_a_lock_survives_a_jump_of_the_wall_clock",
        f"{_STORES}/test_clocks.py::test_no_run_is_taken_over_because_a_wall_clock_jumped",
    ),
    "interrupts, every way": ("tests/integration/langgraph/test_interrupts.py",),
    "shorter, edited and foreign histories": ("tests/integration/langgraph/test_history.py",),
    "foreign threads on every verb": (
        "tests/integration/runtime/test_ownership.py::test_nobody_reads_another_whatever_is_done_to_threads",
        "tests/integration/wires/test_every_operation.py"
        "::test_a_stranger_gets_nothing_by_any_operation_and_changes_nothing",
    ),
    "nginx with its defaults, gzip and a minute of silence": (f"{_SERVER}/test_nginx.py",),
    "nginx with HTTP/2": (
        f"{_CLIENTS}::test_a_stream_passes_http2_word_by_word",
        f"{_CLIENTS}::test_twenty_streams_share_a_connection_of_http2",
    ),
    "context variables of 100 users": (f"{_NEW}::test_context_variables_of_a_hundred_users_do_not_cross",),
    "the loop is blocked for longer than the lease of its runs, and nobody else comes for their threads": (
        "tests/integration/langgraph/test_blocked_loop.py"
        "::test_a_run_ends_well_that_blocked_the_loop_for_longer_than_its_lease",
    ),
    "the loop is blocked for 2 s": (
        f"{_NEW}::test_a_loop_that_was_blocked_goes_on_with_all_runs",
        f"{_SERVER}/test_shutdown.py::test_an_agent_that_blocks_the_loop_is_reported_with_its_stack",
    ),
}


def all_tests() -> list[str]:
    """Return all tests, each once."""
    return list(dict.fromkeys(each for named in FAULTS.values() for each in named))


def table() -> str:
    """Return the faults and their tests as the table of docs/reliability.md."""
    rows = (f"| {fault} | {', '.join(f'`{each}`' for each in named)} |" for fault, named in FAULTS.items())
    return "\n".join(["| fault | tests |", "|---|---|", *rows])
