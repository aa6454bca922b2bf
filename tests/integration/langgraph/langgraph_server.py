"""A LangGraph server: the part of its HTTP API that the provider uses, over real graphs.

Shapes were taken from ``langgraph dev`` (langgraph-api 0.16.7).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import httpx
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphInterrupt
from langgraph.types import Command, PregelTask, StateSnapshot
from langgraph_sdk.client import LangGraphClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from copilotkit_runtime.providers.langgraph.custom_events import HANDLER, DispatchedEvent
from copilotkit_runtime.providers.langgraph.encoding import Encoder

URL = "http://langgraph"


class LangGraphServer:
    """Serves the graphs by name, and remembers what it was asked."""

    def __init__(self, **graphs: Any) -> None:
        self.graphs = {_id(name): graph.compile(checkpointer=InMemorySaver()) for name, graph in graphs.items()}
        self.threads: dict[str, str] = {}
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.app = Starlette(
            routes=[
                Route("/assistants/search", self.search, methods=["POST"]),
                Route("/assistants/{assistant_id}/schemas", self.schemas),
                Route("/threads", self.create_thread, methods=["POST"]),
                Route("/threads/{thread_id}", self.thread),
                Route("/threads/{thread_id}", self.delete_thread, methods=["DELETE"]),
                Route("/threads/{thread_id}/state", self.state),
                Route("/threads/{thread_id}/state", self.update_state, methods=["POST"]),
                Route("/threads/{thread_id}/state/checkpoint", self.state, methods=["POST"]),
                Route("/threads/{thread_id}/runs/stream", self.run, methods=["POST"]),
            ]
        )

    def client(self) -> LangGraphClient:
        transport = httpx.ASGITransport(app=self.app)
        return LangGraphClient(httpx.AsyncClient(transport=transport, base_url=URL))

    async def search(self, request: Request) -> Response:
        graph_id = (await request.json())["graph_id"]
        return JSONResponse([{"assistant_id": _id(graph_id)}] if _id(graph_id) in self.graphs else [])

    async def schemas(self, request: Request) -> Response:
        graph = self.graphs.get(request.path_params["assistant_id"])
        if graph is None:
            return JSONResponse({"detail": "Assistant not found"}, status_code=404)
        keys: dict[str, Any] = {"properties": {key: {} for key in graph.builder.channels}}
        # Servers before context schemas list what LangGraph itself takes beside what a graph declares.
        declared = (graph.get_context_jsonschema() or {}).get("properties", {})
        config = {"properties": {**declared, "thread_id": {}, "checkpoint_id": {}, "checkpoint_ns": {}}}
        return JSONResponse(
            {"input_schema": keys, "output_schema": keys, "state_schema": keys, "config_schema": config}
        )

    async def create_thread(self, request: Request) -> Response:
        thread_id = (await request.json())["thread_id"]
        self.threads.setdefault(thread_id, "idle")
        return JSONResponse({"thread_id": thread_id})

    async def thread(self, request: Request) -> Response:
        thread_id = request.path_params["thread_id"]
        if thread_id not in self.threads:
            return JSONResponse({"detail": "Thread not found"}, status_code=404)
        return JSONResponse({"status": self.threads[thread_id]})

    async def delete_thread(self, request: Request) -> Response:
        thread_id = request.path_params["thread_id"]
        if self.threads.pop(thread_id, None) is None:
            return JSONResponse({"detail": "Thread not found"}, status_code=404)
        for graph in self.graphs.values():
            await graph.checkpointer.adelete_thread(thread_id)
        return Response(status_code=204)

    async def state(self, request: Request) -> Response:
        thread_id = request.path_params["thread_id"]
        if thread_id not in self.threads:
            return JSONResponse({"detail": "Thread not found"}, status_code=404)
        body = await request.json() if request.method == "POST" else {}
        snapshot = await self._graph(thread_id).aget_state(_config(thread_id, body.get("checkpoint")))
        return JSONResponse(_state(snapshot))

    async def update_state(self, request: Request) -> Response:
        body, thread_id = await request.json(), request.path_params["thread_id"]
        self.requests.append(("update", body))
        config = _config(thread_id, None)
        written = await self._graph(thread_id).aupdate_state(config, body["values"], as_node=body.get("as_node"))
        return JSONResponse({"checkpoint": written["configurable"]})

    async def run(self, request: Request) -> Response:
        body, thread_id = await request.json(), request.path_params["thread_id"]
        self.requests.append(("run", body))
        self.headers.append(dict(request.headers))
        return StreamingResponse(self._stream(thread_id, body), media_type="text/event-stream")

    async def _stream(self, thread_id: str, body: dict[str, Any]) -> AsyncIterator[str]:
        graph = self.graphs[body["assistant_id"]]
        config = _config(thread_id, body.get("checkpoint"))
        config["configurable"] |= body["config"]["configurable"]
        config["callbacks"] = [HANDLER]
        given = Command(**body["command"]) if body.get("command") else body.get("input")
        modes = ["messages", "tasks", "values", "custom"]
        yield _sent("metadata", {"run_id": "1", "attempt": 1})
        try:
            async for namespace, mode, data in graph.astream(given, config, stream_mode=modes, subgraphs=True):
                yield _part(namespace, mode, data)
        except GraphInterrupt:
            raise
        except Exception as error:  # noqa: BLE001 - as the server does, whatever the graph raised
            yield _sent("error", {"error": type(error).__name__, "message": str(error)})
        snapshot = await graph.aget_state(_config(thread_id, None))
        self.threads[thread_id] = "interrupted" if snapshot.next else "idle"

    def _graph(self, thread_id: str) -> Any:
        del thread_id
        return next(iter(self.graphs.values()))


def _id(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, name))


def _config(thread_id: str, checkpoint: dict[str, Any] | None) -> RunnableConfig:
    return {"configurable": {**(checkpoint or {}), "thread_id": thread_id}}


def _task(task: PregelTask) -> Any:
    interrupts = [{"id": each.id, "value": each.value} for each in task.interrupts]
    return {"id": task.id, "name": task.name, "result": task.result, "interrupts": interrupts}


def _state(snapshot: StateSnapshot) -> Any:
    state = {
        "values": snapshot.values,
        "next": snapshot.next,
        "created_at": snapshot.created_at,
        "metadata": snapshot.metadata,
        "checkpoint": snapshot.config["configurable"] if snapshot.created_at else None,
        "parent_checkpoint": snapshot.parent_config and snapshot.parent_config["configurable"],
        "tasks": [_task(task) for task in snapshot.tasks],
    }
    return Encoder().encode(state)


def _part(namespace: tuple[str, ...], mode: str, data: Any) -> str:
    if isinstance(data, DispatchedEvent):
        metadata = {"langgraph_checkpoint_ns": f"node:{data.task_id}"}
        event = {"event": "on_custom_event", "name": data.name, "data": data.data, "metadata": metadata}
        return _sent("events", event)
    return _sent("|".join((mode, *namespace)), data)


def _sent(event: str, data: Any) -> str:
    return f"event: {event}\ndata: {json.dumps(Encoder().encode(data))}\n\n"
