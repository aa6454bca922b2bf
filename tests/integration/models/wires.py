"""The vendors' protocols, as a fake server speaks them, and the models that are to understand them."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import unquote

import httpx
import pytest

from tests.integration.models.event_stream import event_frame, exception_frame
from tests.integration.models.vendor import Seen

KEY = "sk-verysecretkey0123456789"


class Called(NamedTuple):
    """A tool call: its arguments in the pieces in which they stream."""

    id: str
    name: str
    pieces: tuple[str, ...]


class Limits(NamedTuple):
    """The settings of a request."""

    temperature: float | None
    tokens: int | None
    stop: list[str] | None


class Wire(ABC):
    """One protocol, and a model that speaks it. What streams is text or bytes, as the protocol has it."""

    message_id: str

    @abstractmethod
    def model(self, url: str) -> Any:
        """What ``model_provider`` is given to talk to the server at ``url``."""

    @abstractmethod
    def head(self, *deltas: str) -> list[Any]:
        """The start of an answer."""

    @abstractmethod
    def calls(self, *calls: Called) -> list[Any]:
        """Tool calls in an answer."""

    @abstractmethod
    def tail(self) -> list[Any]:
        """The end of an answer."""

    @abstractmethod
    def thoughts(self, *deltas: str) -> list[Any]:
        """Reasoning at the start of an answer."""

    @abstractmethod
    def error(self, message: str, kind: str) -> dict[str, Any]:
        """The body of an error response."""

    @abstractmethod
    def failure(self, message: str) -> list[Any]:
        """A failure of the vendor's after the answer has begun."""

    def text(self, *deltas: str) -> list[Any]:
        """A whole answer of text alone."""
        return [*self.head(*deltas), *self.tail()]

    def asked_model(self, seen: Seen) -> str:
        """The model that a request names."""
        return str(seen.body["model"])

    def choice(self, seen: Seen) -> Any:
        """The tool choice of a request."""
        return seen.body["tool_choice"]

    @abstractmethod
    def limits(self, seen: Seen) -> Limits:
        """The settings of a request."""


