from __future__ import annotations

import subprocess
import sys

import pytest

from copilotkit_runtime.providers.models import ModelOptions
from copilotkit_runtime.providers.models.vendors import Vendors, split
from copilotkit_runtime.runtime.errors import MissingExtraError, MisuseError


@pytest.mark.parametrize(
    ("spec", "vendor", "name"),
    [
        ("openai:gpt-4o", "openai", "gpt-4o"),
        ("ollama:llama3:latest", "ollama", "llama3:latest"),
        ("anthropic", "anthropic", "claude-3-5-sonnet-latest"),
        ("gpt-4o-mini", "openai", "gpt-4o-mini"),
        ("o3", "openai", "o3"),
        ("claude-x", "anthropic", "claude-x"),
        ("google_genai:gemini-2.0-flash", "google_genai", "gemini-2.0-flash"),
        ("gemini-2.0-flash", "", "gemini-2.0-flash"),
        (" openai:gpt-4o ", "openai", "gpt-4o"),
    ],
)
def test_a_model_is_named_by_vendor_and_name(spec: str, vendor: str, name: str) -> None:
    assert split(spec) == (vendor, name)


@pytest.mark.parametrize("spec", ["", "openai:", ":gpt-4o", " "])
def test_a_name_that_names_nothing_is_misuse(spec: str) -> None:
    with pytest.raises(MisuseError, match="names no model"):
        split(spec)


@pytest.mark.parametrize("spec", ["opanai:gpt-4o", "OpenAI:gpt-4o", "open_ai:gpt-4o"])
def test_a_misspelt_vendor_is_answered_with_the_one_that_is_meant(spec: str) -> None:
    with pytest.raises(MisuseError, match=f"'{spec}' names no vendor. Did you mean 'openai:gpt-4o'"):
        split(spec)


def test_vendors_of_langchain_are_not_taken_for_misspelt_ones() -> None:
    for vendor in ("azure_ai", "azure_openai", "anthropic_bedrock", "openrouter", "google_genai"):
        assert split(f"{vendor}:x") == (vendor, "x")


@pytest.mark.parametrize(
    ("spec", "package", "extra"),
    [
        ("openai:x", "openai", "openai"),
        ("groq:x", "openai", "openai"),
        ("anthropic:x", "anthropic", "anthropic"),
        ("google_genai:x", "langchain.chat_models", "google"),
        ("mistralai:x", "langchain.chat_models", "models"),
    ],
)
async def test_a_missing_package_is_an_error_that_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, spec: str, package: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"\[{extra}\]"):
        await Vendors(ModelOptions()).chat(spec)


async def test_a_vendors_client_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openai")
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    vendors = Vendors(ModelOptions())
    one = await vendors.chat("openai:one")
    assert await vendors.chat("openai:one") is one
    assert (await vendors.chat("openai:two")).name == "two"
    await vendors.close()


def test_no_vendors_package_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys; from copilotkit_runtime.providers.models import ModelProvider; ModelProvider('openai:x');"
        "print([name for name in ('openai', 'anthropic', 'langchain', 'langchain_core') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
