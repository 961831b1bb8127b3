"""The scale of losses: linear within 1 % of what predicting zero scores, logarithmic beyond."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from superpos_jax.drawing import lines
from superpos_jax.drawing.style import SOFT
from superpos_jax.studies.double_descent.criteria import squash, unsquash

ZERO: Any = {"color": SOFT, "lw": 1.0, "ls": (0, (4, 3)), "zorder": 1}
"""The line at 1, what predicting zero scores."""


def loss_ticks(low: float, high: float, count: int = 10) -> list[float]:
    """Round losses in [low, high], well apart on the squashed scale; 1 where it fits.

    Example:
        >>> loss_ticks(0.985, 1.3, count=6)
        [1.0, 1.02, 1.1, 1.3]
    """
    steps = [0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5]
    above = [1 + step for step in steps] + [d * 10.0**e for e in range(7) for d in (2, 3, 5, 10)]
    below = [1 - step for step in steps]
    # The coarse ones first, so that a fine tick never takes the place of a rounder one.
    ranked = [1.0, 1.1, 0.99, 1.01, 2.0, 10.0, 0.9, 0.98, 1.02, 5.0, 1.3, 1.05, 0.95, 1.03]
    lowest, highest = squash(np.array([low, high]))
    gap = (highest - lowest) / count
    ticks: list[float] = []
    for tick in [*ranked, *above[::-1], *below[::-1]]:
        far = all(abs(squash(tick) - squash(t)) >= gap for t in ticks)
        if low <= tick <= high and far:
            ticks.append(round(tick, 6))
    return sorted(ticks)


def loss_text(loss: float) -> str:
    """A loss with the digits that 1 % differences need."""
    if abs(loss - 1) < 0.9995:
        return f"{loss:.3f}"
    return f"{loss:.2f}" if loss < 9.995 else f"{loss:,.1f}" if loss < 99.95 else f"{loss:,.0f}"


def tick_text(loss: float) -> str:
    """A tick of a loss scale: never more digits than it has."""
    return f"{loss:,.10g}" if loss != 1 else "1"


def loss_axis(panels: Iterable[Axes], losses: np.ndarray, count: int = 12) -> None:
    """The same y axis for test losses, stretched near 1, in all panels, with the line at 1."""
    losses = np.append(losses, [0.998, 1.002])
    low, high = float(losses.min()), float(losses.max())
    ends = squash(np.array([low, high]))
    ticks = loss_ticks(low, high, count)
    for axes in panels:
        axes.set_yscale("function", functions=(squash, unsquash))
        axes.set_ylim(*unsquash(ends + 0.06 * np.ptp(ends) * np.array([-1, 1])))
        axes.set_yticks(ticks, labels=[tick_text(tick) for tick in ticks])
        axes.yaxis.set_minor_locator(NullLocator())
        axes.axhline(1.0, gid="zero-predictor", **ZERO)


def seed_key(table: pd.DataFrame) -> list[Artist]:
    """What the legend of a panel of losses says: bands, the line at 1, dead runs."""
    return lines.seed_key(table, Line2D([], [], label="predicting zero", **ZERO))
