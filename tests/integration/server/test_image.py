"""The container's files agree with the command line, the settings and each other.

There is no Docker daemon where tests run: what an engine would do is done to the pieces here.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.integration.server.process import ROOT, run, running

PREFIX = "COPILOTKIT_"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
INSTRUCTIONS = [line.split(maxsplit=1) for line in DOCKERFILE.splitlines() if line and not line.startswith("#")]
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
RUNTIME = SERVICES["runtime"]
PINNED = re.compile(r"^([\w.-]+)==(\S+)", re.MULTILINE)


def values(instruction: str) -> list[str]:
    return [value for name, value in INSTRUCTIONS if name == instruction]


def of_the_image() -> dict[str, str]:
    """The settings that the image makes, by their names."""
    pairs = [pair.partition("=") for value in values("ENV") for pair in value.split()]
    return {name.removeprefix(PREFIX).lower(): value for name, _, value in pairs if name.startswith(PREFIX)}


def of_the_composition() -> dict[str, str]:
    """The settings that the composition makes when its user sets none."""
    pairs = RUNTIME["environment"].items()
    return {name.removeprefix(PREFIX).lower(): re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value) for name, value in pairs}


def locked(name: str) -> dict[str, str]:
    return dict(PINNED.findall((ROOT / "requirements" / name).read_text(encoding="utf-8")))


def extras_of_the_image() -> list[str]:
    line = next(line for line in (ROOT / "scripts" / "lock").read_text().splitlines() if "image.txt" in line)
    return re.findall(r"--extra (\w+)", line)


def test_what_is_copied_is_there_and_reaches_the_builder() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    sources = [value.split()[0] for value in values("COPY") if not value.startswith("--from")]
    assert sources
    for source in sources:
        assert (ROOT / source).exists()
        assert source.removeprefix("./") not in ignored
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {name.split(".")[1] for name in needed["tool"]["setuptools"]["packages"] if "." in name}
    assert not packages & set(ignored)


def test_what_is_installed_is_pinned_with_hashes() -> None:
    installed = re.findall(r"(?:--requirement |--require-hashes )(requirements/\S+)", DOCKERFILE)
    assert {Path(name).name for name in installed} == {"uv.txt", "build.txt", "image.txt"}
    for name in installed:
        text = (ROOT / name).read_text(encoding="utf-8")
        pins = [pin for pin in text.split("\n\n" if "\n\n" in text else "\n") if PINNED.match(pin)]
        assert pins
        assert text.count("==") <= text.count("--hash=sha256:")
    for command in values("RUN"):
        for step in re.findall(r"(?:pip install|pip sync|uv pip install)[^&]*", command):
            assert "--require-hashes" in step or "--constraint requirements/dev.txt" in step


def test_the_image_has_the_versions_that_were_tested() -> None:
    tested, shipped = locked("dev.txt"), locked("image.txt")
    assert {name: tested.get(name) for name in shipped} == shipped
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for extra in extras_of_the_image() for line in project["optional-dependencies"][extra]]
    wanted = {re.split(r"[\[<>=;]", line)[0] for line in [*project["dependencies"], *extras]}
    assert wanted <= shipped.keys()


def test_the_image_runs_as_no_root_with_a_place_of_its_own() -> None:
    final = DOCKERFILE.rsplit("\nFROM", 1)[1]
    user = re.search(r"\nUSER ([1-9]\d+)\n", final)
    assert user is not None
    assert f"--uid {user[1]} --home-dir /data --create-home" in final
    assert of_the_image()["store"].startswith("sqlite:////data/")
    assert json.loads(values("ENTRYPOINT")[0]) == ["copilotkit-runtime", "serve"]


@pytest.mark.parametrize("made", [of_the_image(), of_the_composition(), of_the_image() | of_the_composition()])
def test_what_is_set_are_settings_with_good_values(made: dict[str, str]) -> None:
    ended = run("config", **made)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_composition_starts_what_is_there() -> None:
    assert run("agents", *RUNTIME["command"]).stdout
    mounts = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())]
    assert {"./", "./deploy/nginx.conf"} == {mount for mount in mounts if mount.startswith(".")}
    assert all((ROOT / mount).exists() for mount in mounts if mount.startswith("."))
    assert (ROOT / RUNTIME["build"] / "Dockerfile").is_file()


def test_the_services_find_each_other() -> None:
    made = of_the_composition()
    postgres = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD"])
    user = SERVICES["postgres"]["environment"]["POSTGRES_USER"]
    assert made["store"] == f"postgresql://{user}:{postgres}@postgres/{user}"
    assert made["rate_limit_store"].startswith("redis://redis:")
    assert RUNTIME["depends_on"].keys() == {"postgres", "redis"}
    assert SERVICES["nginx"]["depends_on"].keys() == {"runtime"}
    for name, needed in (RUNTIME["depends_on"] | SERVICES["nginx"]["depends_on"]).items():
        assert needed["condition"] == "service_healthy"
        assert name == "runtime" or SERVICES[name]["healthcheck"]["test"]
    proxy = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    assert re.search(rf"server runtime:{values('EXPOSE')[0]}\b", proxy)
    assert SERVICES["nginx"]["ports"] == ["8080:8080"]
    assert "listen 8080;" in proxy


def test_the_container_is_given_longer_to_end_than_its_runs() -> None:
    grace = next(line for line in run("config").stdout.splitlines() if line.startswith("shutdown_grace_seconds"))
    assert float(RUNTIME["stop_grace_period"].removesuffix("s")) > float(grace.split("=")[1])


def test_the_health_check_answers_for_a_server_and_for_none(tmp_path: Path) -> None:
    command = json.loads(values("HEALTHCHECK")[0].split("CMD", 1)[1])
    with running(tmp_path, **{**of_the_image(), "host": "127.0.0.1", "store": "memory://", "auth": "none"}) as server:
        settings = {"COPILOTKIT_PORT": server.origin.rpartition(":")[2]}
        assert subprocess.run(command, env=settings_of(settings), check=False).returncode == 0
    ended = subprocess.run(command, env=settings_of(settings), check=False, capture_output=True)
    assert ended.returncode != 0


def settings_of(made: dict[str, str]) -> dict[str, str]:
    return {"PATH": str(Path(sys.executable).parent), **made}
