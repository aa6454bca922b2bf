"""The context that every resolver receives."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TypeAlias

from graphql import GraphQLResolveInfo

from ...runtime.errors import CopilotKitError, TryLaterError
from ...runtime.request import RunRequest
from ...runtime.runs.handle import RunHandle
from ...runtime.service import RuntimeService
from ..http.client import ClientRequest


@dataclass(slots=True, kw_only=True)
class GraphQLContext:
    """One GraphQL request: its caller, the service, and the runs it started."""

    service: RuntimeService
    client: ClientRequest
    runs: list[RunHandle] = field(default_factory=list)
    later: TryLaterError | None = None
    """Why a run was not accepted, if it may be asked for again in a moment."""
    refused: CopilotKitError | None = None
    """Why a field was refused first, in an answer that has other fields."""

    async def start(self, request: RunRequest) -> RunHandle:
        """Start a run.

        Raises:
            Exception: It cannot be started.
        """
        try:
            run = await self.service.start(request)
        except TryLaterError as error:
            self.later = error
            raise
        except asyncio.CancelledError:
            if self.service.config.on_disconnect == "cancel":
                self.service.abandon(request)
            raise
        self.runs.append(run)
        return run


Info: TypeAlias = GraphQLResolveInfo[GraphQLContext]
