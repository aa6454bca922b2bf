"""Checks the built site: ``python -m scripts.site.check FOLDER``.

Every link inside the site leads to a page and an anchor that exist, and nothing is loaded from another server. Links to
other sites are not followed, so that the check needs no network.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
_FREE_RELATIONS = {"canonical", "edit", "next", "prev"}
"""Relations of ``<link>`` that browsers do not load."""


class _Reader(HTMLParser):
    """Collects a page's anchors, its links and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.add(given["href"])
        if (name := _LOADED.get(tag)) in given and given.get("rel") not in _FREE_RELATIONS:
            self.loaded.add(given[name])


@cache
def _page(file: Path) -> _Reader:
    return _Reader(file.read_text("utf-8"))


def faults(site: Path) -> Iterator[str]:
    """Yield what is wrong with a site, a line each."""
    for file in sorted(site.rglob("*.html")):
        page = _page(file)
        # What is not found is shown at any depth, so the page of that has links from the site's root.
        folder = site if file.name == "404.html" else file.parent
        for link in sorted(page.links | page.loaded):
            if (fault := _fault(site, file, folder, link, loaded=link in page.loaded)) is not None:
                yield f"{file.relative_to(site)}: {link} {fault}"


def _fault(site: Path, file: Path, folder: Path, link: str, *, loaded: bool) -> str | None:
    scheme, netloc, path, _, anchor = urlsplit(link)
    if scheme == "data" or (not loaded and (scheme or netloc)):
        return None
    if scheme or netloc:
        return "is loaded from another server"
    target = (site / path.lstrip("/") if path.startswith("/") else folder / unquote(path)) if path else file
    target = target / "index.html" if target.is_dir() else target
    if not target.is_file():
        return "leads nowhere"
    return "has no such anchor" if anchor and unquote(anchor) not in _anchors(target) else None


def _anchors(file: Path) -> set[str]:
    return _page(file).anchors if file.suffix == ".html" else set()


def main(site: Path) -> int:
    """Print the faults; return 1 if there are any."""
    found = list(faults(site))
    for line in found:
        print(line)
    print(f"{len(list(site.rglob('*.html')))} pages, {len(found)} faults")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
