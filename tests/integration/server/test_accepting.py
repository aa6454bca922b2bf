"""How soon connections are accepted, counted in turns of the event loop, which come out alike on every machine.

On a process with a thousand busy streams each turn lasts as long as all that they have to do.
"""

from __future__ import annotations

import os
import socket
from asyncio import sleep
from contextlib import ExitStack, closing

import uvloop
from starlette.types import Receive, Scope, Send

from copilotkit_runtime.server.cli.listening import acceptors, bind

from .own_server import own_server

TURNS = 5
"""Those that notice the connections and report them to the protocol, and some to spare."""


async def _nothing(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Answer nobody."""


async def _turns_until_accepted(connections: int) -> int:
    async with own_server(_nothing) as (server, address):
        with ExitStack() as clients:
            for _ in range(connections):
                # The system completes the connection, so that the loop need not have a turn meanwhile.
                clients.enter_context(closing(socket.create_connection(address)))
            turns = 0
            while len(server.server_state.connections) < connections:
                await sleep(0)
                turns += 1
    return turns


def test_connections_that_come_together_do_not_wait_for_a_turn_each() -> None:
    assert uvloop.run(_turns_until_accepted(16)) <= TURNS
    assert uvloop.run(_turns_until_accepted(64)) <= 2 * TURNS


def test_a_socket_that_processes_share_never_blocks_one_of_them() -> None:
    with ExitStack() as opened:
        listener = opened.enter_context(bind("127.0.0.1", 0))
        # As a process that is started later gets it: an object of its own for the same open socket.
        passed_on = opened.enter_context(socket.socket(fileno=os.dup(listener.fileno())))
        for each in acceptors(passed_on):
            opened.enter_context(each)
            assert not os.get_blocking(listener.fileno())
