"""Targets of a command that are named by a file."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest

from copilotkit_runtime.runtime.errors import CopilotKitError
from copilotkit_runtime.runtime.python_files import import_file
from copilotkit_runtime.server.cli.slow_load import report_slow_load
from copilotkit_runtime.server.cli.target import TargetError, load_runtime

SERVED = """
from copilotkit_runtime import CopilotRuntime, RuntimeConfig

runtime = CopilotRuntime(config=RuntimeConfig(cors_origins=[ORIGIN]))
"""


@pytest.fixture(autouse=True)
def imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in [name for name in sys.modules if name not in before and name.startswith("target_")]:
        del sys.modules[name]


def write(folder: Path, name: str, text: str) -> str:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return str(file)


def test_a_file_imports_what_lies_beside_it(tmp_path: Path) -> None:
    write(tmp_path, "target_words.py", "ORIGIN = 'https://beside.test'\n")
    file = write(tmp_path, "target_alone.py", f"from target_words import ORIGIN\n{SERVED}")
    assert load_runtime(file).config.cors_origins == ("https://beside.test",)
    assert "target_alone" in sys.modules


def test_a_file_of_a_package_may_import_relatively(tmp_path: Path) -> None:
    write(tmp_path, "target_package/__init__.py", "")
    write(tmp_path, "target_package/words.py", "ORIGIN = 'https://package.test'\n")
    file = write(tmp_path, "target_package/agents/__init__.py", "")
    file = write(tmp_path, "target_package/agents/main.py", f"from ..words import ORIGIN\n{SERVED}")
    assert load_runtime(f"{file}:runtime").config.cors_origins == ("https://package.test",)


def test_a_file_that_raises_is_not_kept_and_leaves_what_has_its_name(tmp_path: Path) -> None:
    file = write(tmp_path, "json.py", "1 / 0\n")
    json = sys.modules["json"]
    with pytest.raises(TargetError) as raised:
        load_runtime(file)
    assert "json.py" in raised.value.stack
    assert "python_files" not in raised.value.stack
    assert sys.modules["json"] is json


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def broken(:\n", r"target_slip.py has a syntax error in line 1: "),
        ("raise ValueError('no port given')\n", r"it raises ValueError: no port given\."),
        ("import sys\nsys.exit()\n", r"it calls sys\.exit\(\)\.$"),
        ("import sys\nsys.exit('no port is set')\n", r"it calls sys\.exit\('no port is set'\)\.$"),
        (
            "import os\nos.environ['PORT_OF_MINE']\n",
            r"reads the environment variable PORT_OF_MINE, which is not set\.$",
        ),
        ("{}['PORT_OF_MINE']\n", r"it raises KeyError: 'PORT_OF_MINE'\.$"),
        ("raise ValueError('which port?')\n", r"it raises ValueError: which port\?$"),
        ("import target_nowhere\n", r"it imports target_nowhere, which is not installed\."),
        (
            "raise ModuleNotFoundError('No module named crewai', name='crewai')\n",
            r"it imports crewai, which is not installed\. Install it with: pip install"
            r" 'copilotkit-runtime-py\[crewai\]'\.$",
        ),
        ("import json.nothing\n", r"it imports json\.nothing, which does not exist|'json' is not a package"),
        ("from copilotkit_runtime import CopilotRuntme\n", r"has no CopilotRuntme\. Did you mean CopilotRuntime\?$"),
        (
            "from copilotkit_runtime import LangGraphProvider\n",
            r"Write from copilotkit_runtime\.providers\.langgraph import LangGraphProvider\.",
        ),
    ],
)
def test_a_file_that_cannot_be_loaded_is_reported_with_what_is_wrong_in_it(
    tmp_path: Path, text: str, said: str
) -> None:
    file = write(tmp_path, "target_slip.py", text)
    with pytest.raises(TargetError, match=said):
        load_runtime(file)


GATED = """
import sys

def wait():
    while not sys.stderr.getvalue():
        pass

wait()
"""
EXECUTED = """
import sys

