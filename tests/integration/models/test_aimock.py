"""The vendors' protocols as ``@copilotkit/aimock`` speaks them, which checks them against the vendors daily."""

from __future__ import annotations

import gc
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from copilotkit_runtime.runtime.errors import ConfigurationError
from copilotkit_runtime.runtime.messages import TextMessage
from tests.integration.models.asking import WEATHER, ask, called, run_of, said

# Google's and Amazon's packages warn about themselves.
pytestmark = [pytest.mark.e2e, pytest.mark.filterwarnings("ignore")]

HERE = Path(__file__).parent
AIMOCK = HERE / "node_modules/@copilotkit/aimock/dist/cli.js"


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """LangChain's clients cannot be closed: what they leave open goes here, not in a later test that warns of it."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    if not AIMOCK.exists():
        subprocess.run(["npm", "ci", "--loglevel=error"], cwd=HERE, check=True)
    command = ["node", str(AIMOCK), "--port", "0", "--fixtures", "aimock.json"]
    with subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield _address(server)
        finally:
            server.terminate()


def _address(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    for line in server.stdout:
        if found := re.search(r"listening on (\S+)", line):
            return found[1]
    raise AssertionError("aimock did not start")


BY_NAME = {
    "openai:gpt-4o": {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "{url}/v1"},
    "azure:gpt-4o": {
        "AZURE_OPENAI_API_KEY": "k",
        "AZURE_OPENAI_ENDPOINT": "{url}",
        "OPENAI_API_VERSION": "2024-10-21",
    },
    "groq:llama": {"GROQ_API_KEY": "k", "GROQ_BASE_URL": "{url}/v1"},
    "unify:llama": {"UNIFY_API_KEY": "k", "UNIFY_BASE_URL": "{url}/v1"},
    "ollama:llama": {"OLLAMA_HOST": "{url}"},
    "anthropic:claude": {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": "{url}"},
}


def _google(url: str) -> Any:
    chat = pytest.importorskip("langchain_google_genai").ChatGoogleGenerativeAI
    return chat(model="gemini-2.0-flash", api_key="k", base_url=url, max_retries=1)


def _ollama(url: str) -> Any:
    return pytest.importorskip("langchain_ollama").ChatOllama(model="llama", base_url=url)


def _bedrock(url: str) -> Any:
    chat = pytest.importorskip("langchain_aws").ChatBedrockConverse
    keys = {"aws_access_key_id": "k", "aws_secret_access_key": "k"}
    return chat(model="amazon.nova-lite-v1:0", region_name="us-east-1", endpoint_url=url, **keys)


BY_CLASS: dict[str, Callable[[str], Any]] = {"google": _google, "ollama-langchain": _ollama, "bedrock": _bedrock}


@pytest.fixture(params=[*BY_NAME, *BY_CLASS])
def model(request: pytest.FixtureRequest, url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    if request.param in BY_CLASS:
        return BY_CLASS[request.param](url)
    for name, value in BY_NAME[request.param].items():
        monkeypatch.setenv(name, value.format(url=url))
    return request.param


def asked(text: str) -> list[Any]:
    return [TextMessage(role="system", content="Be brief."), TextMessage(role="user", content=text)]


# aimock opens Converse's text blocks in a way that botocore refuses; Bedrock's own tests have them as Amazon does.
@pytest.mark.parametrize("model", [name for name in (*BY_NAME, *BY_CLASS) if name != "bedrock"], indirect=True)
async def test_text_streams(model: Any) -> None:
    assert said(await ask(model, run_of(asked("say")))) == "Hello from the vendor."


async def test_parallel_tool_calls_stream(model: Any) -> None:
    events = await ask(model, run_of(asked("both"), tools=[WEATHER]))
    arguments = sorted(arguments.replace(" ", "") for _, arguments in called(events).values())
    assert arguments == ['{"place":"Paris"}', '{"place":"Rome"}']


async def test_a_rate_limit_keeps_its_status(model: Any) -> None:
    with pytest.raises(ConfigurationError) as raised:
        await ask(model, run_of(asked("limit")))
    assert raised.value.status_code == 429
