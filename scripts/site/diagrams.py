"""Draws Mermaid diagrams while the site is built, so that its pages need neither a script nor a CDN for them."""

from __future__ import annotations

from functools import cache
from typing import Any

import mermaidx


def drawn(source: str, _language: str, css_class: str, *_rest: Any, **_options: Any) -> str:
    """Return a fenced Mermaid block as SVG: a formatter of ``pymdownx.superfences``."""
    return f'<div class="{css_class}">{_svg(source)}</div>'


@cache
def _svg(source: str) -> str:
    return str(mermaidx.render(source, theme="neutral").svg())
