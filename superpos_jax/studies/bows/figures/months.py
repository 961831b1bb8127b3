"""A ring of words in the data and in the weights: months, or days."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from superpos_jax.drawing import style as look
from superpos_jax.drawing.needs import missing
from superpos_jax.drawing.panels import evenly, square
from superpos_jax.drawing.select import narrow
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.drawing.style import DEAD, GRID, INK, SOFT
from superpos_jax.results.result import Result
from superpos_jax.results.runs import axes, seed_values
from superpos_jax.studies.bows import geometry, pca
from superpos_jax.studies.bows.figures.setting import features_of, tidy
from superpos_jax.studies.bows.labels import LABELS

COLUMNS, ROWS = 5, 5
"""Values of m and of weight decay, at most."""
LEAST = 0.36
"""Radians between the names of two words around a panel."""
PCA = "PCA"


def applies(dataset: xr.Dataset) -> str | None:
    """None if the weights of a text with months are there, else why not."""
    return missing(dataset, "months", ("W", "months_off_diagonal"))


def has_days(dataset: xr.Dataset) -> str | None:
    """None if the weights of a text with days are there, else why not."""
    return missing(dataset, "days", ("W", "days_off_diagonal"))


def months_table(result: Result, group: str = "months", **select: Any) -> pd.DataFrame:
    """The numbers of `months`.

    Rows with part "data": words i and j of the group, and value, the correlation of both in the
    training bags. Rows with part "data ring": i, word, x and y, score and level, as below, of the
    data: principal components of the bags that hold a word of the group. Rows with part "ring":
    row ("PCA" or the weight decay), m, i, word, x and y, the principal components of the group's
    unit vectors, turned so that the first word is on top; score, the ring score, and level, which
    95 % of random orders stay below. Of several seeds the first one is drawn.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    seeds = next(iter(seed_values(result.dataset)), {})
    dataset, taken = narrow(
        result.dataset, ("weight_decay", "m"), {**seeds, **select}, pool=()
    )  # fmt: skip
    swept = set(axes(result.dataset))
    point = taken | {axis: dataset[axis].values[0].item() for axis in swept - set(taken)}
    study: Any = result.grid.study
    cell = result.grid.cell(**point)
    features, data = features_of(result, cell), study.spectrum(cell)
    if group not in features.groups:
        allowed = ", ".join(features.groups) or "none"
        raise ValueError(f"group = {group!r}: not among the words; allowed: {allowed}")
    members = list(features.groups[group])
    words = [features.names[i] for i in members]
    i, j = np.indices((len(members), len(members)))
    correlation = data.correlation[np.ix_(members, members)]
    entries = {"i": i.ravel(), "j": j.ravel(), "value": correlation.ravel()}
    frames = [pd.DataFrame({"part": "data", **entries})]
    frames.append(_placed(words, data_points(features.train[:, members])).assign(part="data ring"))
    ms = dataset["m"].values[evenly(dataset.sizes["m"], COLUMNS)].tolist()
    decays = dataset["weight_decay"].values
    decays = decays[evenly(len(decays), ROWS)].tolist()
    for m in ms:
        frames.append(_ring(PCA, m, words, data.autoencoder(m).W[:, members]))
    for decay in decays:
        for m in ms:
            W = dataset["W"].sel(weight_decay=decay, m=m).values[:m, members]
            frames.append(_ring(LABELS.describe({"weight_decay": decay}), m, words, W))
    frame = tidy(result, pd.concat(frames, ignore_index=True), taken)
    frame.attrs["group"] = group
    return frame


def data_points(X: np.ndarray) -> np.ndarray:
    """Words of a group in the plane of the data, (n, 2), as `measured.data_ring` scores them.

    Args:
        X: (bags, n), which of the words is in which bag.
    """
    held = X[X.any(axis=1)].astype(float)
    _, covariance = pca.moments(held - held.mean(axis=1, keepdims=True))
    plane = pca.components(covariance)[1][:2]
    return np.asarray((plane - plane.mean(axis=1, keepdims=True)).T)


