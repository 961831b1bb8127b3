"""Words of a season among the months: where they point, and what the months add to Christmas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from superpos_jax.drawing import style as look
from superpos_jax.drawing.needs import missing
from superpos_jax.drawing.panels import square
from superpos_jax.drawing.select import narrow
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.drawing.style import BLUE, DEAD, GRID, INK, SOFT, VERMILLION
from superpos_jax.results.result import Result
from superpos_jax.results.runs import axes, seed_values
from superpos_jax.studies.bows import geometry
from superpos_jax.studies.bows.features import Features
from superpos_jax.studies.bows.figures.months import PCA, apart, turned
from superpos_jax.studies.bows.figures.setting import features_of, tidy
from superpos_jax.studies.bows.labels import LABELS
from superpos_jax.studies.bows.measured import CHRISTMAS
from superpos_jax.studies.bows.words import SEASONAL
from superpos_jax.text import NBSP

M, DECAYS = 120, (0.0, 4.0)
"""Of which models: those of the nearest m and weight decays."""
LITTLE = 0.05
"""Share of a word's squared length in the plane below which its direction there says little."""
LEAST = 0.3
"""Radians between the names of two words around a panel."""


def applies(dataset: xr.Dataset) -> str | None:
    """None if the weights of a text with months and words of a season are there, else why not."""
    if lack := missing(dataset, "seasons", ("W", "seasonal_share")):
        return lack
    there = bool(dataset["seasonal_share"].notnull().any())
    return None if there else f"seasons needs months and words of a season: {', '.join(SEASONAL)}"


def seasons_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `seasons`, of the first seed.

    Rows with part "month": row ("PCA" or the weight decay), word, x and y, principal components of
    the months' unit vectors, turned so that they run clockwise. Part "word", of a season: x and y,
    its own unit vector projected onto these; held, the share of its squared length in the plane;
    own and others, its mean cosine with the months of its season and with the other months. Part
    "adds": row, word, a month, and value, the product of its vector with that of Christmas; none
    where Christmas is no word.

    By default m nearest to 120 and the weight decays nearest to 0 and to 4.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    usual: dict[str, Any] = next(iter(seed_values(result.dataset)), {})
    swept = axes(result.dataset)
    if "m" in swept:
        usual = {**usual, "m": _nearest(result.dataset["m"].values, M)}
    if "weight_decay" in swept:
        decays = result.dataset["weight_decay"].values
        usual["weight_decay"] = sorted({_nearest(decays, decay) for decay in DECAYS})
    dataset, taken = narrow(result.dataset, ("weight_decay",), {**usual, **select}, pool=())
    decays = dataset["weight_decay"].values.tolist()
    point = {axis: value for axis, value in taken.items() if axis in swept}
    first = {"weight_decay": decays[0]} if "weight_decay" in swept else {}
    study: Any = result.grid.study
    cell = result.grid.cell(**point, **first)
    features, data = features_of(result, cell), study.spectrum(cell)
    frames = [*_of_model(PCA, data.autoencoder(cell.m).W, features)]
    for decay in decays:
        W = dataset["W"].sel(weight_decay=decay).values[: cell.m]
        frames += _of_model(LABELS.describe({"weight_decay": decay}), W, features)
    return tidy(result, pd.concat(frames, ignore_index=True), taken)


def _nearest(values: np.ndarray, wanted: float) -> Any:
    return values[np.argmin(np.abs(values - wanted))].item()


def _of_model(row: str, W: np.ndarray, features: Features) -> Iterator[pd.DataFrame]:
    """The rows of one model; NaN where it is not trained."""
    months = list(features.groups["months"])
    place = {word: i for i, word in enumerate(features.names)}
    words = [word for word in SEASONAL if word in place]
    shown = [*months, *(place[word] for word in words)]
    points, held = projected(W[:, months], W[:, shown[len(months) :]])
    parts = pd.DataFrame({
        "row": row,
        "part": ["month"] * len(months) + ["word"] * len(words),
        "word": [features.names[i] for i in shown],
        "x": points[:, 0],
        "y": points[:, 1],
        "held": [*[np.nan] * len(months), *held],
    })  # fmt: skip
    cosines = geometry.cosines(W[:, shown])[len(months) :, : len(months)]
    own = np.array([np.isin(np.arange(len(months)), SEASONAL[word]) for word in words])
    for name, these in (("own", own), ("others", ~own)):
        means = (cosines * these).sum(axis=1) / these.sum(axis=1)
        parts[name] = [*[np.nan] * len(months), *means]
    yield parts
    if CHRISTMAS in place:
        adds = W[:, place[CHRISTMAS]] @ W[:, months]
        names = [features.names[i] for i in months]
        yield pd.DataFrame({"row": row, "part": "adds", "word": names, "value": adds})


