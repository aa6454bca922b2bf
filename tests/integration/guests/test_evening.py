"""The driver of ``make guests``: a guest that works, one that does not, and one that cannot be had."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.guests.evening import spend
from scripts.guests.report import Outcome, lines_of
from scripts.guests.sources import bring
from scripts.guests.table import CAPABILITIES, Application, read_table

LOCAL = Path(__file__).with_name("local_guest.py")
TABLE = """
[[application]]
name = "local"
framework = "none"
repository = "some/guest"
commit = "{commit}"
folder = "agents"
served = "local_guest:app"
agui = true

[[application.guest]]
name = "good"
path = "/good"
state = {{ tool = "note", arguments = '{{"noted": "this"}}', key = "noted" }}
interrupt = {{ tool = "ask", arguments = "{{}}" }}

[[application.guest]]
name = "bad"
path = "/bad"
state = {{ tool = "note", arguments = '{{"noted": "this"}}', key = "noted" }}
interrupt = {{ tool = "ask", arguments = "{{}}" }}
lacks = {{ stop = "it is never long" }}
fails = {{ memory = "it forgets" }}
"""


class Here:
    """Environments for guests that need no more than this one."""

    def python_of(self, _application: Application) -> Path:
        return Path(sys.executable)


def git(place: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=n", "-c", "user.email=e@example.com")
    done = subprocess.run(["git", *identity, *arguments], cwd=place, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "sources" / "some" / "guest" / "agents"
    folder.mkdir(parents=True)
    (folder / LOCAL.name).write_text(LOCAL.read_text(encoding="utf-8"), encoding="utf-8")
    git(folder.parent, "init", "--quiet")
    git(folder.parent, "add", ".")
    git(folder.parent, "commit", "--quiet", "--message", "Publish")
    return tmp_path / "sources"


@pytest.fixture
def application(tmp_path: Path, sources: Path) -> Application:
    return application_at(git(sources / "some" / "guest", "rev-parse", "HEAD"), tmp_path)


def application_at(commit: str, place: Path) -> Application:
    table = place / "table.toml"
    table.write_text(TABLE.format(commit=commit), encoding="utf-8")
    [application] = read_table(table)
    return application


def words(outcomes: list[Outcome], name: str) -> dict[str, str]:
    return {one.capability: one.word for one in outcomes if one.guest.name == name}


def test_each_guest_is_checked_for_each_capability_over_both_wires(application: Application, sources: Path) -> None:
    outcomes = spend(application, str(sources), Here(), "http://127.0.0.1:9")
    assert words(outcomes, "good") == dict.fromkeys(CAPABILITIES, "ok"), [one.faults for one in outcomes]
    unlike = {"start": "ok", "memory": "known", "stop": "n.a."}
    assert words(outcomes, "bad") == {**dict.fromkeys(CAPABILITIES, "failed"), **unlike}
    assert all(one.faults.keys() == {"GraphQL", "AG-UI"} for one in outcomes if one.wrong)
    printed = "\n".join(lines_of(outcomes))
    assert "| none | local | good | ok | ok | ok | ok | ok | ok | ok | ok |" in printed
    assert "local/bad memory: known (GraphQL, AG-UI): it forgets" in printed
    assert "local/bad text: failed (GraphQL): shows ['Always this.', 'Always this.']" in printed
    assert printed.endswith("2 agents, 9 capabilities work, 5 fail unexpectedly")


def test_a_folder_of_a_repository_comes_from_an_address_too(
    application: Application, sources: Path, tmp_path: Path
) -> None:
    git(sources / "some" / "guest", "config", "uploadpack.allowFilter", "true")
    unpacked = bring(application, f"file://{sources}", tmp_path)
    assert [file.name for file in unpacked.iterdir()] == [LOCAL.name]
    assert (unpacked / LOCAL.name).read_text(encoding="utf-8") == LOCAL.read_text(encoding="utf-8")


def test_a_guest_that_cannot_be_had_has_the_reason_in_its_row(tmp_path: Path, sources: Path) -> None:
    outcomes = spend(application_at("0" * 40, tmp_path), str(sources), Here(), "http://127.0.0.1:9")
    assert [(one.guest.name, one.capability, one.word) for one in outcomes] == [
        ("good", "start", "failed"),
        ("bad", "start", "failed"),
    ]
    assert "0000" in outcomes[0].faults["SourceError"]


def test_a_guest_that_does_not_start_has_its_last_words_in_its_row(application: Application, sources: Path) -> None:
    outcomes = spend(application_with("nowhere:app", application), str(sources), Here(), "http://127.0.0.1:9")
    assert "nowhere" in outcomes[0].faults["StartError"]


def application_with(served: str, application: Application) -> Application:
    return Application(**{**vars(application), "served": served})
