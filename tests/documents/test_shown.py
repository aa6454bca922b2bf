"""What the guides show under a command is what it prints, also of commands for a server that runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.documents.blocks import BLOCKS
from tests.documents.checks import answers, complaints
from tests.documents.neighbours import neighbours_of
from tests.documents.reader import PATIENCE, Server, environment, lay_out, on_any_port, program_of, run, serving, shell
from tests.documents.shown import LOCAL, Session, asks, fits, output_of, pattern_of, sessions

pytestmark = pytest.mark.timeout(300)

SESSIONS = list(sessions())


def test_every_command_for_a_server_has_one() -> None:
    served = [command for session in SESSIONS for command in session.commands]
    assert [block.place for block in BLOCKS if asks(block) and block not in served] == []


@pytest.mark.parametrize("session", [pytest.param(session, id=session.server.place) for session in SESSIONS])
async def test_a_server_answers_and_with_the_commands_for_it_prints_what_is_shown(
    session: Session, tmp_path: Path, open_folder: Path, vendor_settings: dict[str, str]
) -> None:
    lay_out(tmp_path, session.server)
    async with neighbours_of(program_of(session.server, tmp_path), open_folder) as program:
        command = shell(on_any_port(session.server.text), tmp_path)
        async with serving(command, tmp_path, environment(**vendor_settings), tmp_path) as server:
            await prints(server, output_of(session.server) or "…\n")
            for block in session.commands:
                text = block.text.replace(LOCAL, origin_of(server))
                ended = await run(shell(text, tmp_path), tmp_path, environment(**vendor_settings))
                assert ended.status == 0, ended.log
                assert fits(ended.said, output_of(block) or "…\n"), ended.said
            await answers(server, session.server.text, program)
            assert complaints(server) == []


async def prints(server: Server, shown: str) -> None:
    """A server prints what is shown, sooner or later."""
    pattern = pattern_of(shown.replace(LOCAL, origin_of(server)))
    async with asyncio.timeout(PATIENCE):
        while True:
            if pattern.match(server.printed()):
                return
            await asyncio.sleep(0.05)


def origin_of(server: Server) -> str:
    """Where a server is, without a path."""
    scheme, place, *_ = urlsplit(server.url)
    return f"{scheme}://{place}"