exec("while not sys.stderr.getvalue(): pass")
"""


@pytest.mark.parametrize("text", [GATED, EXECUTED], ids=["its function", "its text"])
def test_a_target_that_takes_long_to_load_is_reported_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    file = Path(write(tmp_path, "target_gated.py", text))
    printed = StringIO()
    monkeypatch.setattr(sys, "stderr", printed)
    with report_slow_load("target_gated.py", 0.01):
        import_file(file, "target_gated")
    said = printed.getvalue()
    # The line is one of this test's own if the file was not reached by then.
    assert re.match(
        r"copilotkit-runtime: target_gated\.py is still being loaded after 0\.01 s: line \d+ of t[a-z]+_\w+\.py, ", said
    ), said


def test_files_that_import_each_other_are_named(tmp_path: Path) -> None:
    write(tmp_path, "target_tools.py", "from target_circle import NAME\nTOOL = NAME\n")
    file = write(tmp_path, "target_circle.py", "from target_tools import TOOL\nNAME = TOOL\n")
    with pytest.raises(TargetError, match=r"target_circle and target_tools import each other\."):
        load_runtime(file)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("target_servd.py", r"does not exist\. Did you mean .*target_served\.py\?"),
        ("https://example.test/agent", r"A URL is not served"),
        ("", r"has no langgraph\.json\. Did you mean .*target_served\.py:runtime\?"),
        ("target_served.py:Runtime", r"'Runtime' is the class Runtime\. Write runtime = Runtime\(…\) there\."),
        ("target_served.py::Runtime", r"'Runtime' is the class Runtime\."),
        (
            "target_served.py:make",
            r"is a function\. If it makes a runtime or an agent, write made = asyncio\.run\(make\(\)\)",
        ),
    ],
)
def test_a_slip_in_the_target_is_reported_with_what_to_write(tmp_path: Path, target: str, said: str) -> None:
    classes = "class Runtime(CopilotRuntime): ...\nasync def make(): ...\n"
    write(tmp_path, "target_served.py", f"ORIGIN = 'https://slip.test'\n{SERVED}{classes}")
    place = target if target.startswith("https:") else f"{tmp_path}/{target}"
    with pytest.raises(CopilotKitError, match=said):
        load_runtime(place)


THINGS = """
import json
from copilotkit_runtime import AgentProvider
from langchain_core.tools import tool

class Own(AgentProvider):
    name = "own"
    async def list_agents(self): return []
    async def execute_run(self, *_): yield

class Agent: ...

@tool
def look_up(city: str) -> str:
    "Look a city up."
    return city

by_name, listed, model = {"one": "https://one.test"}, [Own()], "openai:gpt-4o"
"""
WEBSITE = """
from flask import Flask

website = Flask("site")
"""


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("look_up", "named 'look_up'. 'look_up' is a StructuredTool."),
        ("Agent", "If its objects are agents, write made = Agent(…) there, and serve that."),
        ("Own", "Write runtime = CopilotRuntime(providers=[Own(…)]) there."),
        ("json", "'json' is a module. Name what is in it: json:runtime."),
        ("by_name", "Write runtime = CopilotRuntime(agents=by_name) there."),
        ("listed", "Write runtime = CopilotRuntime(providers=listed) there."),
        ("model", "Write runtime = CopilotRuntime(model=model) there."),
    ],
)
def test_what_has_the_name_and_is_no_runtime_is_named_with_what_to_write(
    tmp_path: Path, name: str, remedy: str
) -> None:
    _assert_remedy(write(tmp_path, "target_things.py", THINGS), name, remedy)


def test_an_application_of_another_framework_is_named_with_where_to_read_on(tmp_path: Path) -> None:
    pytest.importorskip("flask")  # the lowest versions are tested without it
    remedy = "Such an application runs beside a runtime, which is served by itself: docs/recipes has how."
    _assert_remedy(write(tmp_path, "target_website.py", WEBSITE), "website", remedy)


def _assert_remedy(file: str, name: str, remedy: str) -> None:
    with pytest.raises(CopilotKitError) as raised:
        load_runtime(f"{file}:{name}")
    assert str(raised.value).endswith(remedy)
