"""Plots of what was measured, as small SVG files that come out the same for the same figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

# Text stays text, and nothing in the file tells when it was drawn.
_STYLE: dict[str, Any] = {"svg.fonttype": "none", "svg.hashsalt": "bench", "font.size": 9, "axes.grid": True}

_NARROWEST = 5.4

Line = Sequence[tuple[float, float]]


def draw(
    path: Path, panels: Mapping[str, Mapping[str, Line]], *, x: str, y: str, log_y: bool = True, same_y: bool = True
) -> None:
    """Draw one panel beside the other, each with its named lines; on one scale, or each from zero on its own."""
    with mpl.rc_context(_STYLE):
        width = max(_NARROWEST, 3.6 * len(panels))
        figure, axes = plt.subplots(1, len(panels), figsize=(width, 3.2), sharey=same_y, squeeze=False)
        # A name has its colour in every panel, also where another is missing.
        names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
        for axis, (title, lines) in zip(axes[0], panels.items(), strict=True):
            for name, points in lines.items():
                colour = f"C{names.index(name)}"
                label = name.replace("`", "")
                axis.plot(*zip(*points, strict=True), marker="o", markersize=3, color=colour, label=label)
            axis.set(title=title, xlabel=x, xscale="log", yscale="log" if log_y else "linear")
            if not same_y:
                low, high = axis.get_ylim()
                axis.set_ylim(min(0, low), high * 1.05)
        axes[0][0].set_ylabel(y)
        handles, labels = axes[0][0].get_legend_handles_labels()
        columns = min(len(labels), 2 * len(panels))
        figure.legend(handles, labels, fontsize=8, loc="lower center", ncols=columns, frameon=False)
        figure.tight_layout(rect=(0, 0.08 * math.ceil(len(labels) / columns), 1, 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        # Names may be longer than the panels are wide.
        figure.savefig(path, format="svg", metadata={"Date": None}, bbox_inches="tight")
        plt.close(figure)
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")
