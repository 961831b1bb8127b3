"""Cells of a heat map on logarithmic axes: their edges, and the numbers printed in them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.patheffects import withStroke

from superpos_jax.drawing.style import INK


def edges(centres: np.ndarray) -> np.ndarray:
    """Cell edges at the geometric midpoints, the outermost mirrored.

    Example:
        >>> edges(np.array([1.0, 4.0, 16.0]))
        array([ 0.5,  2. ,  8. , 32. ])
    """
    centre = np.log(np.asarray(centres, float))
    if len(centre) == 1:
        return np.asarray(np.exp(centre + np.array([-0.5, 0.5])))
    middle = (centre[1:] + centre[:-1]) / 2
    ends = 2 * centre[[0, -1]] - middle[[0, -1]]
    return np.asarray(np.exp(np.concatenate([ends[:1], middle, ends[1:]])))


def within(edge: np.ndarray, share: float) -> np.ndarray:
    """The point at a share of each cell's logarithmic width."""
    return np.asarray(edge[:-1] ** (1 - share) * edge[1:] ** share)


def numbers(
    axes: Axes,
    x: np.ndarray,
    y: np.ndarray,
    mean: np.ndarray,
    colour: np.ndarray,
    inches: tuple[float, float],
    words: Callable[[float], str],
) -> None:
    """Print the number in the cells, or in as many as have room where the cells are small."""
    place = [np.log(within(edge, 0.5) / edge[0]) for edge in (x, y)]
    place = [p * i / np.log(e[-1] / e[0]) for p, i, e in zip(place, inches, (x, y), strict=True)]
    size = float(np.clip(np.median(np.diff(place[0], prepend=0)) / 0.0475, 5.2, 7.5))
    columns, rows = _spaced(place[0], 0.0425 * size), _spaced(place[1], 0.024 * size)
    columns = [j for j in columns if abs(place[0][j] - inches[0] / 2) < inches[0] / 2 - 0.02 * size]
    dark = colour @ np.array([0.299, 0.587, 0.114]) < 0.55
    for i, j in ((i, j) for i in rows for j in columns if np.isfinite(mean[i, j])):
        # A stroke in the cell's colour keeps the hatching away from a number.
        stroke = withStroke(linewidth=2.6, foreground=to_hex(colour[i, j]))
        at = within(x, 0.5)[j], within(y, 0.5)[i]
        text = axes.text(*at, words(mean[i, j]), size=size, zorder=4, clip_on=True)
        text.set(color="white" if dark[i, j] else INK, ha="center", va="center_baseline")
        text.set_path_effects([stroke])


def _spaced(place: np.ndarray, gap: float) -> list[int]:
    """Indices of rising places that keep a gap, taken greedily from the left."""
    chosen: list[int] = []
    for index, position in enumerate(place):
        if not chosen or position - place[chosen[-1]] >= gap:
            chosen.append(index)
    return chosen
