"""The sources of guests: a folder of a public repository at one commit, never kept, or one of this repository."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import IO, cast

from scripts.guests.table import Application

ROOT = Path(__file__).resolve().parents[2]


class SourceError(RuntimeError):
    """The folder of an application cannot be had."""


def bring(application: Application, sources: str, place: Path) -> Path:
    """Unpack an application's folder.

    Args:
        application: The application.
        sources: The address under which repositories are cloned by ``owner/name``, or a folder of snapshots that are
            called ``owner+name/repo`` or ``owner/name``.
        place: An empty folder to work in.

    Returns:
        The unpacked folder.

    Raises:
        SourceError: The repository, commit or folder does not exist.
    """
    if not application.repository:
        return shutil.copytree(ROOT / application.folder, place / "source")
    repository = _fetched(application, sources, place) if "://" in sources else _snapshot(application, Path(sources))
    unpacked, folder = place / "source", "" if application.folder == "." else application.folder
    command = ["git", "-C", str(repository), "archive", f"{application.commit}:{folder}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as archive:
        _unpack(cast("IO[bytes]", archive.stdout), unpacked)
        said = archive.communicate()[1].decode()
    if archive.returncode:
        raise SourceError(said.strip().splitlines()[-1] if said.strip() else f"git ended with {archive.returncode}")
    return unpacked


def _unpack(archive: IO[bytes], place: Path) -> None:
    try:
        with tarfile.open(fileobj=archive, mode="r|") as tar:
            # Set here and not passed, since Python 3.11.2, which Debian 12 has, knows no filters.
            tar.extraction_filter = getattr(tarfile, "data_filter", None)
            tar.extractall(place)  # noqa: S202 - git made it
    except tarfile.ReadError:
        # What git reports of it is the better reason.
        archive.read()


def _snapshot(application: Application, folder: Path) -> Path:
    owner, _, name = application.repository.partition("/")
    for place in (folder / f"{owner}+{name}" / "repo", folder / owner / name):
        if place.is_dir():
            return place
    raise SourceError(f"{folder} has no snapshot of {application.repository}")


def _fetched(application: Application, address: str, place: Path) -> Path:
    repository = place / "repository"
    origin = f"{address.rstrip('/')}/{application.repository}"
    fetching = ["fetch", "--quiet", "--depth=1", "--filter=blob:none", "origin", application.commit]
    for command in (["init", "--quiet", "--bare"], ["remote", "add", "origin", origin], fetching):
        _git(repository, *command)
    return repository


def _git(repository: Path, *arguments: str) -> None:
    repository.mkdir(exist_ok=True)
    done = subprocess.run(["git", *arguments], cwd=repository, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SourceError((done.stderr.strip() or f"git {arguments[0]} failed").splitlines()[-1])
