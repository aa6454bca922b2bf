"""Every command of README.md and the guides does what it shows."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from pathlib import Path

import pytest

from tests.documents.blocks import BLOCKS, ROOT, TEMPLATE, Block, blocks_of, each
from tests.documents.checks import answers, complaints
from tests.documents.installation import check_out, environment_of_its_own
from tests.documents.neighbours import neighbours, neighbours_of
from tests.documents.reader import environment, lay_out, on_any_port, program_of, run, serving, shell, write_named
from tests.documents.shown import asks, fits, output_of, sessions

NOT_RUN = {
    "make test": "this is it",
    "docker ": "there is no Docker daemon where tests run; the image and the composition have tests of their own",
    "kubectl ": "there is no cluster where tests run; tests/deploy renders the manifests",
    "helm ": "there is no cluster where tests run; tests/deploy renders the chart",
    "promtool ": "tests/deploy runs it, where Prometheus is installed",
    "kill -HUP": "tests/integration/server/test_workers.py sends the signal",
    "cd examples/react\n": "tests/e2e/quickstart.test.mjs gives these commands, and chats in the page that they serve",
}
"""Commands that are not executed, by how they begin, and why."""

pytestmark = pytest.mark.timeout(300)

COMMANDS = [block for block in BLOCKS if block.language == "bash" and not block.text.startswith(tuple(NOT_RUN))]
SHOWN = [session.server for session in sessions()]
"""Servers that test_shown.py starts."""
OF_THE_DEMO = ("make ", "copilotkit-runtime serve examples/demo.py:runtime --port")
"""Commands that show the demo itself; all others that serve it show their options, and serve a lighter agent for it."""


def test_nothing_is_left_out_but_what_the_guides_have() -> None:
    assert all(any(block.text.startswith(command) for block in BLOCKS) for command in NOT_RUN)
    for block in BLOCKS:
        if block.text.startswith(tuple(NOT_RUN)):
            left_out = (*NOT_RUN, "npm ", "VITE_AGENT=")
            assert all(f"{line}\n".startswith(left_out) or "docker" in line for line in block.text.splitlines())


@each([block for block in COMMANDS if not block.serves and not block.installs and not asks(block)])
async def test_a_command_does_what_it_promises(block: Block, tmp_path: Path, vendor_settings: dict[str, str]) -> None:
    lay_out(tmp_path, block)
    ended = await run(shell(block.text, tmp_path), tmp_path, environment(**vendor_settings))
    assert ended.status == 0, ended.log
    assert fits(ended.said, output_of(block) or "…\n"), ended.said
    assert ended.said


@each([block for block in COMMANDS if block.installs])
async def test_what_is_installed_is_whole(block: Block, tmp_path: Path, open_folder: Path, wheels: Path) -> None:
    commands = await asyncio.to_thread(environment_of_its_own, open_folder)
    settings = environment(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels), PIP_NO_BUILD_ISOLATION="0")
    settings["PATH"] = os.pathsep.join([str(commands), settings["PATH"]])
    if block.document.parent == TEMPLATE:
        lay_out(tmp_path, block)
    else:
        check_out(tmp_path)
        write_named(tmp_path, block)
    ended = await run(shell(block.text, tmp_path), tmp_path, settings)
    assert ended.status == 0, ended.log
    assert re.search(r"Successfully installed .*copilotkit-runtime-py-", ended.said)
    served = next(after.file for after in blocks_of(block.document) if after.line > block.line and after.file)
    listed = await run([str(commands / "copilotkit-runtime"), "agents", f"{served}:runtime"], tmp_path, settings)
    assert "\t" in listed.said, listed.log


@each([block for block in COMMANDS if block.serves and block not in SHOWN])
async def test_a_server_starts_with_its_options(
    block: Block, tmp_path: Path, open_folder: Path, vendor_settings: dict[str, str]
) -> None:
    lay_out(tmp_path, block)
    if not block.text.startswith(OF_THE_DEMO):
        lighten(tmp_path / "examples")
    async with (
        neighbours(on_any_port(block.text), open_folder) as text,
        neighbours_of(program_of(block, tmp_path), open_folder) as program,
    ):
        # What is made from the checkout is promised to need no key.
        settings = environment() if text.startswith("make ") else environment(**vendor_settings)
        command, place = shell(text, tmp_path), place_of(text, tmp_path)
        async with serving(command, place, settings, tmp_path) as server:
            await answers(server, block.text, program)
            assert complaints(server) == []


def lighten(examples: Path) -> None:
    """Let an agent without a framework be what the demo is: most of a server's start is the import of frameworks."""
    if examples.is_dir():
        shutil.copy(examples / "custom_agent.py", examples / "demo.py")


def place_of(text: str, folder: Path) -> Path:
    """Where a command is given: ``make`` in the checkout, everything else in the reader's folder."""
    return ROOT if text.startswith("make ") else folder
