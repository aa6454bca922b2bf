"""Facts about the runtime: its version and agents."""

from __future__ import annotations

from importlib.metadata import version

import msgspec

from .config import EMULATED_VERSION
from .provider import AgentDescriptor

DISTRIBUTION = "copilotkit-runtime-py"


class RuntimeInfo(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """The runtime's version, the TypeScript runtime's whose contract it answers, and the agents it has."""

    version: str
    contract_version: str = EMULATED_VERSION
    agents: list[AgentDescriptor]


def runtime_version() -> str:
    """Return the version of this product, which is not that of the contract."""
    return version(DISTRIBUTION)


def runtime_info(agents: list[AgentDescriptor]) -> RuntimeInfo:
    """Return the description of a runtime with these agents."""
    return RuntimeInfo(version=runtime_version(), agents=agents)
