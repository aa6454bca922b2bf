"""The files and mentions in README.md and the guides are right."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from copilotkit_runtime import RuntimeConfig
from copilotkit_runtime.server.cli.commands import app
from tests.documents.blocks import BLOCKS, DOCUMENTS, ROOT, Block, each

SHOWN = {"text", "tsx", "mermaid", "nginx", "caddy"}
READ = {"toml", "json"}
RUN = {"bash", "python"}
EXAMPLES = {file.name: file for file in (ROOT / "examples").glob("*.py")}
EXAMPLES["src/App.tsx"] = ROOT / "examples" / "react" / "src" / "App.tsx"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TARGETS = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
OPTION = re.compile(r"^  (\w+)\??:", re.MULTILINE)
FOLDERS = ("tests", "scripts", "examples", "docs", "deploy", "schema")
NO_SETTINGS = {"COPILOTKIT_CONFIG", "COPILOTKIT_PROT"}
"""The variable that names the settings file, and the guide's example of a misspelt one."""


def test_every_block_is_marked() -> None:
    unknown = [block.place for block in BLOCKS if block.language not in SHOWN | READ | RUN]
    assert unknown == []


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


def test_the_page_of_new_projects_is_the_example_s_with_another_agent() -> None:
    templates = ROOT / "server" / "scaffold" / "files" / "page"
    app = (ROOT / "examples" / "react" / "src" / "App.tsx").read_text(encoding="utf-8")
    assert (templates / "App.tsx.template").read_text(encoding="utf-8") == app.replace('"planner"', '"my_agent"')


@pytest.mark.parametrize("example", ["react", "react-graphql"])
def test_the_component_of_an_example_takes_the_place_of_that_in_vite_s_template(example: str) -> None:
    app = (ROOT / "examples" / example / "src" / "App.tsx").read_text(encoding="utf-8")
    assert "\nexport default function App() {\n" in app


documents = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))


def mentioned(document: Path, pattern: str) -> list[str]:
    """What stands in code quotes, or in a block, and looks like ``pattern``."""
    text = document.read_text(encoding="utf-8")
    quoted = re.findall(r"`([^`\n]+)`", text)
    return [found[1] for code in [*quoted, *text.splitlines()] for found in re.finditer(pattern, code)]


@documents
def test_what_links_point_at_is_there(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = document if not path else (document.parent / path).resolve()
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@documents
def test_what_is_named_exists(document: Path) -> None:
    assert set(mentioned(document, r"^make ([a-z0-9-]+)")) <= set(TARGETS)
    assert set(mentioned(document, r"copilotkit-runtime-py\[([a-z]+)\]")) <= set(PROJECT["optional-dependencies"])
    settings = {f"COPILOTKIT_{name.upper()}" for name in RuntimeConfig.model_fields}
    assert set(mentioned(document, r"\b(COPILOTKIT_[A-Z_]+[A-Z])\b")) <= settings | NO_SETTINGS
    for module in mentioned(document, r"^python -m ([\w.]+)"):
        assert importlib.util.find_spec(module) is not None, module
    for path in mentioned(document, rf"^((?:{'|'.join(FOLDERS)})/[\w./-]+)$"):
        assert (ROOT / path).exists(), path


def test_the_readme_lists_the_clients_that_the_matrix_shows() -> None:
    parity = (ROOT / "docs" / "parity.md").read_text(encoding="utf-8")
    shown = parity.partition("<!-- client matrix -->")[2].partition("<!-- /client matrix -->")[0]
    matrix = [cells for cells in rows(shown) if re.fullmatch(r"1\.\d+\.\S+", cells[0])]
    told = [
        cells for cells in rows((ROOT / "README.md").read_text(encoding="utf-8")) if "runtime-client-gql" in cells[0]
    ]
    covered = []
    for name, *cells in told:
        first, last = (int(found) for found in re.findall(r"1\.(\d+)", name))
        releases = [row for row in matrix if first <= int(row[0].split(".")[1]) <= last]
        covered += releases
        works = [cell == "yes" for cell in cells]
        assert all([cell == "ok" for cell in row[1:7]] == works for row in releases)
    assert sorted(covered) == sorted(matrix)


def rows(text: str) -> list[list[str]]:
    """The rows of the tables in a text."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines]


def test_the_flags_are_those_of_the_command() -> None:
    command: Any = get_command(app)
    flags = {flag for parameter in command.commands["serve"].params for flag in parameter.opts if flag[0] == "-"}
    told = {
        flag
        for first, *_ in rows((ROOT / "docs" / "cli.md").read_text(encoding="utf-8"))
        for flag in re.findall(r"--[a-z-]+", first)
    }
    assert told == flags


@pytest.mark.e2e
def test_the_migration_guide_names_whatever_the_typescript_runtime_takes() -> None:
    subprocess.run([ROOT / "scripts" / "reference" / "install"], check=True)
    source = ROOT / "scripts" / "reference" / "node_modules" / "@copilotkit" / "runtime" / "src"
    text = "".join(file.read_text(encoding="utf-8") for file in sorted(source.rglob("*.ts")))
    options = r"interface (?:CopilotRuntimeConstructorParams|CreateCopilotRuntimeServerOptions)\b.*?\{\n(.*?)^\}"
    named = [
        *(name for found in re.findall(options, text, re.DOTALL | re.MULTILINE) for name in OPTION.findall(found)),
        *re.findall(r"^export function (copilotRuntime\w+|\w+Endpoint)\(", text, re.MULTILINE),
        *re.findall(r"^export class (\w+Adapter)\b", text, re.MULTILINE),
    ]
    assert len(named) > 30
    assert unmentioned(named) == []


@pytest.mark.e2e
def test_the_migration_guide_names_whatever_the_newest_typescript_runtime_takes() -> None:
    subprocess.run([ROOT / "scripts" / "reference" / "install", "agui"], check=True)
    package = ROOT / "scripts" / "reference" / "agui" / "node_modules" / "@copilotkit" / "runtime"
    text = "".join(file.read_text(encoding="utf-8") for file in sorted((package / "dist" / "v2").rglob("*.d.mts")))
    interfaces = (
        r"^interface (?:CopilotRuntimeMiddlewares|BaseCopilotRuntimeOptions|Copilot\w+RuntimeOptions"
        r"|CopilotIntelligenceRuntimeBaseOptions|CopilotRuntimeHandlerOptions|CopilotRuntimeHooks)\b.*?\{\n(.*?)^\}"
    )
    named = {
        *(name for found in re.findall(interfaces, text, re.DOTALL | re.MULTILINE) for name in OPTION.findall(found)),
        *re.findall(r"^declare (?:function|const) (createCopilot\w+)\b", text, re.MULTILINE),
    }
    assert len(named) > 30
    internal = ("__", "ɵ")
    assert unmentioned(sorted(name for name in named if not name.startswith(internal))) == []


def unmentioned(names: list[str]) -> list[str]:
    """The names that the migration guide does not have."""
    guide = (ROOT / "docs" / "migration.md").read_text(encoding="utf-8")
    return [name for name in names if not re.search(rf"\b{name}\b", guide)]
