"""Ports for servers that a test starts."""

from __future__ import annotations

import random
import socket

LOWEST, HIGHEST = 10_000, 22_000
"""Below what Linux gives to outgoing connections, one of which could take the port while a server is down.

The bus of a Redis Cluster, 10,000 above, is below it too.
"""

_chance = random.SystemRandom()  # which no test can seed, so that processes choose differently
_given: set[int] = set()


def free_port(address: str = "127.0.0.1") -> int:
    """Return a port of an address that nothing listens on, another one each time."""
    while True:
        port = _chance.randint(LOWEST, HIGHEST)
        if port not in _given and _is_free(address, port):
            _given.add(port)
            return port


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True
