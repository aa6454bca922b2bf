"""What the operator's documents say: their commands run, their Python runs, their tests are there."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from tests.integration.service.process import COMMAND, ROOT, environment
from tests.integration.service.settings_table import DOCUMENT, written

NAMES = ("configuration", "cli", "security", "deployment", "monitoring", "troubleshooting")
NEEDS_REDIS = "redis://"


def blocks(name: str, language: str) -> list[str]:
    text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands() -> list[str]:
    return [line for name in NAMES for block in blocks(name, "bash") for line in block.splitlines()]


def parsed(line: str) -> tuple[dict[str, str], list[str]]:
    words = shlex.split(line)
    settings = {
        name: value for name, _, value in (word.partition("=") for word in words if re.match(r"[A-Z_]+=", word))
    }
    return settings, words[len(settings) + 1 :]


@pytest.mark.parametrize("line", [line for line in commands() if " serve " not in line])
def test_a_command_does_what_it_says(line: str, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(blocks("configuration", "toml")[0])
    for folder in ("examples", "schema"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    _, words = parsed(line)
    ended = subprocess.run(
        [COMMAND, *words], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout


@pytest.mark.parametrize("line", [line for line in commands() if " serve " in line])
def test_a_server_starts_as_it_is_told_to(line: str, tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    settings, words = parsed(line)
    if NEEDS_REDIS in line:
        words = [word.replace("redis://localhost:6379/0", "sqlite:///shared.sqlite") for word in words]
    words = [*words[: words.index("--port")], *words[words.index("--port") + 2 :]] if "--port" in words else words
    process = subprocess.Popen(
        [COMMAND, *words, "--port", "0"],
        cwd=tmp_path,
        env={**environment(), **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline().startswith("CopilotKit runtime at http://127.0.0.1:")
    finally:
        process.terminate()
        process.wait(40)
        process.stdout.close()


@pytest.mark.parametrize("name", NAMES)
def test_the_python_of_a_document_runs(name: str) -> None:
    for block in blocks(name, "python"):
        exec(compile(block, name, "exec"), {})


def test_the_table_of_settings_is_that_of_the_code() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert written(text) == text


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`([a-z]+_[a-z_]+_[a-z_]+)`", (ROOT / "docs" / "security.md").read_text(encoding="utf-8")))
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "integration").rglob("test_*.py"))
    settings = {"max_body_bytes", "max_message_bytes", "max_concurrent_runs_per_client", "address_rate_limit"}
    settings |= {"max_concurrent_runs", "run_timeout_seconds", "rate_limit_store"}
    assert not [name for name in named - settings if f"def test_{name}" not in tests]


def test_the_composition_is_whole() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert {"runtime", "nginx", "postgres", "redis"} == services.keys()
    known = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    for variable in services["runtime"]["environment"]:
        assert f"`{variable.removeprefix('COPILOTKIT_').lower()}`" in known


def test_the_image_runs_as_no_root_and_is_watched() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    final = text.rsplit("FROM", 1)[1]
    assert "USER runtime" in final
    assert "HEALTHCHECK" in final
    assert 'ENTRYPOINT ["copilotkit-runtime", "serve"]' in final
