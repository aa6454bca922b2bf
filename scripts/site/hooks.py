"""Hooks for MkDocs beside ``mkdocs.yml``: pages that are generated, links out of ``docs/``, ``llms.txt``."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page

from scripts.site import llms, outside, reference

_read: dict[str, str] = {}
"""The text of each page that was read, by its path."""
_in_order: list[Page] = []
"""The pages in the navigation's order."""


def on_config(config: MkDocsConfig) -> None:
    """Let mkdocstrings find the package where it is installed, which is not always beside ``docs/``."""
    spec = find_spec(reference.PACKAGE)
    if spec is None or spec.origin is None:
        raise PluginError(f"{reference.PACKAGE} is not installed")
    config.plugins["mkdocstrings"].config.handlers["python"]["paths"] = [str(Path(spec.origin).parents[1])]


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the reference, and pages for files outside of ``docs/`` that are linked to."""
    for path, text in reference.pages():
        files.append(File.generated(config, path, content=text))
    for path in sorted(set(outside.linked())):
        page = File.generated(config, outside.place_of(path), content=outside.content_of(path))
        page.inclusion = InclusionLevel.NOT_IN_NAV
        files.append(page)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links out of ``docs/`` to their pages."""
    text = outside.rewritten(markdown, page.file.src_uri)
    _read[page.file.src_uri] = text
    return text


def on_nav(nav: Navigation, config: MkDocsConfig, files: Files) -> None:
    """Note the pages in the navigation's order."""
    _in_order[:] = nav.pages


def on_post_build(config: MkDocsConfig) -> None:
    """Write ``llms.txt`` and ``llms-full.txt``."""
    pages = [llms.Page(_section(page), str(page.title), page.url, _read[page.file.src_uri]) for page in _in_order]
    summary = config.site_description or ""
    texts = {
        "llms.txt": llms.index(config.site_name, summary, pages, config.site_url or ""),
        "llms-full.txt": llms.whole(config.site_name, summary, pages),
    }
    for name, text in texts.items():
        (Path(config.site_dir) / name).write_text(text, "utf-8")


def _section(page: Page) -> str:
    *_, title = ["Home", *(ancestor.title for ancestor in page.ancestors)]
    return title or ""
