"""A client for a Redis Cluster: each command goes to the master that has its key.

redis-py's own one repeats writes whose outcome is unknown, fails where no connection is free instead of waiting for
one, and closes the connections to all nodes when one of them fails. Here each master has its own bounded pool, so that
what one master does is nothing to those who wait for another.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from functools import partial
from time import monotonic
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import parse_url
from redis.exceptions import AskError, ConnectionError, MovedError, ResponseError, TimeoutError

from ..errors import ConfigurationError
from ..per_loop import PerLoop
from .redis_client import Word
from .redis_loops import LoopClient
from .redis_slots import Address, Command, Slots, parse_slots, slot_of

_REDIRECTIONS = 8
_PAUSE = 0.05
_REFRESH_SECONDS = 0.2
"""How long the slots' masters are not looked up again while one of them does not answer."""
_NO_CLUSTER = "The store's URL has cluster=true, but its server is not a node of a Redis Cluster."


class RedisCluster:
    """A Redis Cluster, which takes the commands of one server whose keys are all in one slot.

    Args:
        addresses: Nodes to learn the others from.
        options: Those of each node's pool of connections.
    """

    def __init__(self, addresses: Sequence[Address], options: Mapping[str, Any]) -> None:
        self._given = tuple(addresses)
        self._options = options
        self._nodes: dict[Address, Redis] = {}
        self._slots: Slots | None = None
        self._stale = True
        self._looked = 0.0
        self._looking = PerLoop(asyncio.Lock)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        nodes, self._nodes = self._nodes, {}
        self._slots, self._stale = None, True
        for node in nodes.values():
            await node.aclose()

    async def any_node(self) -> Redis:
        """Return a client of one node that answers."""
        nodes = (await self._known()).nodes
        for address in random.sample(nodes, len(nodes)):
            node = self._node(address)
            try:
                await _send(node, "PING")
            except (ConnectionError, TimeoutError, OSError):
                continue
            return node
        raise ConnectionError("No node of the cluster answers.")

    async def execute_command(self, *command: Word) -> Any:
        """Send a command to the master of its key, wherever that has gone meanwhile; one without a key to all."""
        if len(command) == 1:
            return await self._execute_everywhere(command)
        where, asking = (await self._known()).master(slot_of(command)), False
        for _ in range(_REDIRECTIONS):
            try:
                return await self._execute(where, command, asking)
            except ResponseError as error:
                where, asking = await self._redirected(error, where)
        raise ConnectionError("The nodes of the cluster do not agree on who has a key.")

    async def _execute_everywhere(self, command: Command) -> Any:
        slots = await self._known()
        masters = dict.fromkeys(master for _, _, master in slots.ranges)
        answers = [answer for (answer,) in await self._together([(self._node(each), [command]) for each in masters])]
        _raise_first(answers)
        return answers[0]

    def pipeline(self, transaction: bool = True) -> RedisClusterPipeline:
        """Return what collects commands, to send those of one master together."""
        del transaction
        return RedisClusterPipeline(self)

    async def execute_all(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands, those of each master in one go, and return the answer to each, or its error."""
        slots = await self._known()
        answers: list[Any] = [None] * len(commands)
        places: dict[Address, list[int]] = {}
        for place, command in enumerate(commands):
            try:
                places.setdefault(slots.master(slot_of(command)), []).append(place)
            except ConnectionError as error:
                answers[place] = error
        groups = [(self._node(where), [commands[place] for place in each]) for where, each in places.items()]
        for each, found in zip(places.values(), await self._together(groups), strict=True):
            for place, answer in zip(each, found, strict=True):
                answers[place] = await self._elsewhere(commands[place], answer)
        return answers

    async def _elsewhere(self, command: Command, answer: Any) -> Any:
        if not (isinstance(answer, ResponseError) and _code(answer) in ("MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN")):
            return answer
        try:
            return await self.execute_command(*command)
        except (ConnectionError, TimeoutError, ResponseError, OSError) as error:
            return error

    async def _together(self, groups: Sequence[tuple[Redis, Sequence[Command]]]) -> list[list[Any]]:
        if len(groups) == 1:
            return [await self._batch(*groups[0])]
        async with asyncio.TaskGroup() as tasks:
            sent = [tasks.create_task(self._batch(*group)) for group in groups]
        return [task.result() for task in sent]

    async def _batch(self, node: Redis, commands: Sequence[Command]) -> list[Any]:
        async with node.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            try:
                return await pipeline.execute(raise_on_error=False)
            except (ConnectionError, TimeoutError, OSError) as error:
                self._stale = True
                return [error] * len(commands)

    async def _execute(self, where: Address, command: Command, asking: bool) -> Any:
        node = self._node(where)
        try:
            if not asking:
                return await _send(node, *command)
            async with node.pipeline(transaction=False) as pipeline:
                pipeline.execute_command("ASKING")
                pipeline.execute_command(*command)
                return (await pipeline.execute())[1]
        except (ConnectionError, TimeoutError, OSError):
            self._stale = True
            raise

    async def _redirected(self, error: ResponseError, where: Address) -> tuple[Address, bool]:
        """Return where to send a command next, and whether as an exception.

        Raises:
            ConnectionError: The cluster is down.
            ResponseError: ``error``, which is about the command itself.
        """
        match _code(error):
            case "MOVED":
                self._stale = True
                return _address(error, where), False
            case "ASK":
                return _address(error, where), True
            case "TRYAGAIN":
                await asyncio.sleep(_PAUSE)
                return where, False
            case "CLUSTERDOWN" | "MASTERDOWN":
                self._stale = True
                raise ConnectionError("The cluster is down.") from error
        raise error

    async def _known(self) -> Slots:
        if self._slots is not None and not self._stale:
            return self._slots
        async with self._looking.here:
            slots = self._slots
            if slots is None or (self._stale and monotonic() - self._looked > _REFRESH_SECONDS):
                slots = self._slots = await self._look()
        return slots

    async def _look(self) -> Slots:
        """Ask nodes which master has which slot, until one answers; what was known stays if none does."""
        nodes = self._slots.nodes if self._slots else ()
        failure: Exception | None = None
        for address in dict.fromkeys((*nodes, *self._given)):
            try:
                found = await _send(self._node(address), "CLUSTER", "SLOTS")
            except ResponseError as error:
                if "cluster support disabled" in str(error):
                    raise ConfigurationError(_NO_CLUSTER) from error
                failure = error
            except (ConnectionError, TimeoutError, OSError) as error:
                failure = error
            else:
                self._looked, self._stale = monotonic(), False
                return parse_slots(found, address)
        if self._slots is None:
            raise ConnectionError("No node of the cluster answers.") from failure
        return self._slots

    def _node(self, address: Address) -> Redis:
        node = self._nodes.get(address)
        if node is None:
            host, port = address
            options = {**self._options, "host": host, "port": port}
            node = self._nodes[address] = LoopClient(partial(BlockingConnectionPool, **options))
        return node


class RedisClusterPipeline:
    """Commands that are sent together, those of one master in one go, and none of them in a transaction.

    Args:
        cluster: Where they are sent.
    """

    def __init__(self, cluster: RedisCluster) -> None:
        self._cluster = cluster
        self._commands: list[Command] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._commands = []

    def execute_command(self, *command: Word) -> Self:
        """Add a command."""
        self._commands.append(command)
        return self

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Send the commands, and return the answers.

        Raises:
            RedisError: The first error of any of them; with ``raise_on_error`` only, else it is among the answers.
        """
        commands, self._commands = self._commands, []
        answers = await self._cluster.execute_all(commands)
        if raise_on_error:
            _raise_first(answers)
        return answers


def connect_cluster(url: str, options: Mapping[str, Any]) -> RedisCluster:
    """Return a client for the cluster that a URL names: one node or several, divided by commas, and ``cluster=true``.

    Raises:
        ValueError: The URL is not valid.
        ConfigurationError: It names a database, which a cluster does not have.
    """
    parts = urlsplit(url)
    user, separator, hosts = parts.netloc.rpartition("@")
    query = urlencode([(name, value) for name, value in parse_qsl(parts.query) if name != "cluster"])
    nodes: list[dict[str, Any]] = [
        dict(parse_url(urlunsplit((parts.scheme, f"{user}{separator}{host}", parts.path, query, ""))))
        for host in hosts.split(",")
    ]
    if any(node.pop("db", 0) for node in nodes):
        raise ConfigurationError("A Redis Cluster has no databases: leave the number in the store's URL out.")
    addresses = [(str(node.pop("host", "localhost")), int(node.pop("port", 6379))) for node in nodes]
    return RedisCluster(addresses, {**nodes[0], **options})


async def _send(node: Redis, *command: Word) -> Any:
    return await cast("Any", node).execute_command(*command)


def _code(error: ResponseError) -> str:
    """Return what an error begins with; newer releases of redis-py make a class of it and take it away."""
    if isinstance(error, MovedError):
        return "MOVED"
    if isinstance(error, AskError):
        return "ASK"
    names = {"TryAgainError": "TRYAGAIN", "ClusterDownError": "CLUSTERDOWN", "MasterDownError": "MASTERDOWN"}
    return names.get(type(error).__name__, str(error).partition(" ")[0])


def _address(error: ResponseError, address: Address) -> Address:
    host, _, port = str(error).rpartition(" ")[2].rpartition(":")
    return host or address[0], int(port)


def _raise_first(answers: Sequence[Any]) -> None:
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
