"""A picture of curves, written as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import log10
from pathlib import Path

WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 60, 150, 30, 50
COLOURS = ("#7a7a7a", "#2f6fde", "#d9730d", "#0f9d58", "#9b51e0")

Points = Sequence[tuple[float, float]]


def write_picture(path: Path, title: str, across: str, up: str, curves: Mapping[str, Points]) -> None:
    """Write a picture with both axes logarithmic.

    Args:
        path: The file.
        title: What it shows.
        across: What the horizontal axis counts.
        up: What the vertical axis counts.
        curves: The points of each curve, by its name.
    """
    places = [point for points in curves.values() for point in points]
    x_axis = _Axis([x for x, _ in places], LEFT, WIDTH - RIGHT)
    y_axis = _Axis([y for _, y in places], HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"',
        ' font-size="11">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="18" font-size="13">{escape(title)}</text>',
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">{escape(across)}</text>',
        f'<text transform="translate(14 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">{escape(up)}</text>',
        *_across(x_axis, sorted({x for x, _ in places})),
        *_up(y_axis),
    ]
    for number, (name, points) in enumerate(curves.items()):
        parts += _curve(name, [(x_axis.place(x), y_axis.place(y)) for x, y in points], COLOURS[number])
    path.write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")


class _Axis:
    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self.least, self.most = min(values), max(values)
        self._start, self._end = start, end

    def place(self, value: float) -> float:
        span = log10(self.most) - log10(self.least) or 1.0
        return round(self._start + (log10(value) - log10(self.least)) / span * (self._end - self._start), 1)

    def ticks(self) -> list[float]:
        steps = [step * 10.0**power for power in range(-1, 6) for step in (1, 2, 5)]
        return [step for step in steps if self.least <= step <= self.most]


def _across(axis: _Axis, values: Sequence[float]) -> list[str]:
    y = HEIGHT - BOTTOM
    return [
        f'<text x="{axis.place(value)}" y="{y + 16}" text-anchor="middle">{value:g}</text>'
        f'<line x1="{axis.place(value)}" y1="{y}" x2="{axis.place(value)}" y2="{TOP}" stroke="#eee"/>'
        for value in values
    ]


def _up(axis: _Axis) -> list[str]:
    return [
        f'<text x="{LEFT - 6}" y="{axis.place(value) + 4}" text-anchor="end">{value:g}</text>'
        f'<line x1="{LEFT}" y1="{axis.place(value)}" x2="{WIDTH - RIGHT}" y2="{axis.place(value)}" stroke="#eee"/>'
        for value in axis.ticks()
    ]


def _curve(name: str, places: Sequence[tuple[float, float]], colour: str) -> list[str]:
    line = " ".join(f"{x},{y}" for x, y in places)
    x, y = places[-1]
    return [
        f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *(f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in places),
        f'<text x="{x + 8}" y="{y + 4}" fill="{colour}">{escape(name)}</text>',
    ]
