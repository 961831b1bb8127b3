"""Which of many lines or panels are drawn, what they share, and the panels they are drawn in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from superpos_jax.drawing.style import GRID, SOFT, label_inches
from superpos_jax.results.registry import labels_of
from superpos_jax.results.runs import fixed
from superpos_jax.text import counted


def evenly(count: int, most: int) -> np.ndarray:
    """At most so many of `count` indices, evenly spaced, both ends among them.

    Example:
        >>> evenly(3, 5), evenly(9, 3)
        (array([0, 1, 2]), array([0, 4, 8]))
    """
    return np.linspace(0, count - 1, min(count, most)).round().astype(int)


def fewer(
    dataset: xr.Dataset, axis: str | None, most: int, select: Mapping[str, Any]
) -> tuple[xr.Dataset, str]:
    """At most so many values of an axis, evenly spaced, unless the user selects some of them.

    Returns the dataset, and a sentence that says how many of how many; empty if all stay.
    """
    if axis is None or axis in select or dataset.sizes[axis] <= most:
        return dataset, ""
    name = labels_of(dataset).axis(axis)
    sentence = f"{most:,} of {counted(dataset.sizes[axis], 'value')} of {name}, evenly spaced."
    return dataset.isel({axis: evenly(dataset.sizes[axis], most)}), sentence


def constants(dataset: xr.Dataset, *names: str) -> dict[str, Any]:
    """Those of the named numbers that all cells share; the setting line omits them otherwise."""
    shared = fixed(dataset)
    return {name: shared[name] for name in names if name in shared}


def square(panel: Axes, half: float) -> None:
    """An empty square panel around the origin, its frame and its axes faint."""
    half = half if np.isfinite(half) and half > 0 else 1.0
    panel.set(xticks=[], yticks=[], xlim=(-half, half), ylim=(-half, half))
    panel.set_box_aspect(1)
    for side in panel.spines.values():
        side.set(color=GRID, linewidth=0.8)


def step_axis(panel: Axes, first: float, last: float) -> None:
    """A logarithmic axis of training steps, its decades labelled where there is room."""
    last = max(last, 1.01 * first)
    panel.set_xscale("log")
    panel.set_xlim(first, last)
    powers = np.arange(np.ceil(np.log10(first) - 1e-9), np.log10(last) + 1e-9)
    texts = [f"{10**power:,.0f}" for power in powers]
    decade = panel.bbox.width / panel.figure.dpi / np.log10(last / first)
    needs = [label_inches(text) for text in texts]
    free = (k for k in range(1, len(texts)) if k * decade >= (needs[-1] + needs[-1 - k]) / 2)
    every = next(free, max(1, len(texts)))
    labels = [text if (len(texts) - 1 - i) % every == 0 else "" for i, text in enumerate(texts)]
    panel.set_xticks(10.0**powers, labels=labels)
    panel.minorticks_off()
    panel.tick_params(which="both", color=SOFT)


def with_room(places: np.ndarray, texts: Sequence[str], size: float) -> np.ndarray:
    """Which of several labels lie upon none of those before them that do not either.

    Args:
        places: (n, 2), of their middles, in points.
        texts: the labels.
        size: of their type, in points.

    >>> with_room(np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]]), ["Rome", "Bari", "Pisa"], 7.0)
    array([ True, False,  True])
    """
    half = np.array([0.3 * size * len(text) for text in texts])
    kept = np.zeros(len(texts), bool)
    for i, place in enumerate(places):
        away = np.abs(places[kept] - place)
        across, up = away.T if len(away) else (np.empty(0), np.empty(0))
        kept[i] = not np.any((across < half[kept] + half[i]) & (up < 1.2 * size))
    return kept


def note(panel: Axes, lines: list[str]) -> None:
    """A few words at the upper left of a panel."""
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5}
    text = panel.text(0.03, 0.96, "\n".join(lines), size=8, color=SOFT, va="top", zorder=6)
    text.set(transform=panel.transAxes, linespacing=1.4, bbox=box)
