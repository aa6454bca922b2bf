"""Makes the animation at the top of README.md of the frames that ``make recording`` has taken: ``FOLDER FILE``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from PIL import Image

WIDTH = 896
COLOURS = 96
LONGEST_MS = 3000


def animate(folder: Path, file: Path) -> None:
    """Write the frames of a folder as one animation.

    Args:
        folder: Where the frames and ``frames.json`` are.
        file: The animation.
    """
    pictures, durations = zip(*_distinct(_frames(folder)), strict=True)
    palette = _stacked(pictures[0], pictures[len(pictures) // 2], pictures[-1]).quantize(COLOURS)
    first, *others = (picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures)
    first.save(file, save_all=True, append_images=others, duration=list(durations), loop=0, optimize=True)


def _frames(folder: Path) -> Iterator[tuple[Image.Image, int]]:
    for frame in json.loads((folder / "frames.json").read_text(encoding="utf-8")):
        with Image.open(folder / frame["file"]) as picture:
            yield _scaled(picture.convert("RGB")), frame["ms"]


def _scaled(picture: Image.Image) -> Image.Image:
    return picture.resize((WIDTH, picture.height * WIDTH // picture.width), Image.Resampling.LANCZOS)


def _stacked(*pictures: Image.Image) -> Image.Image:
    stack = Image.new("RGB", (WIDTH, sum(picture.height for picture in pictures)))
    for index, picture in enumerate(pictures):
        stack.paste(picture, (0, index * picture.height))
    return stack


def _distinct(frames: Iterator[tuple[Image.Image, int]]) -> Iterator[tuple[Image.Image, int]]:
    """Yield the frames, those that show the same as one, for as long as anybody wants to look at it."""
    for _, same in groupby(frames, key=lambda frame: frame[0].tobytes()):
        (picture, ms), *others = same
        yield picture, min(ms + sum(more for _, more in others), LONGEST_MS)


if __name__ == "__main__":
    animate(Path(sys.argv[1]), Path(sys.argv[2]))
