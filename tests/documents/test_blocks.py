"""Every block of README.md and the guides does what it shows: commands run, Python serves, files are read."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
import tomllib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import jwt
import pytest

from copilotkit_runtime import RuntimeConfig
from tests.documents.blocks import BLOCKS, ROOT, Block
from tests.documents.installation import built, environment_of_its_own
from tests.documents.neighbours import neighbours, vendors
from tests.documents.reader import BIN, Server, environment, lay_out, run, serving
from tests.parity.fold import fold
from tests.parity.wire import ask
from tests.request_bodies import generate, text_message

NOT_RUN = {
    "make test": "this is it",
    "docker ": "there is no Docker daemon where tests run; the image and the composition have tests of their own",
}
"""Commands that are not executed, by how they begin, and why."""

pytestmark = pytest.mark.timeout(300)

SHOWN = {"text", "tsx"}
READ = {"toml", "json"}
RUN = {"bash", "python"}

SCRIPT = ROOT / "tests" / "documents" / "script.py"
EXAMPLES = {file.name: file for file in (ROOT / "examples").glob("*.py")}
EXAMPLES["src/App.tsx"] = ROOT / "examples" / "react" / "src" / "App.tsx"

BASH = [block for block in BLOCKS if block.language == "bash" and not block.text.startswith(tuple(NOT_RUN))]
PYTHON = [block for block in BLOCKS if block.language == "python"]


def each(blocks: list[Block]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("block", [pytest.param(block, id=block.place) for block in blocks])


def e2e_if_node(blocks: list[Block]) -> pytest.MarkDecorator:
    node = [pytest.mark.e2e]
    parameters = [pytest.param(block, id=block.place, marks=node if "npm" in block.text else []) for block in blocks]
    return pytest.mark.parametrize("block", parameters)


@pytest.fixture
async def vendor_settings() -> AsyncIterator[dict[str, str]]:
    async with vendors() as settings:
        yield settings


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the package's wheel is."""
    return built(tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that the database servers' own user can enter."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def test_every_block_says_what_it_is() -> None:
    unknown = [block.place for block in BLOCKS if block.language not in SHOWN | READ | RUN]
    assert unknown == []


def test_nothing_is_left_out_but_what_the_guides_have() -> None:
    assert all(any(block.text.startswith(command) for block in BLOCKS) for command in NOT_RUN)
    for block in BLOCKS:
        if block.text.startswith(tuple(NOT_RUN)):
            assert all(line.startswith(tuple(NOT_RUN)) or "docker" in line for line in block.text.splitlines())


@e2e_if_node([block for block in BASH if not block.serves and not block.installs])
async def test_a_command_does_what_it_says(block: Block, tmp_path: Path, vendor_settings: dict[str, str]) -> None:
    lay_out(tmp_path, block)
    ended = await run(["bash", "-euo", "pipefail", "-c", block.text], tmp_path, environment(**vendor_settings))
    assert ended.status == 0, ended.log
    assert ended.said


@each([block for block in BASH if block.installs])
async def test_what_is_installed_is_whole(block: Block, tmp_path: Path, wheels: Path) -> None:
    commands = await asyncio.to_thread(environment_of_its_own, tmp_path)
    settings = environment(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels))
    settings["PATH"] = f"{commands}:{settings['PATH']}"
    ended = await run(["bash", "-euo", "pipefail", "-c", block.text], tmp_path, settings)
    assert ended.status == 0, ended.log
    assert "Successfully installed copilotkit-runtime-py-" in ended.said
    shown = await run([str(commands / "copilotkit-runtime"), "schema"], tmp_path, settings)
    assert "generateCopilotResponse" in shown.said, shown.log


@e2e_if_node([block for block in BASH if block.serves])
async def test_a_server_starts_as_it_is_told_to(
    block: Block, tmp_path: Path, open_folder: Path, vendor_settings: dict[str, str]
) -> None:
    lay_out(tmp_path, block)
    async with neighbours(re.sub(r"--port \d+", "--port 0", block.text), open_folder) as text:
        # What is made from the checkout is promised to need no key.
        settings = environment() if text.startswith("make ") else environment(**vendor_settings)
        command, place = ["bash", "-euo", "pipefail", "-c", text], place_of(text, tmp_path)
        async with serving(command, place, settings, tmp_path) as server:
            await answers(server, block.text)


@each([block for block in PYTHON if block.makes_runtime])
async def test_a_runtime_is_served_and_answers(
    block: Block, tmp_path: Path, open_folder: Path, vendor_settings: dict[str, str]
) -> None:
    lay_out(tmp_path, block)
    async with neighbours(block.text, open_folder) as text:
        file = tmp_path / (block.file or "block.py")
        file.write_text(text, encoding="utf-8")
        command = [str(BIN / "copilotkit-runtime"), "serve", f"{file.name}:runtime"]
        async with serving(command, tmp_path, environment(**vendor_settings), tmp_path) as server:
            await chats(server, server.url, credentials(text))
            assert [line for line in server.log.read_text().splitlines() if is_complaint(line)] == []


