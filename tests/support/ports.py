"""Ports for servers that a test starts."""

from __future__ import annotations

import random
import socket

LOWEST, HIGHEST = 10_000, 22_000
"""Below what Linux gives to outgoing connections, one of which could take the port while a server is down.

The bus of a Redis Cluster, 10,000 above, is below it too.
"""


def free_port(address: str = "127.0.0.1") -> int:
    """Return a port of an address that nothing listens on."""
    while True:
        port = random.randint(LOWEST, HIGHEST)
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
        return port
