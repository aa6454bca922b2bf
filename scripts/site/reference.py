"""The reference: pages of names whose text mkdocstrings takes from their docstrings, and the commands' own help."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping

import copilotkit_runtime

PACKAGE = "copilotkit_runtime"
FOLDER = "reference"
_COMMANDS = f"{PACKAGE}.server.cli.commands"

PAGES: Mapping[str, tuple[str, Iterable[str]]] = {
    "runtime": ("Runtime", ["CopilotRuntime", "RuntimeConfig", "RuntimeInfo"]),
    "agents": (
        "Agents and runs",
        [
            "AgentProvider",
            "AgentDescriptor",
            "StateSchemas",
            "RunInput",
            "RunContext",
            "ContextItem",
            "ForwardedParameters",
            "Resume",
            "Tool",
            "Audio",
            "TranscriptionError",
        ],
    ),
    "events": ("Events", ["events"]),
    "messages": ("Messages", ["messages"]),
    "errors": ("Errors", ["errors"]),
    "providers": (
        "Providers",
        [
            "providers.langgraph.LangGraphProvider",
            "providers.langgraph.LangGraphPlatformProvider",
            "providers.langgraph.Deployment",
            "providers.langgraph.MemoryOptions",
            "providers.crewai.CrewAIProvider",
            "providers.crewai.CopilotKitState",
            "providers.agui.AGUIProvider",
            "providers.agui.AGUIHttpAgent",
            "providers.remote.RemoteEndpointProvider",
            "providers.langserve.LangServeChain",
            "providers.mcp.MCPServer",
            "providers.models.ModelProvider",
            "providers.models.ModelOptions",
        ],
    ),
    "actions": ("Actions", ["Action", "ActionSource", "action", "A2UI"]),
    "hooks": (
        "Hooks",
        [
            "Hooks",
            "BeforeRequest",
            "AfterRequest",
            "ErrorContext",
            "ErrorEvent",
            "Stopped",
            "Observability",
            "ObservedRequest",
            "ObservedResponse",
            "ObservedError",
        ],
    ),
    "guardrails": (
        "Guardrails",
        ["Guardrail", "InputCheck", "OutputCheck", "Verdict", "TopicGuardrail", "TopicJudge", "CloudGuardrail"],
    ),
    "stores": (
        "Stores",
        [
            "open_store",
            "StoreSettings",
            "StateStore",
            "RecordStore",
            "AgentState",
            "RunLock",
            "ThreadInfo",
            "ThreadPage",
            "StateEncodingError",
            "StateTooLargeError",
            "StoreConflictError",
            "StoreKeyError",
            "StoreUnavailableError",
        ],
    ),
    "auth": ("Authentication", ["Authenticator", "Identity", "ApiKeyAuth", "JwtAuth"]),
    "testing": (
        "The conformance suite",
        ["testing.Guest", "testing.Behaviour", "testing.CHECKS", "testing.ScriptedService"],
    ),
}
"""The pages, each with its title and the names on it, below the package."""
_MODULES = {"events", "messages", "errors", "stores"}


def pages() -> Iterator[tuple[str, str]]:
    """Yield the path and the Markdown of each page; public names that no page lists are on the first."""
    listed = {name for _, names in PAGES.values() for name in names}
    first, *_ = PAGES
    for page, (title, names) in PAGES.items():
        others = sorted(set(copilotkit_runtime.__all__) - listed - _MODULES) if page == first else []
        yield f"{FOLDER}/{page}.md", f"# {title}\n\n" + "".join(map(_entry, [*names, *others]))
    yield f"{FOLDER}/commands.md", _commands()


def _entry(name: str) -> str:
    if name in _MODULES:
        return f"::: {PACKAGE}.runtime.{name}\n    options: {{ show_root_heading: false }}\n\n"
    return f"::: {PACKAGE}.{name}\n\n"


def _commands() -> str:
    command = [sys.executable, "-m", "typer", _COMMANDS, "utils", "docs", "--name", "copilotkit-runtime"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return text.replace("# `copilotkit-runtime`", "# Commands", 1)
