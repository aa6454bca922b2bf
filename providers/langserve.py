"""LangServe chains, to be called as actions (docs/contract.md, section 3.8)."""

from __future__ import annotations

from typing import Any, Unpack

import msgspec

from ..runtime.context import RunContext, Tool
from ..runtime.errors import ConfigurationError, ProtocolError
from ..runtime.optional import optional

with optional("LangServe", "remote"):
    from .transport import Transport, TransportSettings, checked_url

__all__ = ["LangServeChain"]

_SCALARS = frozenset({"string", "number", "integer", "boolean"})


class _Shape(msgspec.Struct, frozen=True):
    parameters: dict[str, Any]
    single: str | None


class LangServeChain:
    """A chain behind a URL, as something with a name that takes arguments.

    Args:
        name: The name that models call it by.
        description: What models read about it.
        url: Where the chain is, without ``/invoke``.
        parameters: A JSON Schema object; by default the chain is asked for its own.
        single_argument: With ``parameters``: the one whose value is the chain's whole input. Without it, the
            input is an object of all arguments.
        settings: As ``TransportSettings`` has them.

    Raises:
        MisuseError: If ``url`` is not an absolute HTTP URL.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        description: str = "",
        parameters: dict[str, Any] | None = None,
        single_argument: str | None = None,
        **settings: Unpack[TransportSettings],
    ) -> None:
        self.name = name
        self.description = description
        self.url = checked_url(url)
        self._shape = None if parameters is None else _Shape(parameters, single_argument)
        self._transport = Transport(**settings)

    async def describe(self, context: RunContext | None = None) -> Tool:
        """Return the chain as a tool.

        Raises:
            ConfigurationError: If the chain's input is of a type that a model cannot fill in.
            CopilotKitError: If the chain cannot be reached, refuses, or answers with anything but JSON.
        """
        shape = await self._find_shape(context or RunContext())
        return Tool(name=self.name, description=self.description, parameters=shape.parameters)

    async def invoke(self, arguments: dict[str, Any], context: RunContext | None = None) -> Any:
        """Call the chain, once, and return its output.

        Raises:
            CopilotKitError: As ``describe``.
        """
        context = context or RunContext()
        shape = await self._find_shape(context)
        value = arguments if shape.single is None else arguments.get(shape.single)
        payload = {"input": value, "config": {}, "kwargs": {}}
        answer = await self._transport.post(f"{self.url}/invoke", payload, context)
        if not isinstance(answer, dict) or "output" not in answer:
            raise ProtocolError("The LangServe chain answered without an output.")
        return answer["output"]

    async def aclose(self) -> None:
        """Close the connections to the chain."""
        await self._transport.aclose()

    async def _find_shape(self, context: RunContext) -> _Shape:
        if self._shape is None:
            self._shape = _shape_of(await self._transport.get(f"{self.url}/input_schema", context))
        return self._shape


def _shape_of(schema: Any) -> _Shape:
    kind = schema.get("type") if isinstance(schema, dict) else None
    if kind == "object":
        return _Shape(schema, None)
    if kind in _SCALARS:
        single = {"type": "object", "properties": {"input": {"type": kind}}, "required": ["input"]}
        return _Shape(single, "input")
    raise ConfigurationError(f"Unsupported schema type of a LangServe chain: {kind}")
