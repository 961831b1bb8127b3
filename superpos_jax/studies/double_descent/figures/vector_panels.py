"""Panels of vectors in the plane: which are drawn, how, and the words that explain them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from superpos_jax.drawing.panels import square
from superpos_jax.drawing.select import representative
from superpos_jax.drawing.style import DEAD, GRID, INK, SOFT
from superpos_jax.engine.verdicts import ALIVE, NON_FINITE, UNFINISHED
from superpos_jax.results.runs import axes
from superpos_jax.studies.double_descent.criteria import REGIMES
from superpos_jax.studies.double_descent.figures.selection import FEATURE, SAMPLE, narrow
from superpos_jax.studies.double_descent.labels import SEEDS, describe
from superpos_jax.text import NBSP

COLUMNS = 8
LARGEST, MOST, SPREAD = 100, 400, 300
"""How many of the longest vectors are drawn, all long ones of features up to MOST; and others."""
ORIGIN = 0.03
"""Hidden vectors shorter than that share of the longest are counted in words."""
LONG, RAYS = 0.5, 40
"""Vectors longer than that share of the longest are long; so many at most are drawn as rays."""
ARRAYS = {"W": 0, "b": 0, "V": 0}
"""What the arrays of a cell are made of."""
REGIME_NAMES = {-1: "", **dict(enumerate(REGIMES))}
KINDS = {
    "feature": (FEATURE, "feature vectors\ncolumns of W"),
    "hidden": (SAMPLE, "hidden vectors\nh = W x"),
}


def lacks_weights(dataset: xr.Dataset, figure: str, *instead: str) -> str | None:
    """None if the vectors of the cells are there, else one sentence that says why not.

    They are made of W, or stored under another name.
    """
    if {"W", *instead} & set(dataset.data_vars):
        return None
    return f"{figure} needs the weights W, which this result does not hold"


def at_m2(dataset: xr.Dataset, figure: str, select: Mapping[str, Any]) -> dict[str, Any]:
    """The selection with m = 2 where m is swept. Raises ValueError if it asks for another m."""
    wanted = {"m": 2, **select} if "m" in axes(dataset) else dict(select)
    if wanted.get("m", 2) != 2:
        raise ValueError(f"{figure} draws m = 2 only")
    return wanted


def spread(values: np.ndarray) -> np.ndarray:
    """At most 8 of the values, evenly over their order."""
    if len(values) <= COLUMNS:
        return values
    return values[np.linspace(0, len(values) - 1, COLUMNS).round().astype(int)]


def one_seed(
    dataset: xr.Dataset, select: Mapping[str, Any], at: Sequence[int] | None, single: str = ""
) -> dict[str, Any]:
    """The selection for a row of columns by T: its first value of seeds, and of the axis `single`.

    Without `at` the columns are spread over the T that are selected, those that are trained if any.
    """
    chosen = dict(select)
    for axis in {*SEEDS, single} & set(axes(dataset)):
        chosen[axis] = np.atleast_1d(select.get(axis, dataset[axis].values))[0]
    if at is not None:
        return chosen | {"T": at}
    T = np.sort(np.atleast_1d(select.get("T", dataset["T"].values)))
    by_T, _ = narrow(dataset, ("T",), chosen | {"T": T}, pool=())
    trained = by_T["verdict"].values != UNFINISHED
    return chosen | {"T": spread(T[trained] if trained.any() else T)}


def vector_rows(
    array: np.ndarray, kind: str, here: xr.Dataset, across: str, value: Any
) -> pd.DataFrame:
    """The vectors of one panel; a dead, unfinished or not stored cell has one empty row."""
    died = int(here["died_at"])
    regime = REGIME_NAMES.get(int(here["regime"]), "") if "regime" in here else ""
    lost = int(here["verdict"]) in (NON_FINITE, UNFINISHED) or not np.isfinite(array).all()
    if lost:
        index, rank, points, long = np.array([-1]), np.array([-1]), np.full((1, 2), np.nan), 0
    else:
        length = np.linalg.norm(array, axis=1)
        long = int((length > LONG * length.max(initial=0.0)).sum())
        largest = min(max(LARGEST, long), MOST) if kind == "feature" else LARGEST
        index, rank = representative(length, largest, SPREAD)
        points = array[index]
    frame = pd.DataFrame({"index": index, "rank": rank, "x": points[:, 0], "y": points[:, 1]})
    frame.insert(0, across, value)
    frame.insert(1, "kind", kind)
    return frame.assign(count=len(array), long=long, regime=regime, died_at=died)


def draw_vectors(grid: np.ndarray, table: pd.DataFrame, across: str = "T") -> None:
    """Fill a grid of axes: a row for each kind in the table, a column for each value across."""
    values = np.sort(table[across].unique())
    kinds = [kind for kind in KINDS if (table["kind"] == kind).any()]
    for panels, kind in zip(grid, kinds, strict=True):
        colour, label = KINDS[kind]
        for panel, value in zip(panels, values, strict=True):
            rows = table[(table[across] == value) & (table["kind"] == kind)]
            _panel(panel, rows, colour)
            if kind == kinds[0]:
                _head(panel, describe({across: value.item()}), rows["regime"].iloc[0])
        panels[0].set_ylabel(label, color=colour, linespacing=1.4)


def _head(panel: Axes, title: str, regime: str) -> None:
    panel.set_title(title, pad=15, weight="bold")
    small: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
    small |= {"ha": "center", "size": 8, "color": SOFT}
    panel.annotate(regime, (0.5, 1.0), xytext=(0, 4), **small)


def _panel(axes: Axes, rows: pd.DataFrame, colour: str) -> None:
    points = rows[["x", "y"]].to_numpy(float)
    half = float(rows["half_width"].iloc[0])
    half = half if half > 0 else 1.0
    square(axes, half)
    if not np.isfinite(points).any():
        axes.set_facecolor(DEAD)
        text = _why_empty(rows)
        axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, size=8)
        return
    for line in (axes.axhline, axes.axvline):
        line(0, color=GRID, lw=0.7, zorder=0)
    length = np.hypot(points[:, 0], points[:, 1])
    hidden = rows["kind"].iloc[0] == "hidden"
    long, count = int(rows["long"].iloc[0]), int(rows["count"].iloc[0])
    rays = (length > LONG * length.max()) & ((count if hidden else long) <= RAYS)
    segments = np.stack([np.zeros_like(points[rays]), points[rays]], axis=1)
    axes.add_collection(LineCollection(list(segments), colors=colour, lw=1.1, alpha=0.85))
    faint = float(np.clip(60 / len(points), 0.25, 0.7))
    for which, size, alpha in ((~rays, 3.5, faint), (rays, 9.0, 0.9)):
        x, y = points[which].T
        axes.scatter(x, y, s=size, color=colour, alpha=alpha, lw=0, zorder=3)
    unseen = int((length < ORIGIN * length.max()).sum())
    words = "" if hidden else f"{long:,} long"
    if hidden and len(points) == count and unseen:
        words = f"{unseen} near 0"
    at: dict[str, Any] = {"ha": "right", "va": "center", "transform": axes.transAxes}
    axes.text(1.0, -0.06, words, size=7.5, color=SOFT, gid="count", **at)
    _ruler(axes, half)


def _why_empty(rows: pd.DataFrame) -> str:
    died = int(rows["died_at"].iloc[0])
    if died != ALIVE:
        return f"not finite\nafter step {died:,}"
    return "weights\nnot stored" if rows["count"].iloc[0] else "not trained yet"


def _ruler(axes: Axes, half: float) -> None:
    """A bar of round length under the panel."""
    power = 10.0 ** np.floor(np.log10(0.8 * half))
    bar = max(step * power for step in (1, 2, 5) if step * power <= 0.8 * half)
    share = bar / (2 * half)
    look: dict[str, Any] = {"color": SOFT, "lw": 1.2, "clip_on": False, "solid_capstyle": "butt"}
    axes.plot([0.0, share], [-0.06, -0.06], transform=axes.transAxes, **look)
    text = f"{bar:.3g}"
    axes.text(share + 0.04, -0.06, text, transform=axes.transAxes, size=7.5, color=INK, va="center")


def regime_words(table: pd.DataFrame) -> list[str]:
    """How the regimes that occur look, for a table with both kinds of vectors."""
    looks = {
        "memorizing": "Memorizing: most hidden vectors lie around a circle, ideally a T-gon.",
        "generalizing": "Generalizing: a few long feature vectors, ideally a polygon; hidden"
        " vectors spread along them.",
    }
    return [words for regime, words in looks.items() if (table["regime"] == regime).any()]


def scale_words(table: pd.DataFrame, scale: str) -> list[str]:
    """What the bars mean, and what is written below the panels."""
    words = [f"Bar: the scale of the {'panel' if scale == 'panel' else 'row'}"]
    if (table["kind"] == "feature").any():
        words.append(f"long: above {100 * LONG:g}{NBSP}% of the longest")
    hidden = table[(table["kind"] == "hidden") & (table["rank"] >= 0)]
    if (hidden["count"] <= LARGEST + SPREAD).any():
        of = "" if len(words) > 1 else " of the longest"
        words.append(f"near 0: below {100 * ORIGIN:g}{NBSP}%{of}")
    sentences = [f"{'; '.join(words)}."]
    if (table["count"] > LARGEST + SPREAD).any():
        sentences.append(f"Of over {LARGEST + SPREAD} vectors a selection is drawn.")
    return sentences
