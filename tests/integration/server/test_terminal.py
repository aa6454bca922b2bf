"""What a person reads who starts a server: one summary, in colour on a terminal alone."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest

from copilotkit_runtime import CopilotRuntime, RuntimeConfig
from copilotkit_runtime.server.cli.summary import summary, warnings
from tests.integration.server.process import APP, COMMAND, PATIENCE, ROOT, environment

LAST = "  stop     Ctrl+C"


def on_terminal(**variables: str) -> str:
    """Return what a server writes to a terminal until its summary is complete."""
    ours, theirs = pty.openpty()
    command = [COMMAND, "serve", APP, "--port", "0"]
    env = {**environment(store="memory://"), **variables}
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=theirs, stderr=theirs)
    os.close(theirs)
    written, end = b"", time.monotonic() + PATIENCE
    try:
        while b"Ctrl+C" not in written and time.monotonic() < end:
            if select.select([ours], [], [], 1)[0]:
                written += os.read(ours, 65_536)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)
        os.close(ours)
    return written.decode()


def test_on_a_terminal_the_summary_is_coloured_and_nothing_stands_between() -> None:
    written = on_terminal(TERM="xterm")
    assert "\x1b[36mhttp://127.0.0.1" in written
    assert "Started server process" not in written
    assert "startup" not in written


def test_no_color_counts() -> None:
    written = on_terminal(TERM="xterm", NO_COLOR="1")
    assert "\x1b[36mhttp" not in written
    assert LAST in written


async def lines_of(runtime: CopilotRuntime) -> list[str]:
    return list(summary(runtime, 8000, await runtime.discover_agents()))


async def test_the_summary_lists_what_to_open_what_is_served_and_what_to_do_next(tmp_path: Path) -> None:
    file = tmp_path / "states.sqlite"
    config = RuntimeConfig(env="development", store=f"sqlite:///{file}")
    lines = await lines_of(CopilotRuntime(model="openai:gpt-4o", agents={"far": "http://127.0.0.1:1/"}, config=config))
    assert "  chat     http://127.0.0.1:8000/ in a browser" in lines
    assert "  model    openai:gpt-4o" in lines
    assert any(line.startswith("  store    sqlite:///") and f"({file} keeps all threads;" in line for line in lines)
    assert lines[-1] == LAST


async def test_production_names_no_page() -> None:
    config = RuntimeConfig(env="production", auth="none", cors_origins=("https://page.test",))
    lines = await lines_of(CopilotRuntime(config=config))
    assert not any(line.startswith(("  chat ", "  GraphiQL ")) for line in lines)


@pytest.mark.parametrize(
    ("origins", "key", "warns"),
    [("*", None, True), ("https://page.test", None, False), ("*", "ann:a-key", False)],
)
def test_production_warns_where_any_page_may_use_the_agents(origins: str, key: str | None, warns: bool) -> None:
    known = {"auth": "none"} if key is None else {"api_keys": key}
    config = RuntimeConfig.model_validate({"env": "production", "cors_origins": origins, **known})
    told = list(warnings(CopilotRuntime(config=config), []))
    assert any("any web page may use the agents" in warning for warning in told) == warns


@pytest.mark.parametrize(
    ("execution", "reason"),
    [("inline", "there is neither an agent nor a model"), ("queue", "no worker is there")],
)
def test_who_has_nobody_to_answer_reads_why(execution: str, reason: str) -> None:
    config = RuntimeConfig.model_validate({"execution": execution, "store": "redis://127.0.0.1:1/0"})
    found = list(warnings(CopilotRuntime(config=config), []))
    assert [warning.partition(":")[0] for warning in found if "reaches" not in warning] == [reason]
