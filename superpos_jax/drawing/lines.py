"""Lines over a swept axis, bands of the seeds around them, and the words for both."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from superpos_jax.drawing.style import DEAD, INK, SOFT
from superpos_jax.text import counted

QUARTILES_FROM = 8
MARKED = 60
"""Points of a line at most that are marked; more would hide it."""
DRAWN = "drawn at the last recorded step"
CROSS: Any = {"ls": "none", "marker": "X", "ms": 5, "color": DEAD, "mec": SOFT, "mew": 0.5}


def band(table: pd.DataFrame) -> tuple[str, str] | None:
    """The columns between which a band is drawn: all seeds, or the middle half of many."""
    count = int(table["runs"].max()) if len(table) else 0
    return None if count < 2 else ("q25", "q75") if count >= QUARTILES_FROM else ("min", "max")


def line(axes: Axes, x: str, rows: pd.DataFrame, alpha: float = 0.16, **how: Any) -> None:
    """The medians of rows as a line over column x, and the band of the seeds."""
    rows = rows.sort_values(x)
    if (edges := band(rows)) is not None:
        axes.fill_between(rows[x], *(rows[e] for e in edges), color=how["color"], alpha=alpha, lw=0)
    look = {"lw": 1.5, "marker": "o", "ms": 2.8, **how}
    axes.plot(rows[x], rows["median"], **look if len(rows) <= MARKED else look | {"marker": ""})


def points(axes: Axes, x: str, rows: pd.DataFrame, alpha: float = 0.4, **how: Any) -> None:
    """The medians of rows as points over column x, and bars of the seeds: nothing between them."""
    if (edges := band(rows)) is not None:
        axes.vlines(rows[x], *(rows[e] for e in edges), color=how["color"], alpha=alpha, lw=3)
    axes.plot(rows[x], rows["median"], **{"marker": "o", "ms": 4, **how, "ls": "none"})


def drawn(table: pd.DataFrame) -> np.ndarray:
    """All finite numbers that `line` draws of a table."""
    numbers = table[["median", *(band(table) or ())]].to_numpy(float)
    return numbers[np.isfinite(numbers)]


def crosses(axes: Axes, x: str, table: pd.DataFrame) -> None:
    """A grey cross at the foot of every x at which a run died."""
    places = table.loc[table["died"] > 0, x].unique()
    if len(places):
        foot = np.full(len(places), 0.03)
        axes.plot(places, foot, transform=axes.get_xaxis_transform(), gid="died", **CROSS)


def seed_key(table: pd.DataFrame, *between: Artist) -> list[Artist]:
    """What the legend says of bands and of dead runs; other entries come between the two."""
    keys: list[Artist] = []
    if (edges := band(table)) is not None:
        label = "all seeds" if edges[0] == "min" else "middle half\nof the seeds"
        keys.append(Patch(color=INK, alpha=0.16, lw=0, label=label))
    keys += between
    if (table["died"] > 0).any():
        keys.append(Line2D([], [], label="a seed died", **CROSS))
    return keys


def seed_words(table: pd.DataFrame, what: str = "Lines") -> str:
    """How seeds are pooled, in words."""
    seeds = int(table["runs"].max())
    if (edges := band(table)) is None:
        return "One seed."
    wide = "over all" if edges[0] == "min" else "over the middle half"
    along = "step" in table  # then runs counts those that are there
    missing = table["runs"] < seeds if along else table[["died", "unfinished"]].any(axis=1)
    fewer = " (fewer where some are missing)" if missing.any() else ""
    return f"{what}: median of {seeds} seeds{fewer}, bands {wide} of them."


def lost_words(cells: pd.DataFrame, so_far: str = DRAWN) -> str:
    """What became of runs that failed or were not trained to the end, from one row per cell."""
    died, training = int(cells["died"].sum()), int(cells["unfinished"].sum())
    verb = "is" if training == 1 else "are"
    text = f" {counted(training, 'run')} {verb} unfinished and {so_far}." if training else ""
    return text + (f" {counted(died, 'run')} died or diverged: left out." if died else "")
