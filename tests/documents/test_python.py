"""The Python of README.md and the guides serves, or runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.documents.blocks import BLOCKS, ROOT, Block, each
from tests.documents.checks import chats, complaints, credentials
from tests.documents.neighbours import neighbours
from tests.documents.reader import BIN, environment, lay_out, run, serving

pytestmark = pytest.mark.timeout(300)

SCRIPT = ROOT / "tests" / "documents" / "script.py"
PYTHON = [block for block in BLOCKS if block.language == "python"]


@each([block for block in PYTHON if block.makes_runtime])
async def test_a_runtime_is_served_and_answers(
    block: Block, tmp_path: Path, open_folder: Path, vendor_settings: dict[str, str]
) -> None:
    lay_out(tmp_path, block)
    async with neighbours(block.text, open_folder) as text:
        file = tmp_path / (block.file or "block.py")
        file.write_text(text, encoding="utf-8")
        command = [str(BIN / "copilotkit-runtime"), "serve", f"{file.name}:runtime"]
        async with serving(command, tmp_path, environment(**vendor_settings), tmp_path) as server:
            await chats(server, server.url, credentials(text))
            assert complaints(server) == []


@each([block for block in PYTHON if not block.makes_runtime])
async def test_other_python_runs(
    block: Block, tmp_path: Path, open_folder: Path, vendor_settings: dict[str, str]
) -> None:
    lay_out(tmp_path, block)
    async with neighbours(block.text, open_folder) as text:
        file = tmp_path / (block.file or "test_block.py")
        file.write_text(text, encoding="utf-8")
        runner = ["-m", "pytest", "-q"] if block.tests else ["-W", "error", str(SCRIPT)]
        ended = await run([sys.executable, *runner, file.name], tmp_path, environment(**vendor_settings))
    assert ended.status == 0, ended.said + ended.log
