"""Pages for files outside of ``docs/``, so that a link to one of them works on the site as it does on GitHub."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
FOLDER = "files"
"""Where the pages are, below the site's root."""

_LINK_OR_FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,})[^\n]*\n.*?^(?P=indent)(?P=fence) *$"
    r"|\]\((?!\w+:|#)(?P<link>[^)\s#]+)(?P<anchor>#[^)\s]*)?\)",
    re.DOTALL | re.MULTILINE,
)
_LANGUAGES = {".py": "python", ".graphql": "graphql", ".tsx": "tsx", ".conf": "nginx", ".yaml": "yaml", ".json": "json"}


def linked() -> Iterator[str]:
    """Yield what pages link to outside of ``docs/``, as paths from the repository's root, and what those link to."""
    seen: set[str] = set()
    waiting = [f"docs/{page.relative_to(DOCS)}" for page in sorted(DOCS.rglob("*.md"))]
    while waiting:
        page = waiting.pop()
        for target in _targets(page) - seen:
            seen.add(target)
            yield target
            if target.endswith(".md"):
                waiting.append(target)


def _targets(page: str) -> set[str]:
    links = (match["link"] for match in _LINK_OR_FENCE.finditer((ROOT / page).read_text("utf-8")))
    found = {_resolved(page, link) for link in links if link is not None}
    return {path for path in found if not path.startswith("docs/")}


def _resolved(page: str, link: str) -> str:
    return normpath(str(PurePosixPath(page).parent / link))


def place_of(path: str) -> str:
    """Return the page of a file or folder outside of ``docs/``, below the site's root."""
    return f"{FOLDER}/{path}" if path.endswith(".md") else f"{FOLDER}/{path}.md"


def content_of(path: str) -> str:
    """Return the page of a file, or the list of a folder's files, as Markdown."""
    place = ROOT / path
    if path.endswith(".md"):
        return place.read_text("utf-8")
    files = sorted(file for file in place.rglob("*") if _is_shown(file)) if place.is_dir() else [place]
    parts = [f"# {path}"]
    for file in files:
        name = [f"## {file.relative_to(ROOT)}"] if place.is_dir() else []
        parts += [*name, f"````{_LANGUAGES.get(file.suffix, 'text')}\n{file.read_text('utf-8').rstrip()}\n````"]
    return "\n\n".join(parts) + "\n"


def _is_shown(file: Path) -> bool:
    hidden = {"node_modules", "dist", "__pycache__", "package-lock.json"}
    return file.is_file() and not hidden & set(file.parts) and file.suffix not in {".png", ".gif", ".pyc"}


def rewritten(markdown: str, page: str) -> str:
    """Return a page's text with links out of ``docs/`` led to their pages.

    Args:
        markdown: The text.
        page: The page's path below the site's root.
    """
    origin = page.removeprefix(f"{FOLDER}/") if page.startswith(f"{FOLDER}/") else f"docs/{page}"

    def led(match: re.Match[str]) -> str:
        if match["link"] is None:
            return match[0]
        path = _resolved(origin, match["link"])
        there = path.removeprefix("docs/") if path.startswith("docs/") else place_of(path)
        return f"]({relpath(there, PurePosixPath(page).parent)}{match['anchor'] or ''})"

    return _LINK_OR_FENCE.sub(led, markdown)
