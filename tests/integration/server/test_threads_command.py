"""``copilotkit-runtime threads``: what is kept, whose it is, and its deletion."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from copilotkit_runtime.runtime.stores.interface import AgentState
from copilotkit_runtime.runtime.stores.urls import open_store
from copilotkit_runtime.server.cli import threads
from copilotkit_runtime.server.cli.commands import app
from tests.integration.server.process import ROOT
from tests.integration.stores.conftest import postgres_url, server_folder, url  # noqa: F401 - fixtures

TARGET = f"{ROOT / 'tests/support/durable_runtime.py'}:runtime"


@pytest.fixture
def place(tmp_path: Path) -> str:
    """The URL of a store with two threads of Ann's and one of Bob's."""
    return filled(f"sqlite:///{tmp_path / 'states.sqlite'}")


def filled(place: str) -> str:
    """Fill a store."""

    async def fill() -> None:
        store = open_store(place)
        await store.start()
        for thread_id, owner in (("one", "ann"), ("two", "ann"), ("three", "bob")):
            await store.open_thread(thread_id, owner=owner, agent_name="scripted")
            await store.save(thread_id, "scripted", AgentState(state={"secret": f"{owner}'s"}))
        await store.rename_thread("one", "Holidays")
        await store.stop()

    asyncio.run(fill())
    return place


def call(place: str, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["threads", *arguments, "--target", TARGET, "--store", place])


def printed(place: str, *arguments: str) -> Any:
    return json.loads(call(place, *arguments).stdout)


def listed(place: str, *arguments: str) -> list[str]:
    return [line.split("\t")[0] for line in call(place, "list", *arguments).stdout.splitlines()]


def test_threads_are_listed_with_owner_and_name(place: str) -> None:
    assert listed(place) == ["three", "two", "one"]
    assert listed(place, "--owner", "ann") == ["two", "one"]
    line = call(place, "list", "--owner", "ann").stdout.splitlines()[1].split("\t")
    assert (line[0], line[1], line[2], line[4]) == ("one", "ann", "scripted", "Holidays")


@pytest.mark.parametrize("command", [["threads", "list"], ["store", "compact"]], ids=str)
def test_a_target_may_be_the_argument_as_of_all_other_commands(place: str, command: list[str]) -> None:
    as_argument = CliRunner().invoke(app, [*command, TARGET, "--store", place])
    as_option = CliRunner().invoke(app, [*command, "--target", TARGET, "--store", place])
    assert as_argument.exit_code == 0
    assert as_argument.stdout.splitlines()[:2] == as_option.stdout.splitlines()[:2]


def test_a_thread_is_shown_and_exported(place: str) -> None:
    assert printed(place, "show", "one")["owner"] == "ann"
    exported = printed(place, "export", "one")
    assert exported["thread"]["name"] == "Holidays"
    assert exported["agents"]["scripted"]["state"] == {"secret": "ann's"}


def test_a_thread_is_deleted_and_all_that_is_an_owner_s(place: str) -> None:
    assert call(place, "delete", "three").stdout == "deleted 1\n"
    assert listed(place) == ["two", "one"]
    assert call(place, "delete", "--owner", "ann").stdout == "deleted 2\n"
    assert listed(place) == []


@pytest.mark.parametrize("arguments", [["delete"], ["delete", "one", "--owner", "ann"], ["show", "none"]])
def test_what_names_no_thread_is_refused(place: str, arguments: list[str]) -> None:
    assert call(place, *arguments).exception is not None
    assert listed(place) == ["three", "two", "one"]


OF_BOB = {
    "list": ["--owner", "bob"],
    "show": ["three"],
    "export": ["three"],
    "delete": ["--owner", "bob"],
}
"""Each command, about what is Bob's."""


@pytest.mark.parametrize("url", ["sqlite", "postgres"], indirect=True)
def test_no_command_about_one_owner_shows_or_changes_what_is_another_s(url: str) -> None:  # noqa: F811 - the fixture
    commands = [each.name or getattr(each.callback, "__name__", "") for each in threads.app.registered_commands]
    assert sorted(commands) == sorted(OF_BOB)
    place = filled(url)
    before = printed(place, "export", "one"), printed(place, "export", "two")
    for command, arguments in OF_BOB.items():
        result = call(place, command, *arguments)
        assert result.exception is None, command
        assert "ann" not in result.stdout, command
    assert (printed(place, "export", "one"), printed(place, "export", "two")) == before
    assert listed(place) == ["two", "one"]
