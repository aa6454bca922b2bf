"""A reader who follows a guide, in a folder of their own."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.documents.blocks import ROOT, TEMPLATE, Block, blocks_of

PROJECT = Path(__file__).with_name("project")
BIN = Path(sys.executable).parent
PATIENCE = 120.0
GRACE = 40.0

_IGNORED = shutil.ignore_patterns("node_modules", "dist", "__pycache__")
_URL = re.compile(r"https?://[\w.\[\]:]+(?:/[\w/]*)?")


@dataclass(frozen=True)
class Ended:
    """What became of a command."""

    status: int
    said: str
    log: str


@dataclass(frozen=True)
class Server:
    """A server that has printed its address.

    Args:
        url: Where.
        said: What it said until then.
        log: The file that takes its standard error.
        output: The file that takes its standard output.
    """

    url: str
    said: str
    log: Path
    output: Path

    def printed(self) -> str:
        """What it has said until now."""
        return _read(self.output) + _read(self.log)


def lay_out(folder: Path, block: Block) -> None:
    """Makes the folder as the reader has it: examples, files of their own, those that the block's guide names."""
    if block.document.parent == TEMPLATE:
        shutil.copytree(TEMPLATE, folder, ignore=_IGNORED, dirs_exist_ok=True)
    else:
        (folder / "schema").symlink_to(ROOT / "schema")
        shutil.copytree(ROOT / "examples", folder / "examples", ignore=_IGNORED)
        shutil.copytree(PROJECT, folder, ignore=_IGNORED, dirs_exist_ok=True)
    write_named(folder, block)


def write_named(folder: Path, block: Block) -> None:
    """Writes the files that the block's guide names."""
    for earlier in blocks_of(block.document):
        if earlier.file is not None and "/" not in earlier.file:
            (folder / earlier.file).write_text(earlier.text, encoding="utf-8")


def shell(text: str, folder: Path) -> list[str]:
    """The command that gives ``text`` to a shell, which stays while it is done."""
    script = folder / "commands.sh"
    script.write_text(text, encoding="utf-8")
    return ["bash", "-euo", "pipefail", str(script)]


def on_any_port(command: str) -> str:
    """The command, with a free port for the one that it names."""
    return re.sub(r"(--port |\bPORT=)\d+", r"\g<1>0", command)


def program_of(block: Block, folder: Path) -> Path | None:
    """The file that a command serves, if it is one that the block's guide names."""
    named = {Path(each.file).stem: each.file for each in blocks_of(block.document) if each.file is not None}
    found = re.search(r"^uvicorn (\w+):|\bserve (\w+)\.py:", block.text, re.MULTILINE)
    file = named.get(found[1] or found[2]) if found else None
    return folder / file if file is not None else None


def environment(**settings: str) -> dict[str, str]:
    """The reader's environment: their own commands first, servers on free ports."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    plain = {"NO_COLOR": "1", "COPILOTKIT_PORT": "0", "COPILOTKIT_LOG_FORMAT": "json"}
    return {**os.environ, **plain, "COPILOTKIT_BLOCKED_LOOP_SECONDS": "0", "PATH": path, **settings}


async def run(command: list[str], folder: Path, settings: Mapping[str, str]) -> Ended:
    """Runs a command to its end."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=dict(settings), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, log = await process.communicate()
    return Ended(process.returncode or 0, said.decode(), log.decode())


@asynccontextmanager
async def serving(command: list[str], folder: Path, settings: Mapping[str, str], notes: Path) -> AsyncIterator[Server]:
    """Runs a command that serves until the block is left; ``notes`` takes what it says."""
    said, log = notes / "said", notes / "log"
    with said.open("wb") as output, log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, env=dict(settings), stdout=output, stderr=errors, start_new_session=True
        )
    try:
        yield await _said_where(process, said, log)
    finally:
        await _end(process)


async def _said_where(process: asyncio.subprocess.Process, said: Path, log: Path) -> Server:
    async with asyncio.timeout(PATIENCE):
        while True:
            text = _read(said) + _read(log)
            if found := _URL.search(text):
                return Server(found[0], text, log, said)
            if process.returncode is not None:
                raise AssertionError(f"it ended with {process.returncode}: {text}")
            await asyncio.sleep(0.05)


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8")


async def _end(process: asyncio.subprocess.Process) -> None:
    _signal(process, signal.SIGTERM)
    try:
        async with asyncio.timeout(GRACE):
            await process.wait()
    finally:
        _signal(process, signal.SIGKILL)
        await process.wait()


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return