class OpenAIWire(Wire):
    """Chat completions, through the SDK's own transport."""

    message_id = "chatcmpl-1"

    def model(self, url: str) -> Any:
        openai = pytest.importorskip("openai")
        return (openai.AsyncOpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0), "gpt-4o")

    def model_at(self, host: str, url: str) -> Any:
        """A model whose requests to ``host`` reach the server at ``url``, as through a proxy."""
        openai = pytest.importorskip("openai")
        http = openai.DefaultAsyncHttpxClient(proxy=url, trust_env=False)
        client = openai.AsyncOpenAI(api_key=KEY, base_url=f"http://{host}/v1", max_retries=0, http_client=http)
        return (client, "gpt-4o")

    def head(self, *deltas: str) -> list[str]:
        opening = self.chunk({"role": "assistant", "content": ""})
        return [opening, *(self.chunk({"content": delta}) for delta in deltas)]

    def calls(self, *calls: Called) -> list[str]:
        return [piece for index, call in enumerate(calls) for piece in self._call(index, call)]

    def tail(self, reason: str = "stop") -> list[str]:
        return [self.chunk({}, finish_reason=reason), "data: [DONE]\n\n"]

    def thoughts(self, *deltas: str) -> list[str]:
        return [self.chunk({"reasoning_content": delta}) for delta in deltas]

    def error(self, message: str, kind: str) -> dict[str, Any]:
        return {"error": {"message": message, "type": kind, "code": None}}

    def failure(self, message: str) -> list[str]:
        return [data(self.error(message, "overloaded_error"))]

    def limits(self, seen: Seen) -> Limits:
        tokens = seen.body.get("max_completion_tokens", seen.body.get("max_tokens"))
        return Limits(seen.body.get("temperature"), tokens, seen.body.get("stop"))

    def chunk(self, delta: dict[str, Any], *, finish_reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        body = {"id": self.message_id, "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
        return data({**body, "choices": [choice]})

    def piece(self, index: int, arguments: str, call_id: str | None = None, name: str | None = None) -> str:
        """A piece of a tool call."""
        named = {"id": call_id, "type": "function"} if call_id else {}
        function = {"name": name, "arguments": arguments} if name else {"arguments": arguments}
        return self.chunk({"tool_calls": [{"index": index, **named, "function": function}]})

    def _call(self, index: int, call: Called) -> Iterable[str]:
        yield self.piece(index, "", call.id, call.name)
        for piece in call.pieces:
            yield self.piece(index, piece)


class LangChainWire(OpenAIWire):
    """The same server, through LangChain."""

    def model(self, url: str) -> Any:
        chat = pytest.importorskip("langchain_openai").ChatOpenAI
        # Its own client is kept for the next model of that URL, which may be another test's, on another event loop.
        client = httpx.AsyncClient()
        return chat(model="gpt-4o", api_key=KEY, base_url=f"{url}/v1", max_retries=0, http_async_client=client)


class AnthropicWire(Wire):
    """Anthropic's Messages API, through the SDK's own transport."""

    message_id = "msg_1"

    def __init__(self) -> None:
        self._blocks = 0

    def model(self, url: str) -> Any:
        anthropic = pytest.importorskip("anthropic")
        return (anthropic.AsyncAnthropic(api_key=KEY, base_url=url, max_retries=0), "claude-x")

    def head(self, *deltas: str) -> list[str]:
        message = {"id": self.message_id, "type": "message", "role": "assistant", "content": []}
        start = event("message_start", message=message)
        pieces = [{"type": "text_delta", "text": delta} for delta in deltas]
        return [start, *(self.block({"type": "text", "text": ""}, pieces) if deltas else [])]

    def calls(self, *calls: Called) -> list[str]:
        return [part for call in calls for part in self._call(call)]

    def tail(self) -> list[str]:
        return [event("message_delta", delta={"stop_reason": "end_turn"}), event("message_stop")]

    def thoughts(self, *deltas: str) -> list[str]:
        pieces = [{"type": "thinking_delta", "thinking": delta} for delta in deltas]
        return self.block({"type": "thinking", "thinking": ""}, pieces)

    def error(self, message: str, kind: str) -> dict[str, Any]:
        return {"type": "error", "error": {"type": kind, "message": message}}

    def failure(self, message: str) -> list[str]:
        return [event("error", error={"type": "overloaded_error", "message": message})]

    def limits(self, seen: Seen) -> Limits:
        return Limits(seen.body.get("temperature"), seen.body.get("max_tokens"), seen.body.get("stop_sequences"))

    def block(self, start: dict[str, Any], deltas: list[dict[str, Any]]) -> list[str]:
        """A content block."""
        index, self._blocks = self._blocks, self._blocks + 1
        return [
            event("content_block_start", index=index, content_block=start),
            *(event("content_block_delta", index=index, delta=delta) for delta in deltas),
            event("content_block_stop", index=index),
        ]

    def _call(self, call: Called) -> list[str]:
        pieces = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", *call.pieces)]
        return self.block({"type": "tool_use", "id": call.id, "name": call.name, "input": {}}, pieces)


class BedrockWire(Wire):
    """Amazon Bedrock's Converse, through LangChain."""

    def __init__(self) -> None:
        self._blocks = 0

    def model(self, url: str) -> Any:
        chat = pytest.importorskip("langchain_aws").ChatBedrockConverse
        once = pytest.importorskip("botocore.config").Config(retries={"total_max_attempts": 1})
        keys = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": KEY}
        return chat(model="amazon.nova-lite-v1:0", region_name="us-east-1", endpoint_url=url, config=once, **keys)

    def head(self, *deltas: str) -> list[bytes]:
        start = [] if self._blocks else [event_frame("messageStart", role="assistant")]
        return [*start, *(self._block([{"text": delta} for delta in deltas]) if deltas else [])]

    def calls(self, *calls: Called) -> list[bytes]:
        return [part for call in calls for part in self._call(call)]

    def tail(self) -> list[bytes]:
        usage = {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}
        end = event_frame("messageStop", stopReason="end_turn")
        return [end, event_frame("metadata", usage=usage, metrics={"latencyMs": 1})]

    def thoughts(self, *deltas: str) -> list[bytes]:
        pieces = [{"text": delta} for delta in deltas] + [{"signature": "c2lnbmVk"}]
        return self._block([{"reasoningContent": piece} for piece in pieces])

    def error(self, message: str, kind: str) -> dict[str, Any]:
        return {"__type": kind, "message": message}

    def failure(self, message: str) -> list[bytes]:
        return [exception_frame("serviceUnavailableException", message)]

    def asked_model(self, seen: Seen) -> str:
        return unquote(seen.path.split("/")[2])

    def choice(self, seen: Seen) -> Any:
        return seen.body["toolConfig"]["toolChoice"]

    def limits(self, seen: Seen) -> Limits:
        told = seen.body["inferenceConfig"]
        return Limits(told.get("temperature"), told.get("maxTokens"), told.get("stopSequences"))

    def _block(self, deltas: list[dict[str, Any]], start: dict[str, Any] | None = None) -> list[bytes]:
        index, self._blocks = self._blocks, self._blocks + 1
        return [
            *([event_frame("contentBlockStart", contentBlockIndex=index, start=start)] if start else []),
            *(event_frame("contentBlockDelta", contentBlockIndex=index, delta=delta) for delta in deltas),
            event_frame("contentBlockStop", contentBlockIndex=index),
        ]

    def _call(self, call: Called) -> list[bytes]:
        start = {"toolUse": {"toolUseId": call.id, "name": call.name}}
        return self._block([{"toolUse": {"input": piece}} for piece in call.pieces], start)


WIRES: dict[str, Callable[[], Wire]] = {
    "openai": OpenAIWire,
    "langchain": LangChainWire,
    "anthropic": AnthropicWire,
    "bedrock": BedrockWire,
}


def data(body: dict[str, Any]) -> str:
    """A server-sent event."""
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n"


def event(kind: str, **fields: Any) -> str:
    """A server-sent event with a name."""
    return f"event: {kind}\n" + data({"type": kind, **fields})
