"""Single runs: which seeds they have, whether they hold the repeated sample, their panels."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from ._select import SEEDS, axes, fixed
from ._style import GRID, SOFT

SHARE = 1e-3
"""A sample is held when its dimensionality is among this share of the largest ones."""

STANDS_OUT = 0.1
"""Dimensionality from which on a vector counts as having a direction of its own."""
CORNER = 0.25
"""From which on a feature has a corner of the pentagon to itself; in P1 the five have 0.31 each."""


def seed_values(dataset: xr.Dataset) -> list[dict[str, Any]]:
    """The values of the seed axes of every run, in the order in which `runs` has them."""
    pooled = [axis for axis in SEEDS if axis in dataset["verdict"].dims]
    values = [dataset[axis].values.tolist() for axis in pooled]
    return [dict(zip(pooled, point, strict=True)) for point in itertools.product(*values)]


def evenly(count: int, most: int) -> np.ndarray:
    """At most so many of `count` indices, evenly spaced, both ends among them.

    Example:
        >>> evenly(3, 5), evenly(9, 3)
        (array([0, 1, 2]), array([0, 4, 8]))
    """
    return np.linspace(0, count - 1, min(count, most)).round().astype(int)


def values_of(dataset: xr.Dataset, name: str) -> list[Any]:
    """The values that a number of the cells takes in a result, swept or not."""
    return dataset[name].values.tolist() if name in axes(dataset) else [fixed(dataset).get(name)]


def standing(dataset: xr.Dataset, *names: str) -> dict[str, Any]:
    """Those of the named numbers that all cells share; the setting line omits them otherwise."""
    shared = fixed(dataset)
    return {name: shared[name] for name in names if name in shared}


def repeated_once(dataset: xr.Dataset, figure: str) -> str | None:
    """None if a result holds cells with one repeated sample, else one sentence that says so."""
    held = values_of(dataset, "repeated")
    if 1 in held:
        return None
    found = ", ".join(str(value or 0) for value in held)
    return f"{figure} needs repeated = 1, one repeated sample; this result holds repeated = {found}"


def holds_first(dimensionality: np.ndarray) -> bool:
    """Whether sample 0 is among the 0.1 % of samples with the largest D (at least the one).

    Example:
        >>> holds_first(np.array([0.3, 0.1, 0.2])), holds_first(np.array([0.1, 0.3, 0.2]))
        (True, False)
    """
    known = dimensionality[np.isfinite(dimensionality)]
    if not len(known) or not np.isfinite(dimensionality[0]) or dimensionality[0] <= 0:
        return False
    return int((known > dimensionality[0]).sum()) < max(1, int(SHARE * len(known) + 1e-9))


def square(panel: Axes, half: float) -> None:
    """An empty square panel around the origin, its frame and its axes faint."""
    half = half if np.isfinite(half) and half > 0 else 1.0
    panel.set(xticks=[], yticks=[], xlim=(-half, half), ylim=(-half, half))
    panel.set_box_aspect(1)
    for side in panel.spines.values():
        side.set(color=GRID, linewidth=0.8)


def step_axis(panel: Axes, first: float, last: float) -> None:
    """A logarithmic axis of training steps, its decades labelled."""
    panel.set_xscale("log")
    panel.set_xlim(first, max(last, 1.01 * first))
    powers = np.arange(np.ceil(np.log10(first) - 1e-9), np.log10(last) + 1e-9)
    panel.set_xticks(10.0**powers, labels=[f"{10**power:,.0f}" for power in powers])
    panel.minorticks_off()
    panel.tick_params(which="both", color=SOFT)


def note(panel: Axes, lines: list[str]) -> None:
    """A few words at the upper left of a panel."""
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5}
    text = panel.text(0.03, 0.96, "\n".join(lines), size=8, color=SOFT, va="top", zorder=6)
    text.set(transform=panel.transAxes, linespacing=1.4, bbox=box)
