"""The runtime's own conformance suite, run on the template."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from function_provider import FunctionProvider

from copilotkit_runtime.testing import AGENT, CHECKS, Behaviour, Check, Guest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from copilotkit_runtime import RunInput


class FunctionGuest(Guest):
    """Functions that behave as the checks want."""

    name = "functions"
    behaviours = frozenset(Behaviour) - {Behaviour.GARBAGE}
    working = 0

    @asynccontextmanager
    async def serve(self, behaviour: Behaviour) -> AsyncIterator[FunctionProvider]:
        """Serve a provider whose one function behaves like that."""

        async def function(run: RunInput) -> AsyncGenerator[Any]:
            self.working += 1
            try:
                async for answer in self._answers(behaviour, run):
                    yield answer
            finally:
                self.working -= 1

        yield FunctionProvider({AGENT: function})

    async def _answers(self, behaviour: Behaviour, run: RunInput) -> AsyncGenerator[Any]:
        if behaviour is Behaviour.ECHO:
            text = run.messages[-1].content  # type: ignore[union-attr]
            for word in text.split(" "):
                yield word if word == text.split(" ")[-1] else f"{word} "
            yield {"echo": text}
        elif behaviour is Behaviour.FLOOD:
            for _ in range(self.flood_tokens):
                yield "x"
        else:
            yield "begun"
            if behaviour is Behaviour.RAISE:
                raise ValueError("secret-detail")
            await asyncio.Event().wait()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_the_provider_conforms(check: Check) -> None:
    """Whatever must hold for every provider holds for this one."""
    await check(FunctionGuest())
