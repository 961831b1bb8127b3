"""Cells of a heat map: their edges, the numbers printed in them, and the marks on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_hex
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke

from superpos_jax.drawing.style import DEAD, INK, SOFT

HATCH: dict[str, Any] = {"facecolor": "none", "edgecolor": SOFT, "lw": 0, "hatch": "////"}
"""How a cell looks that is not trained to its end."""
CROSS: dict[str, Any] = {
    "marker": "X", "ms": 4.5, "mfc": "white", "mec": INK, "mew": 0.6, "ls": "none", "zorder": 5,
}  # fmt: skip
"""How a cell is marked of which some runs died."""
CROSS_WIDTH = 300.0
"""Points that the crosses of a row of cells take together at most: where there are many, each is
smaller."""

FEW = 0.2
"""Share of the cells that must have room for a number; if fewer have it, none is printed."""


def edges(centres: np.ndarray, log: bool = True) -> np.ndarray:
    """Cell edges at the midpoints, geometric on a logarithmic axis, the outermost mirrored.

    Example:
        >>> edges(np.array([1.0, 4.0, 16.0]))
        array([ 0.5,  2. ,  8. , 32. ])
        >>> edges(np.array([0.0, 1.0, 4.0]), log=False)
        array([-0.5,  0.5,  2.5,  5.5])
    """
    centre = np.asarray(centres, float)
    centre = np.log(centre) if log else centre
    if len(centre) == 1:
        ends = centre + np.array([-0.5, 0.5])
    else:
        middle = (centre[1:] + centre[:-1]) / 2
        outer = 2 * centre[[0, -1]] - middle[[0, -1]]
        ends = np.concatenate([outer[:1], middle, outer[1:]])
    return np.asarray(np.exp(ends) if log else ends)


def within(edge: np.ndarray, share: float, log: bool = True) -> np.ndarray:
    """The point at a share of each cell's width."""
    if log:
        return np.asarray(edge[:-1] ** (1 - share) * edge[1:] ** share)
    return np.asarray(edge[:-1] * (1 - share) + edge[1:] * share)


def numbers(
    axes: Axes,
    x: np.ndarray,
    y: np.ndarray,
    mean: np.ndarray,
    colour: np.ndarray,
    inches: tuple[float, float],
    words: Callable[[float], str],
) -> None:
    """Print the number in the cells, or in as many as have room where the cells are small.

    Where fewer than one in five has room none is printed: they would hide the map.

    Arguments:
        axes: where; its scales are set.
        x, y: edges of the cells.
        mean: (y, x) numbers; one that is not finite is not printed.
        colour: (y, x, 3) of the cells.
        inches: width and height of the axes.
        words: a number as it is printed.
    """
    logs = axes.get_xscale() == "log", axes.get_yscale() == "log"
    place = []
    for edge, log, inch in zip((x, y), logs, inches, strict=True):
        middle, ends = within(edge, 0.5, log), edge[[0, -1]]
        if log:
            middle, ends = np.log(middle / edge[0]), np.log(ends / edge[0])
        place.append((middle - ends[0]) * inch / (ends[1] - ends[0]))
    size = float(np.clip(np.median(np.diff(place[0], prepend=0)) / 0.0475, 5.2, 7.5))
    columns, rows = _spaced(place[0], 0.0425 * size), _spaced(place[1], 0.024 * size)
    columns = [j for j in columns if abs(place[0][j] - inches[0] / 2) < inches[0] / 2 - 0.02 * size]
    rows = [i for i in rows if abs(place[1][i] - inches[1] / 2) < inches[1] / 2 - 0.01 * size]
    if len(rows) * len(columns) < FEW * mean.size:
        return
    dark = colour @ np.array([0.299, 0.587, 0.114]) < 0.55
    for i, j in ((i, j) for i in rows for j in columns if np.isfinite(mean[i, j])):
        # A stroke in the cell's colour keeps the hatching away from a number.
        stroke = withStroke(linewidth=2.6, foreground=to_hex(colour[i, j]))
        at = within(x, 0.5, logs[0])[j], within(y, 0.5, logs[1])[i]
        text = axes.text(*at, words(mean[i, j]), size=size, zorder=4, clip_on=True)
        text.set(color="white" if dark[i, j] else INK, ha="center", va="center_baseline")
        text.set_path_effects([stroke])


def marks(
    axes: Axes,
    x: np.ndarray,
    y: np.ndarray,
    mean: np.ndarray,
    died: np.ndarray,
    unfinished: np.ndarray,
) -> list[Artist]:
    """Mark cells with dead runs and cells not trained to their end; the entries of the legend.

    Arguments:
        axes: where; its scales are set.
        x, y: edges of the cells.
        mean: (y, x), not finite where no run survives.
        died, unfinished: (y, x), how many runs.
    """
    logs = axes.get_xscale() == "log", axes.get_yscale() == "log"
    keys: list[Artist] = []
    gone = (died > 0) & ~np.isfinite(mean)
    grey = np.ma.masked_invalid(np.where(gone, 0.0, np.nan))
    axes.pcolormesh(x, y, grey, cmap=ListedColormap([DEAD]))
    for i, first, end in _stretches(unfinished > 0):
        size = x[end] - x[first], y[i + 1] - y[i]
        axes.add_patch(Rectangle((x[first], y[i]), *size, gid="unfinished", **HATCH))
    some = np.argwhere((died > 0) & np.isfinite(mean))
    if len(some):
        right, top = within(x, 0.84, logs[0]), within(y, 0.82, logs[1])
        small = {"ms": min(CROSS["ms"], CROSS_WIDTH / len(right))}
        axes.plot(right[some[:, 1]], top[some[:, 0]], gid="some-died", **{**CROSS, **small})
        keys.append(Line2D([], [], label="some seeds died", **CROSS))
    if gone.any():
        keys.append(Patch(color=DEAD, label="all seeds died"))
    if (unfinished > 0).any():
        keys.append(Patch(**HATCH, label="not trained to the end"))
    return keys


def _stretches(is_marked: np.ndarray) -> list[tuple[int, int, int]]:
    """Row, first column and the column behind the last of each stretch of marked cells.

    >>> _stretches(np.array([[1, 1, 0, 1], [0, 0, 0, 0]]) > 0)
    [(0, 0, 2), (0, 3, 4)]
    """
    padded = np.pad(is_marked.astype(np.int8), ((0, 0), (1, 1)))
    change = np.diff(padded, axis=1)
    rows, first = np.nonzero(change > 0)
    end = np.nonzero(change < 0)[1]
    return [*zip(rows.tolist(), first.tolist(), end.tolist(), strict=True)]


def _spaced(place: np.ndarray, gap: float) -> list[int]:
    """Indices of rising places that keep a gap, taken greedily from the left."""
    chosen: list[int] = []
    for index, position in enumerate(place):
        if not chosen or position - place[chosen[-1]] >= gap:
            chosen.append(index)
    return chosen
