"""The systemd unit, as systemd reads it, against the code."""

from __future__ import annotations

import configparser
import shlex
import sys
from pathlib import Path

import pytest

from copilotkit_runtime import RuntimeConfig
from tests.deploy.tools import DEPLOY, program, run
from tests.integration.server.process import run as run_command

pytestmark = pytest.mark.e2e

UNIT = DEPLOY / "systemd" / "copilotkit-runtime.service"
ENVIRONMENT = DEPLOY / "systemd" / "copilotkit-runtime.env"
INSTALLED = "/opt/copilotkit-runtime"
CONNECTIONS_GRACE_SECONDS = 10


def service() -> configparser.SectionProxy:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return parser["Service"]


def settings() -> dict[str, str]:
    """The settings that the unit and its file make, by their names."""
    pairs = [*shlex.split(service()["Environment"]), *ENVIRONMENT.read_text().splitlines()]
    named = [pair.partition("=") for pair in pairs if pair and not pair.startswith("#")]
    return {name.removeprefix("COPILOTKIT_").lower(): value for name, _, value in named}


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    command = tmp_path / "bin" / "copilotkit-runtime"
    command.parent.mkdir()
    command.symlink_to(Path(sys.executable).with_name("copilotkit-runtime"))
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(INSTALLED, str(tmp_path)))
    assert run(program("systemd-analyze"), "verify", "--man=no", unit) == ""


def test_its_settings_are_those_of_the_code_and_serve_in_production(tmp_path: Path) -> None:
    made = settings()
    assert made.keys() <= RuntimeConfig.model_fields.keys()
    assert made["env"] == "production"
    ended = run_command("config", **made)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_it_is_given_longer_to_end_than_its_runs() -> None:
    grace = RuntimeConfig.model_fields["shutdown_grace_seconds"].default
    assert float(service()["TimeoutStopSec"]) > grace + CONNECTIONS_GRACE_SECONDS


def test_its_command_is_one_and_its_files_are_where_it_may_write() -> None:
    command = shlex.split(service()["ExecStart"])
    assert command[:2] == [f"{INSTALLED}/bin/copilotkit-runtime", "serve"]
    assert service()["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert settings()["store"].startswith(f"sqlite:////var/lib/{service()['StateDirectory']}/")


def test_a_reload_before_the_server_can_take_it_does_not_end_the_service() -> None:
    assert service()["Restart"] == "on-failure"
    assert service()["RestartForceExitStatus"] == "SIGHUP"
