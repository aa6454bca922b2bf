"""Obtains the contract from the published TypeScript runtime, and compares ours with it."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from copilotkit_runtime.server.cli.schema_diff import difference, executable_sdl, published_sdl
from tests.parity.servers import ours, reference, serving

PACKAGE = "@copilotkit/runtime"
VERSION = "1.10.6"
NEWEST = "1.54.1"
SDL_PATH = "__snapshots__/schema/schema.graphql"
ROOT = Path(__file__).resolve().parents[1]
SDL_FILE = ROOT / "schema" / "schema.graphql"
RECORD_FILE = ROOT / "schema" / "source.json"


@dataclass(frozen=True)
class Published:
    """The schema that one release of the TypeScript runtime publishes; ``sdl`` is None if it publishes none."""

    version: str
    integrity: str
    license: str
    sdl: bytes | None

    @property
    def record(self) -> bytes:
        """The text of ``schema/source.json``."""
        fields = {
            "package": PACKAGE,
            "version": self.version,
            "integrity": self.integrity,
            "path": SDL_PATH,
            "license": self.license,
        }
        return (json.dumps(fields, indent=2) + "\n").encode()


def _npm(*arguments: str) -> Any:
    """Return what npm answers; its warnings stay on stderr."""
    run = subprocess.run(["npm", *arguments, "--json"], check=True, stdout=subprocess.PIPE)
    return json.loads(run.stdout)


def _member(archive: tarfile.TarFile, path: str) -> bytes | None:
    name = f"package/{path}"
    member = archive.extractfile(name) if name in archive.getnames() else None
    return member.read() if member else None


def download(version: str) -> Published:
    """Fetch one release from npm, which checks its integrity."""
    with tempfile.TemporaryDirectory() as folder:
        packed = _npm("pack", f"{PACKAGE}@{version}", "--pack-destination", folder)[0]
        (path,) = Path(folder).iterdir()
        with tarfile.open(path) as archive:
            manifest = json.loads(_member(archive, "package.json") or b"{}")
            sdl = _member(archive, SDL_PATH)
    return Published(version, packed["integrity"], manifest.get("license", "none named"), sdl)


def fetch(*, check: bool) -> int:
    """Write the SDL and where it came from, or only verify what is there."""
    published = download(VERSION)
    if published.sdl is None:
        raise FileNotFoundError(SDL_PATH)
    files = {SDL_FILE: published.sdl, RECORD_FILE: published.record}
    wrong = [path for path, content in files.items() if not path.is_file() or path.read_bytes() != content]
    for path in wrong:
        if not check:
            path.write_bytes(files[path])
        print(f"{'differs from' if check else 'written from'} {PACKAGE}@{VERSION}: schema/{path.name}")
    if not wrong:
        print(f"schema/ is that of {PACKAGE}@{VERSION}, byte for byte")
    return int(check and bool(wrong))


def _show(title: str, theirs: str, ours: str) -> int:
    lines = difference(theirs, ours)
    print(f"{title}: {'different' if lines else 'the same'}")
    for line in lines:
        print(f"  {line}")
    return int(bool(lines))


def static() -> int:
    """Compare the executable schema, without the directives that the executor adds, with the SDL."""
    title = f"executable schema and the SDL of {PACKAGE}@{VERSION}"
    return _show(title, published_sdl(str(SDL_FILE)), executable_sdl())


def live() -> int:
    """Compare the introspection of both runtimes, started for it."""
    with serving(reference()) as typescript, serving(ours()) as python:
        return _show("introspection of the running runtimes", published_sdl(typescript.url), published_sdl(python.url))


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _releases() -> list[str]:
    versions = [v for v in _npm("view", PACKAGE, "versions") if re.fullmatch(r"[1-9]\d*\.\d+\.\d+", v)]
    return sorted((v for v in versions if _number(v) <= _number(NEWEST)), key=_number)


def _unanswered(published: Published) -> list[str]:
    """Return what a client of a release can ask that the contract does not answer."""
    from graphql import build_ast_schema, find_breaking_changes, parse

    if published.sdl is None:
        return ["no SDL in the package"]
    theirs, ours = (build_ast_schema(parse(sdl)) for sdl in (published.sdl.decode(), SDL_FILE.read_text()))
    return sorted(change.description for change in find_breaking_changes(theirs, ours))


def snapshots() -> int:
    """Report what clients of every release could ask that is not answered. A report, not a check."""
    reports = [(version, _unanswered(download(version))) for version in _releases()]
    for missing, group in groupby(reports, key=lambda report: report[1]):
        versions = [version for version, _ in group]
        print(f"{versions[0]} to {versions[-1]} ({len(versions)} releases): {len(missing) or 'nothing'} unanswered")
        for line in missing:
            print(f"  {line}")
    return 0


def main() -> int:
    """Run one command; the exit status is 1 if there was a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    fetching = commands.add_parser("fetch", help="write schema/schema.graphql and schema/source.json")
    fetching.add_argument("--check", action="store_true", help="write nothing, verify")
    for command in (static, live, snapshots):
        commands.add_parser(command.__name__, help=command.__doc__).set_defaults(run=command)
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    return fetch(check=arguments.check) if arguments.command == "fetch" else int(arguments.run())


if __name__ == "__main__":
    sys.exit(main())
