from __future__ import annotations

import pytest

from copilotkit_runtime.providers.models import ModelOptions

pytest.importorskip("openai")

from copilotkit_runtime.providers.models.openai_clients import open_chat


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://localhost:11434/v1/"),
        ("box", "http://box:11434/v1/"),
        ("box:9999", "http://box:9999/v1/"),
        ("https://ollama.example", "https://ollama.example/v1/"),
        ("http://box:9999/v1/", "http://box:9999/v1/"),
    ],
)
async def test_ollamas_own_variable_sets_where_it_is(monkeypatch: pytest.MonkeyPatch, host: str, url: str) -> None:
    monkeypatch.setenv("OLLAMA_HOST", host)
    chat = open_chat("ollama", "llama3", ModelOptions())
    assert str(chat._client.base_url) == url  # type: ignore[attr-defined]
    await chat.close()


async def test_another_vendor_never_gets_the_key_for_openai(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    chat = open_chat("ollama", "llama3", ModelOptions())
    assert chat._client.api_key != "sk-openai"  # type: ignore[attr-defined]
    await chat.close()
