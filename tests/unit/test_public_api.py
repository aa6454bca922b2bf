"""The public names: listed here one by one, importable without any framework, and all that guides import."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from types import ModuleType

import pytest

import copilotkit_runtime
from tests.documents.blocks import ROOT

FRAMEWORKS = ("langgraph", "langchain_core", "crewai", "openai", "anthropic", "redis", "psycopg", "mcp", "httpx", "jwt")

PUBLIC = {
    "copilotkit_runtime": """
        A2UI Action ActionSource AfterRequest AgentDescriptor AgentProvider AgentState ApiKeyAuth Audio
        Authenticator BeforeRequest CloudGuardrail ContextItem CopilotRuntime ErrorContext ErrorEvent
        ForwardedParameters Guardrail Hooks Identity InputCheck JwtAuth Observability ObservedError ObservedRequest
        ObservedResponse OutputCheck
        RecordStore Resume RunContext RunInput RunLock RuntimeConfig RuntimeInfo StateEncodingError StateSchemas
        StateStore StateTooLargeError Stopped StoreConflictError StoreKeyError StoreSettings StoreUnavailableError
        ThreadInfo ThreadPage Tool TopicGuardrail TopicJudge TranscriptionError
        Verdict action errors events messages open_store stores
    """,
    "copilotkit_runtime.runtime.stores": """
        AgentState Place Record RecordStore RunLock Stamp Standing StateEncodingError StateStore StateTooLargeError
        StoreConflictError StoreKeyError StoreSettings StoreUnavailableError ThreadInfo ThreadPage Ticket TicketDesk
        open_store
    """,
    "copilotkit_runtime.providers.agui": "AGUIHttpAgent AGUIProvider InProcessAgent",
    "copilotkit_runtime.providers.crewai": """
        CopilotKitProperties CopilotKitState CrewAIProvider PredictStateConfig StateItem copilotkit_emit_message
        copilotkit_emit_state copilotkit_emit_tool_call copilotkit_emit_tool_result copilotkit_exit
        copilotkit_predict_state copilotkit_stream
    """,
    "copilotkit_runtime.providers.langgraph": "Deployment LangGraphPlatformProvider LangGraphProvider MemoryOptions",
    "copilotkit_runtime.providers.langserve": "LangServeChain",
    "copilotkit_runtime.providers.mcp": "MCPServer MCPSource",
    "copilotkit_runtime.providers.models": "ModelOptions ModelProvider model_provider",
    "copilotkit_runtime.providers.remote": "RemoteAction RemoteEndpointProvider",
    "copilotkit_runtime.testing": "AGENT CHECKS Behaviour Check Guest Request Script ScriptedService head",
}
"""The names that users may rely on, by module: one added or taken away has to be added or taken away here too."""

SUBMODULES = {module.name for module in pkgutil.iter_modules(copilotkit_runtime.__path__)}
GUIDES = [*sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").rglob("*.py")), ROOT / "README.md"]
IMPORT = re.compile(r"from (copilotkit_runtime[\w.]*) import (\([^)]*\)|[^\n#]*)")


def exported(module: ModuleType) -> set[str]:
    return {name for name in vars(module) if not name.startswith("_")}


@pytest.mark.filterwarnings("ignore::ImportWarning", "ignore::DeprecationWarning")  # CrewAI's own, on import
@pytest.mark.parametrize("module", PUBLIC)
def test_the_public_names_are_those_listed_here(module: str) -> None:
    imported = importlib.import_module(module)
    assert sorted(imported.__all__) == sorted(PUBLIC[module].split())
    assert [name for name in imported.__all__ if not hasattr(imported, name)] == []


def test_the_package_shows_no_name_that_is_not_public() -> None:
    program = "import copilotkit_runtime; print(*[n for n in vars(copilotkit_runtime) if n[0] != '_'])"
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert set(printed.stdout.split()) - SUBMODULES == set(copilotkit_runtime.__all__) - SUBMODULES


def test_every_error_is_of_the_one_hierarchy() -> None:
    for name in exported(copilotkit_runtime):
        value = getattr(copilotkit_runtime, name)
        if inspect.isclass(value) and issubclass(value, BaseException):
            assert issubclass(value, copilotkit_runtime.errors.CopilotKitError)


def test_guides_import_public_names_only() -> None:
    imported = {
        (path.name, module, name.split(" as ")[0].strip())
        for path in GUIDES
        for module, names in IMPORT.findall(path.read_text(encoding="utf-8"))
        for name in names.strip("()").replace("\n", " ").split(",")
        if name.strip()
    }
    assert len(imported) > 50
    assert not {entry for entry in imported if entry[2] not in PUBLIC.get(entry[1], "").split()}


def test_importing_the_package_imports_no_framework() -> None:
    program = f"import sys, copilotkit_runtime; print([name for name in {FRAMEWORKS!r} if name in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert printed.stdout.strip() == "[]"