def projected(months: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Months and other words in the plane of the months, (12 + k, 2), and what it holds of words.

    Vectors are of length 1, and the months' are centred. The other words' are not: so a word's
    cosines with two months differ by its product with the difference of their points, as far as the
    plane holds it. The paper has vectors of their own lengths, three components of which two are
    drawn, and centres both.

    Args:
        months: (m, 12).
        words: (m, k).

    Returns:
        The points, and (k,) the share of each word's squared length in the plane.
    """
    if not (np.isfinite(months).all() and np.isfinite(words).all()):
        return np.full((months.shape[1] + words.shape[1], 2), np.nan), np.full(words.shape[1], 0.0)
    unit = geometry.unit_columns(months)
    away = unit - unit.mean(axis=0)
    plane = np.linalg.svd(away, full_matrices=False)[2][:2]
    points = np.concatenate([away, geometry.unit_columns(words)]) @ plane.T
    held = (points[months.shape[1] :] ** 2).sum(axis=1)
    return turned(points, months.shape[1]), held


def seasons(result: Result, **select: Any) -> Figure:
    """Words of a season in the plane of the months, and what the months add to Christmas.

    Above (the paper's ring of months with words of the seasons): principal components of the
    months' unit vectors, and the words' own projected onto them. Below (its towers of Christmas):
    the product of each month's vector with that of Christmas, which is what the month alone adds to
    its pre-activation. PCA, then models without and with weight decay.

    Arguments:
        result: of the study bows, on a text with months and words of a season, with weights.
        select: values of other swept axes, or a list of weight_decay.

    Returns a Figure. Raises ValueError where such words are not there.

    Example:
        seasons(result, m=120, weight_decay=[0, 4]).savefig("seasons.png")
    """
    return _draw(seasons_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    rows = table["row"].unique().tolist()
    adds = table[table["part"] == "adds"]
    lines = 2 if len(adds) else 1
    title = "Words of a season among the months"
    body = 3.3 + 1.7 * (lines - 1)
    figure = look.page(
        max(7.2, 3.2 * len(rows)), body, title, table.attrs["setting"], _caption(table)
    )
    shape = {"height_ratios": [3.3, 1.7][:lines]}
    grid = figure.subplots(lines, len(rows), squeeze=False, gridspec_kw=shape)
    for panel, row in zip(grid[0], rows, strict=True):
        of = table["row"] == row
        _plane(panel, table[of & (table["part"] == "month")], table[of & (table["part"] == "word")])
        panel.set_title(_told(row, table[of & (table["part"] == "word")]), size=8)
    for panel, row in zip(grid[1:].ravel(), rows, strict=False):
        _bars(panel, adds[adds["row"] == row])
    if lines > 1:
        grid[1, 0].set_ylabel(f"adds to {CHRISTMAS}")
    return figure


def _plane(panel: Axes, months: pd.DataFrame, words: pd.DataFrame) -> None:
    x, y = months["x"].to_numpy(), months["y"].to_numpy()
    to, up = words["x"].to_numpy(), words["y"].to_numpy()
    away = np.hypot([*x, *to], [*y, *up])
    if not np.isfinite(away).all():
        square(panel, 1.0)
        panel.set_facecolor(DEAD)
        return
    reach = float(away.max())
    square(panel, 1.85 * reach)
    panel.plot([*x, x[0]], [*y, y[0]], color=GRID, lw=1.0, zorder=1)
    colours = matplotlib.colormaps["twilight_shifted"](np.arange(len(x)) / len(x))
    panel.scatter(x, y, c=colours, s=14, lw=0, zorder=3)
    names = [month[:3] for month in months["word"]]
    _around(panel, names, months[["x", "y"]].to_numpy(), 1.17 * reach, size=6, color=INK)
    for left, above, held in zip(to, up, words["held"], strict=True):
        faint = 0.3 if held < LITTLE else 1.0
        panel.plot([0, left], [0, above], color=VERMILLION, lw=1.2, alpha=faint, zorder=2)
    seasonal, ends = words["word"].tolist(), words[["x", "y"]].to_numpy()
    _around(panel, seasonal, ends, 1.52 * reach, size=7, color=VERMILLION)


def _around(panel: Axes, names: list[str], points: np.ndarray, radius: float, **how: Any) -> None:
    """Names on a circle, apart, each joined to its point."""
    angles = apart(np.arctan2(points[:, 1], points[:, 0]), LEAST)
    rim = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for name, point, at in zip(names, points, rim, strict=True):
        panel.plot(*zip(point, 0.91 * at, strict=True), color=DEAD, lw=0.4, zorder=0)
        panel.text(at[0], at[1], name, ha="center", va="center", **how)


def _bars(panel: Axes, adds: pd.DataFrame) -> None:
    look.dress(panel, grid="y")
    values = adds["value"].to_numpy()
    panel.bar(range(len(values)), values, 0.7, color=np.where(values >= 0, BLUE, VERMILLION))
    panel.axhline(0, color=SOFT, lw=0.8)
    names = [word[:3] for word in adds["word"]]
    panel.set_xticks(range(len(values)), labels=names, rotation=90, size=7)
    share = abs(values.sum()) / np.abs(values).sum()
    text = f"sum {values.sum():.2f}, {100 * share:.0f}{NBSP}% of the sum of absolute values"
    panel.set_title(text, size=7.5, color=SOFT)


def _caption(table: pd.DataFrame) -> list[str]:
    below = f"Below: what a month alone adds to the pre-activation of {CHRISTMAS}; scales differ."
    return [
        "Above: principal components of the months' unit vectors. Closer: by the mean cosine with"
        " their own months and with the others, in all m dimensions. Pale: less than"
        f" {100 * LITTLE:.0f}{NBSP}% of a word's norm² is in the plane, where its direction says"
        " little.",
        *([below] if (table["part"] == "adds").any() else []),
        "One seed.",
    ]


def _told(row: str, words: pd.DataFrame) -> str:
    """The title of a panel: of how many words the months are right, how much the plane holds."""
    closer, held = int((words["own"] > words["others"]).sum()), 100 * words["held"]
    return (
        f"{row}\n{closer} of {len(words)} closer to their own months;\n"
        f"{held.min():.0f} to {held.max():.0f}{NBSP}% of their norm² in this plane"
    )


SEASONS = FigureSpec(
    "seasons", seasons_table, _draw, "words of a season among the months; what months add", applies,
    arrays={"W": 0},
)  # fmt: skip
