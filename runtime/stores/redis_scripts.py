"""Scripts that Redis runs: sent by their digest, and whole to a server that does not have them yet."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1
from typing import Any, TypeAlias

from redis.exceptions import NoScriptError

from .redis_client import RedisClient, Word

Call: TypeAlias = tuple[Sequence[str], Sequence[Word]]
"""The keys and arguments of a script; all keys are in one slot."""


class RedisScript:
    """A script, which is all done or not at all.

    Args:
        client: Where it is run.
        text: The script.
    """

    def __init__(self, client: RedisClient, text: str) -> None:
        self._client = client
        self._text = text
        self._digest = sha1(text.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, keys: Sequence[str], arguments: Sequence[Word]) -> Any:
        """Run the script and return its answer."""
        try:
            return await self._client.execute_command("EVALSHA", self._digest, len(keys), *keys, *arguments)
        except NoScriptError:
            return await self._client.execute_command("EVAL", self._text, len(keys), *keys, *arguments)

    async def each(self, calls: Sequence[Call]) -> list[Any]:
        """Run the script several times, in one go for each server.

        Returns:
            Each answer, or its error. The error of a single call is raised.
        """
        if len(calls) == 1:
            return [await self(*calls[0])]
        answers = await self._send("EVALSHA", self._digest, calls)
        lacking = [place for place, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if lacking:
            again = await self._send("EVAL", self._text, [calls[place] for place in lacking])
            for place, answer in zip(lacking, again, strict=True):
                answers[place] = answer
        return answers

    async def all(self, calls: Sequence[Call]) -> list[Any]:
        """Run the script several times, in one go for each server.

        Raises:
            RedisError: The first error of any call.
        """
        answers = await self.each(calls)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    async def _send(self, command: str, script: str, calls: Sequence[Call]) -> list[Any]:
        async with self._client.pipeline(transaction=False) as pipeline:
            for keys, arguments in calls:
                pipeline.execute_command(command, script, len(keys), *keys, *arguments)
            return await pipeline.execute(raise_on_error=False)


def milliseconds(seconds: float) -> int:
    """Return a duration as scripts take it: in whole milliseconds, at least one."""
    return max(int(seconds * 1000), 1)
