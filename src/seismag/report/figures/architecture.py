"""Figure of the model architecture, with shapes and parameter counts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from seismag.scoring.figure import PAGE_IN, STYLE, save_figure

_BOX_WIDTH, _ROW, _HALF_BOX = 4.6, 1.0, 0.35
_FILL = {"input": "#EEEEEE", "backbone": "#CFE3F2", "ours": "#FBE3CF"}


def draw_architecture(architecture: Mapping[str, Any], path: Path) -> None:
    """Draw the blocks of architecture.json from the input to the heads."""
    blocks = [block for block in architecture["blocks"] if block["output"] is not None]
    heads = [block for block in blocks if block["name"].startswith("head_")]
    trunk = [block for block in blocks if block not in heads]
    n_rows = len(trunk) + 3
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE_IN, 0.36 * n_rows + 0.3))
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set(xlim=(-9, 9), ylim=(-n_rows * _ROW + 0.4, 0.6))
        axes.axis("off")
        _box(axes, 0, 0, f"window: {_shape(architecture['input'])}", "channels × frequency × time", "input")
        for row, block in enumerate(trunk, start=1):
            kind = "backbone" if block["name"].startswith("backbone") else "ours"
            _box(axes, 0, -row, _described(block), _parameters(block), kind)
            _arrow(axes, 0, -row + 1, 0, -row)
        end = -len(trunk)
        for k, block in enumerate(heads):
            place = (_BOX_WIDTH + 0.6) * (k - (len(heads) - 1) / 2)
            _box(axes, place, end - 1.6, _described(block), _parameters(block), "ours")
            _arrow(axes, 0, end, place, end - 1.6)
        total = f"{architecture['backbone']}: {architecture['parameters']:,} parameters"
        axes.text(0, end - 2.25, f"{total}; blue: backbone, orange: added to it", ha="center", va="center")
        save_figure(figure, path)


def _box(axes: Axes, x: float, y: float, text: str, below: str, kind: str) -> None:
    style: Any = {"boxstyle": "round,pad=0.02,rounding_size=0.08", "edgecolor": "#555555", "linewidth": 0.6}
    corner = (x - _BOX_WIDTH / 2, y - 0.33)
    axes.add_patch(FancyBboxPatch(corner, _BOX_WIDTH, 0.66, facecolor=_FILL[kind], zorder=2, **style))
    axes.text(x, y + 0.13, text, ha="center", va="center", zorder=3)
    axes.text(x, y - 0.17, below, ha="center", va="center", fontsize=7, color="#444444", zorder=3)


def _arrow(axes: Axes, x0: float, y0: float, x1: float, y1: float) -> None:
    style: Any = {"arrowstyle": "-|>", "mutation_scale": 7, "linewidth": 0.8, "color": "#444444"}
    ends = ((x0, y0 - _HALF_BOX), (x1, y1 + _HALF_BOX))
    axes.add_patch(FancyArrowPatch(*ends, shrinkA=0, shrinkB=0, zorder=1, **style))


def _shape(shape: Any) -> str:
    return " × ".join(map(str, shape))


def _described(block: Mapping[str, Any]) -> str:
    """Name and shape of a block; stages are counted from 1, the stem is 0."""
    words = block["name"].removeprefix("backbone.").replace("head_", "head, ").replace("_", " ")
    name = re.sub(r"^stages\.(\d+)$", lambda match: f"stage {int(match[1]) + 1}", words)
    return f"{name}: {_shape(block['output'])}"


def _parameters(block: Mapping[str, Any]) -> str:
    return f"{block['parameters']:,} parameters" if block["parameters"] else str(block["kind"])
