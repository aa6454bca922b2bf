"""Slots of a Redis Cluster: which master has which, as a node reports them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from redis.crc import key_slot
from redis.exceptions import ConnectionError

from .redis_client import Word

Address: TypeAlias = tuple[str, int]
Command: TypeAlias = tuple[Word, ...]
_SCRIPTS = ("EVAL", "EVALSHA")


class Slots(NamedTuple):
    """Which master has a slot: the ends of ranges, and whose they are."""

    ranges: Sequence[tuple[int, int, Address]]
    nodes: Sequence[Address]
    """All nodes, masters first."""

    def master(self, slot: int) -> Address:
        """Return the master that has a slot.

        Raises:
            ConnectionError: None has.
        """
        for first, last, master in self.ranges:
            if first <= slot <= last:
                return master
        raise ConnectionError(f"No master of the cluster has slot {slot}.")


def slot_of(command: Command) -> int:
    """Return the slot of a command, by its key."""
    key = command[3] if command[0] in _SCRIPTS else command[1]
    return key_slot(key if isinstance(key, bytes) else str(key).encode())


def parse_slots(found: Sequence[Sequence[Any]], address: Address) -> Slots:
    """Read a node's answer: of each range of slots its ends, its master and the master's replicas."""
    ranges = [(first, last, _named(master, address)) for first, last, master, *_ in found]
    masters = [master for _, _, master in ranges]
    replicas = [_named(replica, address) for _, _, _, *each in found for replica in each]
    return Slots(ranges, list(dict.fromkeys((*masters, *replicas))))


def _named(node: Sequence[Any], address: Address) -> Address:
    """Return a node's address; one that does not know its own host is at the one that was asked."""
    host = node[0].decode() if isinstance(node[0], bytes) else node[0]
    return host or address[0], int(node[1])