@each([block for block in PYTHON if not block.makes_runtime])
async def test_other_python_runs(
    block: Block, tmp_path: Path, open_folder: Path, vendor_settings: dict[str, str]
) -> None:
    lay_out(tmp_path, block)
    async with neighbours(block.text, open_folder) as text:
        file = tmp_path / (block.file or "test_block.py")
        file.write_text(text, encoding="utf-8")
        runner = ["-m", "pytest", "-q"] if block.tests else ["-W", "error", str(SCRIPT)]
        ended = await run([sys.executable, *runner, file.name], tmp_path, environment(**vendor_settings))
    assert ended.status == 0, ended.said + ended.log


@each([block for block in BLOCKS if block.language in READ])
def test_a_file_is_read(block: Block) -> None:
    read = tomllib.loads(block.text) if block.language == "toml" else json.loads(block.text)
    if block.file == "settings.toml":
        RuntimeConfig(**read)
    assert read


@each([block for block in BLOCKS if block.language == "tsx"])
def test_a_page_is_pointed_at_where_the_server_is(block: Block) -> None:
    config = RuntimeConfig()
    place = f"http://{config.host}:{config.port}{config.graphql_path}"
    assert "runtimeUrl=" in block.text
    assert f'"{place}"' in block.text


@each([block for block in BLOCKS if block.file in EXAMPLES])
def test_an_example_in_a_guide_is_the_example(block: Block) -> None:
    assert block.text.split("\n", 1)[1] == EXAMPLES[str(block.file)].read_text(encoding="utf-8")


def place_of(text: str, folder: Path) -> Path:
    """Where a command is given: ``make`` in the checkout, everything else in the reader's folder."""
    return ROOT if text.startswith("make ") else folder


def credentials(text: str) -> dict[str, str]:
    """What a client has to show."""
    if "x-user" in text:
        return {"x-user": "ann"}
    if "the-key-of-ann" in text:
        return {"authorization": "Bearer the-key-of-ann"}
    if found := re.search(r'JwtAuth\(secret="(.+?)", audience="(.+?)"', text):
        token = jwt.encode({"sub": "ann", "aud": found[2], "exp": 2**40}, found[1])
        return {"authorization": f"Bearer {token}"}
    return {}


def is_complaint(line: str) -> bool:
    """Whether the runtime itself logged that something is wrong."""
    logged = json.loads(line) if line.startswith("{") else {"logger": "", "level": "info"}
    return logged["logger"].startswith("copilotkit_runtime") and logged["level"] not in {"debug", "info"}


async def answers(server: Server, text: str) -> None:
    """A server answers: a chat if it is a runtime, with its page if it is a site."""
    if "npm" in text:
        async with httpx.AsyncClient() as client:
            assert 'id="root"' in (await client.get(server.url)).text
        return
    if text.startswith("uvicorn"):
        for path in ("/api/copilotkit", "/api/other"):
            await is_there(server.url.rstrip("/") + path)
        return
    await chats(server, server.url, credentials(text))


async def is_there(url: str) -> None:
    """A runtime is at ``url``."""
    async with httpx.AsyncClient() as client:
        assert (await client.post(url, json={"query": "{ hello }"})).json() == {"data": {"hello": "Hello World"}}


async def chats(server: Server, url: str, headers: dict[str, str]) -> None:
    """Every agent answers, and so does the model if there is one."""
    async with httpx.AsyncClient(timeout=40, headers=headers) as client:
        response = await client.post(url, json={"query": "{ availableAgents { agents { name } } }"})
        agents = [agent["name"] for agent in response.json()["data"]["availableAgents"]["agents"]]
        model = "  model    yes" in server.said
        assert agents or model
        for agent in [*agents, *([None] if model else [])]:
            await speaks(client, url, agent)
    if headers:
        async with httpx.AsyncClient() as stranger:
            assert (await stranger.post(url, json={"query": "{ hello }"})).status_code == 401


async def speaks(client: httpx.AsyncClient, url: str, agent: str | None) -> None:
    """An agent, or the model, says something to the end."""
    body = generate(text_message("hello about our products"), agent=agent, threadId=f"thread-of-{agent}")
    answer = await ask(client, url, body, patience=40)
    assert answer.complete
    response = fold(answer.parts)
    assert response["status"]["code"] == "Success", response["status"]
    assert any("".join(message.get("content", [])) for message in response["messages"])
