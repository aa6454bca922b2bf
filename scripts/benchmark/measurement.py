"""What the rounds of one server with one pattern came to."""

from __future__ import annotations

import asyncio
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scripts.benchmark import load, processor

if TYPE_CHECKING:
    from scripts.benchmark.load import Stream
    from scripts.benchmark.pattern import Pattern
    from scripts.benchmark.wires import Wire
    from tests.parity.servers import Server


@dataclass
class Measurement:
    """One server's rounds: processor seconds per delivered token of each, and all their streams' delays."""

    target: str
    wire: Wire
    pattern: Pattern
    per_token: list[float] = field(default_factory=list)
    first_bytes: list[float] = field(default_factory=list)
    first_tokens: list[float] = field(default_factory=list)

    @property
    def cost(self) -> float:
        """The rounds' median processor time per token, in microseconds."""
        return statistics.median(self.per_token) * 1e6

    def take(self, server: Server, concurrent: int) -> None:
        """Measure one more round."""
        before = processor.seconds(server.pid)
        streams = self.play(server, concurrent)
        used = processor.seconds(server.pid) - before
        self.per_token.append(used / (concurrent * self.pattern.tokens))
        self.first_bytes += [stream.first_byte for stream in streams]
        self.first_tokens += [stream.first_token for stream in streams]

    def play(self, server: Server, concurrent: int) -> list[Stream]:
        """Run a round without keeping its times; every stream of it is verified."""
        streams = asyncio.run(load.run(server.url, self.wire, self.pattern, concurrent))
        for stream in streams:
            self.wire.verify(self.pattern, stream.body)
        return streams


def measure(
    servers: dict[str, Server], wire: Wire, pattern: Pattern, concurrent: int, rounds: int
) -> list[Measurement]:
    """Measure all servers in turns, so that what else the machine does costs each of them alike."""
    measurements = [Measurement(target, wire, pattern) for target in servers]
    for measurement in measurements:
        measurement.play(servers[measurement.target], concurrent)
    for _ in range(rounds):
        for measurement in measurements:
            measurement.take(servers[measurement.target], concurrent)
    return measurements


def percentile(values: list[float], percent: int) -> float:
    """Return the value that ``percent`` of ``values`` do not exceed."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else values[0]
