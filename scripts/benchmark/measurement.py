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
    from tests.parity.servers import Server


@dataclass
class Measurement:
    """One server's rounds: processor seconds per delivered token of each, and all their streams' delays."""

    target: str
    pattern: Pattern
    per_token: list[float] = field(default_factory=list)
    first_bytes: list[float] = field(default_factory=list)
    first_tokens: list[float] = field(default_factory=list)

    @property
    def cost(self) -> float:
        """The rounds' mean processor time per token, in microseconds: the system counts in steps of 10 ms."""
        return statistics.mean(self.per_token) * 1e6

    def take(self, server: Server, concurrent: int) -> None:
        """Measures one more round."""
        before = processor.seconds(server.pid)
        streams = self.play(server, concurrent)
        used = processor.seconds(server.pid) - before
        self.per_token.append(used / (concurrent * self.pattern.tokens))
        self.first_bytes += [stream.first_byte for stream in streams]
        self.first_tokens += [stream.first_token for stream in streams]

    def play(self, server: Server, concurrent: int) -> list[Stream]:
        """Run a round without keeping its times; every stream of it is verified."""
        streams = asyncio.run(load.run(server.url, self.pattern, concurrent))
        for stream in streams:
            stream.verify(self.pattern)
        return streams


def percentile(values: list[float], percent: int) -> float:
    """Return the value that ``percent`` of ``values`` do not exceed."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
