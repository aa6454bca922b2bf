"""The context that every resolver receives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from graphql import GraphQLResolveInfo

from ...runtime.runs.handle import RunHandle
from ...runtime.service import RuntimeService
from ..http.client import ClientRequest


@dataclass(slots=True, kw_only=True)
class GraphQLContext:
    """One GraphQL request: its caller, the service, and the runs it started."""

    service: RuntimeService
    client: ClientRequest
    runs: list[RunHandle] = field(default_factory=list)


Info: TypeAlias = GraphQLResolveInfo[GraphQLContext]
