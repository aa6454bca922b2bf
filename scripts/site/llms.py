"""``llms.txt`` and ``llms-full.txt``: the pages for language models, as a list and as one text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Page(NamedTuple):
    """A page of the site.

    Args:
        section: The section of the navigation that it is in.
        title: Its title.
        url: Where it is, from the site's root.
        markdown: Its source.
    """

    section: str
    title: str
    url: str
    markdown: str


def index(name: str, summary: str, pages: Iterable[Page], base: str) -> str:
    """Return ``llms.txt``: the pages by section, each with its first sentence.

    Args:
        name: The project.
        summary: What it is, in a sentence.
        pages: The pages, in the navigation's order.
        base: The site's address, or nothing where it has none.
    """
    return "\n".join([f"# {name}", "", f"> {summary}", *_sections(pages, base), ""])


def _sections(pages: Iterable[Page], base: str) -> Iterator[str]:
    section = None
    for page in pages:
        if page.section != section:
            section = page.section
            yield from ("", f"## {section}", "")
        yield f"- [{page.title}]({base}{page.url}): {_first_sentence(page.markdown)}".removesuffix(": ")


def _first_sentence(markdown: str) -> str:
    text = re.sub(r"```.*?```|<!--.*?-->|^#.*?$|^\|.*?$|^!.*?$|^:::.*?$", "", markdown, flags=re.DOTALL | re.MULTILINE)
    paragraphs = (re.sub(r"\s+", " ", part).strip() for part in text.split("\n\n"))
    paragraph = next((part for part in paragraphs if part), "")
    return re.split(r"(?<=[.:])\s", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", paragraph), maxsplit=1)[0]


def whole(name: str, summary: str, pages: Iterable[Page]) -> str:
    """Return ``llms-full.txt``: the sources of all pages, one after another."""
    return "\n\n".join([f"# {name}", summary, *(page.markdown.strip() for page in pages)]) + "\n"
