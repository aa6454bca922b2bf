"""``/info``: what clients learn of the runtime before anything else."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import msgspec

from ...runtime.config import EMULATED_VERSION
from ...runtime.info import DISTRIBUTION
from ...runtime.service import RuntimeService
from .agents import shown_agents

AGUI_VERSION = "1.75.0"
"""The version of the TypeScript runtime whose AG-UI wire this one answers."""


class Abilities(msgspec.Struct, frozen=True, kw_only=True):
    """What this server can do besides running agents."""

    transcription: bool = False
    list_threads: bool = False
    inspect_threads: bool = False
    change_threads: bool = False


async def runtime_info(service: RuntimeService, abilities: Abilities, *, single_route: bool) -> dict[str, Any]:
    """Describe the runtime, to clients of all versions. What is absent means no; licences are never claimed.

    Args:
        service: Has the agents.
        abilities: What else the server can do.
        single_route: Whether the client asks by envelope. Those before 1.70.2 cannot reach threads in this way.
    """
    threads = {
        "list": abilities.list_threads,
        "inspect": abilities.inspect_threads,
        "mutations": abilities.change_threads,
        "realtimeMetadata": False,
    }
    info: dict[str, Any] = {
        "version": AGUI_VERSION,
        "agents": await shown_agents(service),
        "audioFileTranscriptionEnabled": abilities.transcription,
        "mode": "sse",
        "suggestions": True,
        "threadEndpoints": threads,
        **service.preparation.interfaces.description(),
        "telemetryDisabled": True,
    }
    if service.config.extensions:
        info |= {"contractVersion": EMULATED_VERSION, "runtimeVersion": version(DISTRIBUTION)}
    if not single_route:
        return info
    none = dict.fromkeys(threads, False)
    return {**info, "threadEndpoints": none, "singleRoute": {"resourceOperations": True, "threadEndpoints": threads}}
