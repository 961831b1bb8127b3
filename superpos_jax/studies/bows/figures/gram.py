"""Which features overlap: W^T W / |W|^2 over m, beside the data's covariance and PCA."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from superpos_jax.drawing import style as look
from superpos_jax.drawing.needs import Needs, missing
from superpos_jax.drawing.panels import evenly
from superpos_jax.drawing.select import narrow
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.drawing.style import SOFT
from superpos_jax.results.result import Result
from superpos_jax.results.runs import axes, seed_values
from superpos_jax.studies.bows import geometry
from superpos_jax.studies.bows.figures.setting import tidy
from superpos_jax.studies.bows.figures.story import features_story
from superpos_jax.studies.bows.labels import LABELS

NEEDS = Needs(swept=("m",))
COLUMNS, LARGEST = 9, 64
"""Values of m, at most, and features, of which every pair is drawn."""
ROUNDING = 1e-6
"""Overlaps, relative to the diagonal, below which they are rounding errors and follow nothing."""
DATA, PCA = "data", "PCA"
"""Rows that are no trained models."""


def applies(dataset: xr.Dataset) -> str | None:
    """None if the weights of synthetic features are there over m, else why not."""
    if lack := missing(dataset, "gram", ("W", "pca_validation_loss"), NEEDS):
        return lack
    d = dataset.sizes["feature"]
    return None if d <= LARGEST else f"gram needs at most {LARGEST} features, not {d}"


def gram_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `gram`: one row an entry of a matrix.

    Columns: row ("data", "PCA", or the model: "relu, wd 1"), m (0 of the data), i, j, value (of
    W^T W / |W|^2; of the covariance divided by its trace), cyclic and antipodality (of the model),
    and the value of every other swept axis. Of several seeds the first one is drawn.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    seeds = next(iter(seed_values(result.dataset)), {})
    kept = ("activation", "weight_decay", "m")
    dataset, taken = narrow(result.dataset, kept, {**seeds, **select}, pool=())
    study: Any = result.grid.study
    swept = set(axes(result.dataset))
    point = taken | {axis: dataset[axis].values[0].item() for axis in swept - set(taken)}
    data = study.spectrum(result.grid.cell(**point))
    frames = [_entries(DATA, 0, data.covariance / np.trace(data.covariance))]
    ms = dataset["m"].values[evenly(dataset.sizes["m"], COLUMNS)].tolist()
    for m in ms:
        frames.append(_of_weights(PCA, m, data.autoencoder(m).W))
    for activation in dataset["activation"].values.tolist():
        called = LABELS.shown("activation", LABELS.number("activation", activation))
        for decay in dataset["weight_decay"].values.tolist():
            models = dataset["W"].sel(activation=activation, weight_decay=decay)
            for m in ms:
                W = models.sel(m=m).values[:m]
                frames.append(_of_weights(f"{called}, wd {decay:g}", m, W))
    return tidy(result, pd.concat(frames, ignore_index=True), taken)


def _of_weights(row: str, m: int, W: np.ndarray) -> pd.DataFrame:
    G = geometry.gram(W)
    overlaps = geometry.identity_gap(W) > ROUNDING
    scores = geometry.cyclic_correlation(G) if overlaps else np.nan, geometry.antipodality(W)
    return _entries(row, m, G, *scores)


def _entries(
    row: str, m: int, matrix: np.ndarray, cyclic: float = np.nan, antipodes: float = np.nan
) -> pd.DataFrame:
    i, j = np.indices(matrix.shape)
    entries = {"i": i.ravel(), "j": j.ravel(), "value": matrix.ravel()}
    return pd.DataFrame(
        {"row": row, "m": m, **entries, "cyclic": cyclic, "antipodality": antipodes}
    )


def gram(result: Result, **select: Any) -> Figure:
    """W^T W of trained models as small heat maps, a row for each activation and weight decay.

    First the covariance of the data, then PCA, the best linear model in closed form, then what was
    trained; a column for each m (the paper's figure of synthetic data). One colour scale a row.

    Arguments:
        result: of the study bows, on synthetic features; it sweeps m.
        select: `structure="sphere"`, or lists that restrict m, activation or weight_decay.

    Returns a Figure. Raises ValueError where W is not stored or m is not swept.

    Example:
        gram(result, activation=["relu"]).savefig("gram.png")
    """
    return _draw(gram_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    models = table[table["row"] != DATA]
    rows, ms = models["row"].unique().tolist(), models["m"].unique().tolist()
    size = 0.92
    width = max(6.8, size * (len(ms) + 1) + 1.6)
    title = "Overlaps of features: W\u1d40W / |W|² of trained models"
    setting, caption = table.attrs["setting"], _caption(table)
    figure = look.page(width, (size + 0.27) * len(rows) + 0.2, title, setting, caption)
    grid = figure.subplots(len(rows), len(ms) + 1, squeeze=False)
    covariance = table[table["row"] == DATA]
    bound = _largest_overlap(covariance)
    _panel(grid[0, 0], covariance, Normalize(-bound, bound))
    grid[0, 0].set_title("data: covariance\n/ its trace", size=8, pad=3)
    for empty in grid[1:, 0]:
        empty.set_visible(False)
    for line, row in zip(grid, rows, strict=True):
        own = models[models["row"] == row]
        bound = _largest_overlap(own)
        norm = Normalize(-bound, bound)
        for panel, m in zip(line[1:], ms, strict=True):
            entries = own[own["m"] == m]
            _panel(panel, entries, norm)
            words = f"m = {m}" if row == rows[0] else ""
            scores = entries[["cyclic", "antipodality"]].iloc[0]
            if np.isfinite(scores["cyclic"]):
                words += f"\n{scores['cyclic']:.2f}   {scores['antipodality']:.2f}"
            elif np.isfinite(scores["antipodality"]):
                words += f"\n–   {scores['antipodality']:.2f}"
            panel.set_title(words.strip("\n"), size=7.5, pad=3, color=SOFT)
        line[1].set_ylabel(row, size=8.5)
        bar = figure.colorbar(ScalarMappable(norm, "RdBu_r"), ax=line.tolist(), pad=0.01, aspect=10)
        bar.ax.tick_params(labelsize=7, length=2, width=0.5, color=SOFT)
        bar.outline.set_visible(False)
        bar.set_ticks([-bound, 0.0, bound], labels=[f"{-bound:.2f}", "0", f"{bound:.2f}"])
    return figure


def _largest_overlap(entries: pd.DataFrame) -> float:
    """The largest entry off the diagonal, up to which colours go; tiny if there is none."""
    off = entries.loc[entries["i"] != entries["j"], "value"].abs()
    return max(float(off.max()), 1e-6) if off.notna().any() else 1.0


def _panel(axes: Axes, entries: pd.DataFrame, norm: Normalize) -> None:
    d = int(entries["i"].max()) + 1
    matrix = entries["value"].to_numpy().reshape(d, d)
    axes.imshow(np.ma.masked_invalid(matrix), norm=norm, cmap="RdBu_r")
    axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set(color=look.GRID, linewidth=0.6)


def _caption(table: pd.DataFrame) -> list[str]:
    ring, d = table["cyclic"].notna().any(), int(table["i"].max()) + 1
    return [
        "Rows and columns: features. Each matrix is divided by its trace: on average the diagonal"
        f" is 1/d = {1 / d:.3f}. Colours go up to the largest overlap of the row.",
        "Above a panel: correlation with the ring cos(2\u03c0(i - j)/d), a dash without overlaps;"
        " share of features with an antipode (cosine below -0.8)."
        if ring
        else "",
        "PCA: best linear model.",
        "One seed.",
    ]


GRAM = FigureSpec(
    "gram", gram_table, _draw, "overlaps of features over m, weight decay and activation",
    applies, NEEDS, arrays={"W": 0}, story=features_story,
)  # fmt: skip
