"""Who may read the files that SQLite stores make."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from copilotkit_runtime.providers.langgraph.savers import open_saver
from copilotkit_runtime.runtime.stores.interface import AgentState
from copilotkit_runtime.runtime.stores.urls import open_store


def _modes(folder: Path) -> list[int]:
    return [stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()]


async def test_the_files_are_their_owner_s_alone(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'states.sqlite'}")
    await store.start()
    await store.save("thread", "agent", AgentState())

    assert _modes(tmp_path) == [0o600] * 3
    await store.stop()


async def test_so_are_those_of_a_saver(tmp_path: Path) -> None:
    async with open_saver(f"sqlite:///{tmp_path / 'checkpoints.sqlite'}"):
        assert set(_modes(tmp_path)) == {0o600}


@pytest.fixture
def readable(tmp_path: Path) -> Path:
    """A file that a group may read."""
    path = tmp_path / "states.sqlite"
    path.write_bytes(b"")
    path.chmod(0o640)
    return path


async def test_a_file_that_is_there_keeps_its_mode(readable: Path) -> None:
    store = open_store(f"sqlite:///{readable}")
    await store.start()
    await store.stop()

    assert _modes(readable.parent) == [0o640]
