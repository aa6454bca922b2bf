"""What a connection keeps beside its requests: thousands are open at once."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from uvicorn.server import ServerState

from copilotkit_runtime.server.cli.request_heads import BoundedHttpProtocol, ServerConfig

ACCEPTED_IN_A_TURN = 16
OWN_DICT_BYTES = 1_500


class _Transport(asyncio.Transport):
    def get_extra_info(self, _name: str, default: Any = None) -> Any:
        return default


async def test_connections_share_the_names_of_their_attributes() -> None:
    class Protocol(BoundedHttpProtocol):  # whose instances nobody has made yet
        pass

    config = ServerConfig(lambda _scope: None, max_header_bytes=1000, request_head_seconds=60)
    config.load()
    state = ServerState()
    protocols = [Protocol(config, state, {}) for _ in range(ACCEPTED_IN_A_TURN)]  # type: ignore[no-untyped-call]
    for protocol in protocols:
        protocol.connection_made(_Transport())
        protocol.on_message_begin()
    assert max(sys.getsizeof(vars(protocol)) for protocol in protocols) < OWN_DICT_BYTES / 2
    for protocol in protocols:
        config.heads.remove(protocol)