def _ring(row: str, m: int, words: list[str], W: np.ndarray) -> pd.DataFrame:
    """The plane of a group's unit vectors; empty where a cell is not trained."""
    if not np.isfinite(W).all():
        empty = pd.DataFrame({"i": range(len(words)), "word": words, "x": np.nan, "y": np.nan})
        return empty.assign(part="ring", row=row, m=m, score=np.nan, level=np.nan)
    points = geometry.plane_points(geometry.unit_columns(W))
    return _placed(words, points).assign(part="ring", row=row, m=m)


def _placed(words: list[str], points: np.ndarray) -> pd.DataFrame:
    """Words at points of the plane, turned, and how well they are in a ring."""
    score, level = geometry.ring_score(points), geometry.ring_level(points)
    x, y = turned(points).T
    columns = {"i": range(len(words)), "word": words, "x": x, "y": y}
    return pd.DataFrame({**columns, "score": score, "level": level})


def turned(points: np.ndarray, count: int | None = None) -> np.ndarray:
    """Points (n, 2) turned, and mirrored, so that they run clockwise from the top as a clock does.

    Args:
        points: (n, 2).
        count: how many of them are to run so, the first ones; all of them by default.

    >>> turned(np.array([[0.0, -1.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])).round(6) + 0.0
    array([[ 0.,  1.], [ 1.,  0.], [ 0., -1.], [-1.,  0.]])
    """
    z = points[:, 0] + 1j * points[:, 1]
    n = len(z) if count is None else count
    clock = np.exp(1j * (np.pi / 2 - 2 * np.pi * np.arange(n) / n))
    fits = [(clock.conj() @ w[:n], w) for w in (z, z.conj())]
    turn, best = max(fits, key=lambda fit: abs(fit[0]))
    best = best * np.exp(-1j * np.angle(turn))
    return np.stack([best.real, best.imag], axis=1)


