"""What a figure really shows: the texts as they were drawn, with their places on the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image

SMALLEST_PT = 7.0


@dataclass
class Drawing:
    """A figure while it was written: texts with their boxes in pixels, and the figure itself."""

    path: Path
    figures: list[Figure] = field(default_factory=list)
    texts: list[tuple[str, float, Bbox]] = field(default_factory=list)

    @property
    def figure(self) -> Figure:
        return self.figures[-1]

    def box_of(self, words: str) -> Bbox:
        return next(box for text, _, box in self.texts if text == words)

    def too_small(self) -> list[str]:
        return [text for text, points, _ in self.texts if points < SMALLEST_PT]

    def outside(self) -> list[str]:
        width, height = self._size()
        return [
            text
            for text, _, box in self.texts
            if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1
        ]

    def overlapping(self) -> list[tuple[str, str]]:
        """Texts that lie on each other by more than a pixel."""
        boxes = [(text, box.padded(-1)) for text, _, box in self.texts]
        return [(a, b) for k, (a, one) in enumerate(boxes) for b, other in boxes[:k] if one.overlaps(other)]

    def colours(self) -> int:
        with Image.open(self.path) as image:
            return len(image.convert("RGB").getcolors(maxcolors=1 << 24) or [])

    def _size(self) -> tuple[int, int]:
        with Image.open(self.path) as image:
            return image.size


def draw_and_note(draw: Callable[[Path], None], path: Path) -> Drawing:
    """Draw a PNG and note every text that reaches the page."""
    drawing = Drawing(path)
    with _noting(drawing):
        draw(path)
    return drawing


def assert_readable(drawing: Drawing) -> None:
    """Fails where a figure is empty, or a text is small, cut off or covered by another one."""
    assert drawing.colours() > 10
    assert drawing.texts
    assert not drawing.too_small(), drawing.too_small()
    assert not drawing.outside(), drawing.outside()
    assert not drawing.overlapping(), drawing.overlapping()


@contextmanager
def _noting(drawing: Drawing) -> Iterator[None]:
    draw_text, draw_figure = Text.draw, Figure.draw

    def note(self: Text, renderer: Any) -> None:
        draw_text(self, renderer)
        if self.get_visible() and self.get_text().strip():
            drawing.texts.append((self.get_text(), self.get_fontsize(), self.get_window_extent(renderer)))

    def begin(self: Figure, renderer: Any) -> None:
        drawing.figures.append(self)
        drawing.texts.clear()  # a figure may be drawn more than once, to lay it out
        draw_figure(self, renderer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", note)
        patch.setattr(Figure, "draw", begin)
        yield
