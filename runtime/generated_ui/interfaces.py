"""The interfaces that a runtime lets agents generate, and what a run needs for them."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any

import msgspec

from ..context import RunInput
from ..request import RunRequest
from ..runs.stages import StageFactory
from .a2ui import (
    A2UI,
    BASIC_CATALOG,
    CATALOG_AVAILABLE,
    action_messages,
    client_catalog_id,
    guide_context,
    render_tool,
    with_catalog,
)
from .a2ui_stage import A2UIStage
from .apps import AppServers
from .sandbox_stage import SandboxStage

MODEL = "default"
"""What the model is called where agents are named."""


class GeneratedInterfaces:
    """What agents of one runtime may draw.

    Args:
        a2ui: How they draw A2UI surfaces. None: as usual, for clients that bring a catalog. False: never.
        sandboxed: The agents that may write pages for a client's sandbox; True for all.
        apps: The MCP servers that apps come from.
        max_bytes: How large one interface may be.
    """

    def __init__(
        self,
        *,
        a2ui: A2UI | bool | None = False,
        sandboxed: bool | Collection[str] = False,
        apps: AppServers | None = None,
        max_bytes: int = 4 * 1024 * 1024,
    ) -> None:
        self.apps = apps
        self._surfaces = a2ui is not None and a2ui is not False
        self._by_catalog = a2ui is not False
        self._a2ui = a2ui if isinstance(a2ui, A2UI) else A2UI()
        self._sandboxed = sandboxed if isinstance(sandboxed, bool) else frozenset(sandboxed)
        self._max_bytes = max_bytes

    def description(self) -> dict[str, Any]:
        """Return what clients learn of it, in their words."""
        shown: dict[str, Any] = {"a2uiEnabled": self._surfaces, "openGenerativeUIEnabled": bool(self._sandboxed)}
        if self._surfaces:
            agents = {} if self._a2ui.agents is None else {"agents": list(self._a2ui.agents)}
            shown["a2ui"] = {"enabled": True, **agents}
        return shown

    def prepare(self, request: RunRequest, run_input: RunInput) -> tuple[RunInput, list[StageFactory]]:
        """Return the input of a run with what its agent needs to draw, and the stages that draw."""
        stages: list[StageFactory] = []
        agent = request.agent_name or MODEL
        has_catalog = request.context.properties.get(CATALOG_AVAILABLE) is True
        if self._draws_surfaces(agent, has_catalog=has_catalog):
            offered = self._a2ui.offered_tool(has_catalog=has_catalog)
            stages.append(self._surface_stage(run_input, offered))
            run_input = self._with_surfaces(request, run_input, offered)
        if self._sandboxed is True or (self._sandboxed is not False and agent in self._sandboxed):
            stages.append(partial(SandboxStage, max_bytes=self._max_bytes))
        return run_input, stages

    def _draws_surfaces(self, agent: str, *, has_catalog: bool) -> bool:
        wanted = self._surfaces or (self._by_catalog and has_catalog)
        return wanted and (self._a2ui.agents is None or agent in self._a2ui.agents)

    def _surface_stage(self, run_input: RunInput, offered: str | None) -> StageFactory:
        catalog_id = self._a2ui.catalog_id or client_catalog_id(run_input.context) or BASIC_CATALOG
        names = {*self._a2ui.tool_names, *([offered] if offered else [])}
        return partial(A2UIStage, tool_names=names, catalog_id=catalog_id, max_bytes=self._max_bytes)

    def _with_surfaces(self, request: RunRequest, run_input: RunInput, offered: str | None) -> RunInput:
        context, tools = with_catalog(run_input.context, self._a2ui.schema), run_input.tools
        if offered is not None:
            tools = [*(tool for tool in tools if tool.name != offered), render_tool(offered)]
            context.append(guide_context(offered))
        messages = [*run_input.messages, *action_messages(request.context.properties)]
        return msgspec.structs.replace(run_input, context=context, tools=tools, messages=messages)