def months(result: Result, group: str = "months", **select: Any) -> Figure:
    """Months (or days) in the plane of their weights, by m and weight decay, PCA above them.

    Left: how the words correlate in the training bags. Right: principal components of the group's
    unit vectors (the paper's figure of months), with the ring score and the level that 95 % of
    random orders stay below.

    Arguments:
        result: of the study bows, on a text.
        group: "months", "days" or another group of words.
        select: values of other swept axes, or lists that restrict m or weight_decay.

    Returns a Figure. Raises ValueError where the words are not there.

    Example:
        months(result, group="days").savefig("days.png")
    """
    return _draw(months_table(result, group, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    rings = table[table["part"] == "ring"]
    rows, ms = rings["row"].unique().tolist(), rings["m"].unique().astype(int).tolist()
    size = 1.75
    title = f"{table.attrs['group'].capitalize()} in the plane of their first two components"
    width = max(7.2, size * (len(ms) + 1.25) + 0.6)
    setting, caption = table.attrs["setting"], _caption(rings)
    figure = look.page(width, (size + 0.3) * len(rows), title, setting, caption)
    shape = {"width_ratios": [1.25, *[1.0] * len(ms)]}
    grid = figure.subplots(len(rows), len(ms) + 1, squeeze=False, gridspec_kw=shape)
    _correlations(grid[0, 0], table[table["part"] == "data"], rings["word"].unique().tolist())
    _plane(grid[1, 0], table[table["part"] == "data ring"].sort_values("i"))
    grid[1, 0].set_xlabel("data: principal components", size=8, color=SOFT)
    for empty in grid[2:, 0]:
        empty.set_visible(False)
    for line, row in zip(grid, rows, strict=True):
        for panel, m in zip(line[1:], ms, strict=True):
            own = rings[(rings["row"] == row) & (rings["m"] == m)].sort_values("i")
            _plane(panel, own)
            if row == rows[0]:
                panel.annotate(
                    f"m = {m}", (0.5, 1.14), xycoords="axes fraction", ha="center", size=9
                )
        line[1].set_ylabel(row, size=9)
    return figure


def _correlations(panel: Axes, entries: pd.DataFrame, words: list[str]) -> None:
    n = len(words)
    matrix = entries.sort_values(["i", "j"])["value"].to_numpy().reshape(n, n).copy()
    np.fill_diagonal(matrix, np.nan)
    low, high = np.nanmin(matrix), np.nanmax(matrix)
    panel.imshow(np.ma.masked_invalid(matrix), cmap="viridis", vmin=low, vmax=high)
    short = [word[:3] for word in words]
    panel.set_xticks(range(n), labels=short, rotation=90, size=6.5)
    panel.set_yticks(range(n), labels=short, size=6.5)
    panel.tick_params(length=0, pad=2)
    panel.set_title(f"data: correlation\n{low:.2f} to {high:.2f}", size=8, color=SOFT)
    for side in panel.spines.values():
        side.set(color=GRID, linewidth=0.8)


def _plane(panel: Axes, own: pd.DataFrame) -> None:
    x, y = own["x"].to_numpy(), own["y"].to_numpy()
    reach = float(np.nanmax(np.hypot(x, y))) if np.isfinite(x).any() else 1.0
    half = 1.45 * reach
    square(panel, half)
    if not np.isfinite(x).all():
        panel.set_facecolor(DEAD)
        return
    panel.plot([*x, x[0]], [*y, y[0]], color=GRID, lw=1.0, zorder=1)
    colours = matplotlib.colormaps["twilight_shifted"](np.arange(len(x)) / len(x))
    panel.scatter(x, y, c=colours, s=14, lw=0, zorder=3)
    for word, left, up, angle in zip(own["word"], x, y, apart(np.arctan2(y, x)), strict=True):
        away = np.array([np.cos(angle), np.sin(angle)]) * reach
        panel.plot(*zip((left, up), 1.12 * away, strict=True), color=DEAD, lw=0.4, zorder=2)
        panel.text(
            1.27 * away[0], 1.27 * away[1], word[:3], size=6, ha="center", va="center", color=INK
        )
    score, level = own["score"].iloc[0], own["level"].iloc[0]
    weight = "bold" if score > level else "normal"
    panel.set_title(f"{score:.2f} ({level:.2f})", size=8, pad=3, weight=weight)


def apart(angles: np.ndarray, least: float = LEAST) -> np.ndarray:
    """Angles near the given ones, in the same order around, `least` apart where there is room.

    >>> apart(np.array([0.0, 0.1, 3.0]), 0.5).round(2)
    array([-0.2,  0.3,  3. ])
    """
    order = np.argsort(angles, kind="stable")
    moved = angles[order].astype(float)
    least = min(least, 0.95 * 2 * np.pi / len(moved))
    for _ in range(500):
        gap = np.diff(moved, append=moved[0] + 2 * np.pi)
        push = np.maximum(least - gap, 0) / 2
        moved += np.roll(push, 1) - push
    result = np.empty_like(moved)
    result[order] = moved
    return result


def _caption(rings: pd.DataFrame) -> list[str]:
    first = rings[rings["i"] == 0]
    above = int((first["score"] > first["level"]).sum())
    return [
        "Points: principal components of the words' unit vectors (left: of the bags that hold a"
        " word), turned so that they run clockwise. Above a panel: ring score, in brackets the"
        " level that 95 % of random orders stay below; bold where the score is above it,"
        f" {above} of {len(first)}.",
        "PCA: the best linear model of that m.",
        "One seed.",
    ]


MONTHS = FigureSpec(
    "months", months_table, _draw, "months in the plane of their weights, over m and weight decay",
    applies, arrays={"W": 0},
)  # fmt: skip


def days_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `days`: those of `months` for the days of the week."""
    return months_table(result, "days", **select)


def days(result: Result, **select: Any) -> Figure:
    """Days of the week as `months` draws months: a second ring.

    Raises ValueError where the words are not there.

    Example:
        days(result, weight_decay=[0, 4]).savefig("days.png")
    """
    return _draw(days_table(result, **select))


DAYS = FigureSpec(
    "days", days_table, _draw, "days of the week, as months", has_days, arrays={"W": 0}
)
