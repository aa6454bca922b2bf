"""The Python of README.md and the guides serves, or runs.

Runtimes are served in this process. Those that a command of their guide serves are served in a process of their own,
too: test_commands.py.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.documents.blocks import BLOCKS, ROOT, Block, each
from tests.documents.checks import chats, credentials
from tests.documents.here import served_here
from tests.documents.neighbours import neighbours
from tests.documents.reader import environment, lay_out, run

pytestmark = [pytest.mark.timeout(300), pytest.mark.filterwarnings("ignore::DeprecationWarning:crewai.*")]

SCRIPT = ROOT / "tests" / "documents" / "script.py"
PYTHON = [block for block in BLOCKS if block.language == "python"]


@asynccontextmanager
async def written(block: Block, folder: Path, name: str, open_folder: Path) -> AsyncIterator[Path]:
    """A program in the file that its guide names, or in ``name``, beside the services that it needs."""
    lay_out(folder, block)
    async with neighbours(block.text, open_folder) as text:
        file = folder / (block.file or name)
        file.write_text(text, encoding="utf-8")
        yield file


@each([block for block in PYTHON if block.makes_runtime])
async def test_a_runtime_is_served_and_answers(
    block: Block, tmp_path: Path, open_folder: Path, vendor_settings: dict[str, str]
) -> None:
    async with (
        written(block, tmp_path, "block.py", open_folder) as file,
        served_here(file, environment(**vendor_settings)) as server,
    ):
        await chats(server.said, server.url, credentials(file.read_text(encoding="utf-8")))
        assert server.complaints() == []


@each([block for block in PYTHON if not block.makes_runtime])
async def test_other_python_runs(
    block: Block, tmp_path: Path, open_folder: Path, vendor_settings: dict[str, str]
) -> None:
    async with written(block, tmp_path, "test_block.py", open_folder) as file:
        runner = ["-m", "pytest", "-q"] if block.tests else ["-W", "error", str(SCRIPT)]
        ended = await run([sys.executable, *runner, file.name], tmp_path, environment(**vendor_settings))
    assert ended.status == 0, ended.said + ended.log
