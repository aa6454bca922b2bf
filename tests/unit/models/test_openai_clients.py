from __future__ import annotations

from typing import Any

import pytest

from copilotkit_runtime.providers.models import ModelOptions

pytest.importorskip("openai")

import openai

from copilotkit_runtime.providers.models.openai_clients import open_chat


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The clients of OpenAI's SDK that are made."""
    made: list[Any] = []

    class Noted(openai.AsyncOpenAI):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            made.append(self)

    monkeypatch.setattr(openai, "AsyncOpenAI", Noted)
    return made


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
async def test_ollamas_own_variable_sets_where_it_is(
    monkeypatch: pytest.MonkeyPatch, clients: list[Any], host: str, url: str
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", host)
    chat = open_chat("ollama", "llama3", ModelOptions())
    assert [str(client.base_url) for client in clients] == [url]
    await chat.close()


async def test_another_vendor_never_gets_the_key_for_openai(
    monkeypatch: pytest.MonkeyPatch, clients: list[Any]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    chat = open_chat("ollama", "llama3", ModelOptions())
    assert len(clients) == 1
    assert clients[0].api_key != "sk-openai"
    await chat.close()
