"""Learning rates at which a network is both more robust and more compressible (F3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from superpos_jax.drawing import heatmap
from superpos_jax.drawing import style as look
from superpos_jax.drawing.select import Result
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.drawing.style import INK
from superpos_jax.studies.large_lr.figures import over_lr
from superpos_jax.text import written

SHOWN = {
    "unbiased_accuracy": "unbiased accuracy",
    "compressibility": "compressibility Comp(0.1)",
}
MARGIN = 0.05
"""Both numbers are that much above their values at the lowest converged rate."""
SPLIT = ("rho", "noise", "width", "amp", "arm")


def applies(dataset: xr.Dataset) -> str | None:
    """None if the figure can be drawn of a result, else why not."""
    if reason := over_lr.lacks(dataset, "joint", tuple(SHOWN)):
        return reason
    return None if over_lr.split_axis(dataset, SPLIT) else "joint needs a swept axis beside lr"


def joint_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `joint`: one row per value of the second axis, learning rate and number.

    Columns as in `over_lr`, and `joint`: whether the medians of unbiased accuracy and of
    compressibility both lie 0.05 above those at the lowest learning rate whose seeds all converged,
    and at most a quarter of the seeds died.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    by = over_lr.split_axis(result.dataset, SPLIT)
    assert by is not None
    table = over_lr.over_lr(result, tuple(SHOWN), by, select)
    both = {(value, lr) for value, rows in table.groupby(by) for lr in joint_rates(rows, [*SHOWN])}
    table["joint"] = [(row[by], row["lr"]) in both for _, row in table.iterrows()]
    values = np.array(table[by].unique().tolist())
    table.attrs["texts"] = over_lr.captions_of(result, by, values)
    return table


def joint_rates(rows: pd.DataFrame, names: Sequence[str]) -> list[float]:
    """Learning rates at which the medians of all numbers lie a margin above the lowest rate's.

    Rates beyond the stability limit, at which more than a quarter of the seeds died, do not count.
    """
    wide = rows.pivot(index="lr", columns="quantity", values="median")
    late = rows.groupby("lr")["unconverged"].max()
    base = [lr for lr in wide.index if late[lr] == 0 and wide.loc[lr].notna().all()]
    if not base:
        return []
    higher = wide[list(names)] >= wide.loc[base[0], list(names)] + MARGIN
    died, seeds = (rows.groupby("lr")[column].max() for column in ("died", "runs"))
    stable = died <= over_lr.UNSTABLE * seeds
    return [float(lr) for lr in wide.index[higher.all(axis=1) & stable]]


def joint(result: Result, **select: Any) -> Figure:
    """Unbiased accuracy and compressibility over the learning rate and a second axis.

    Framed: cells in which both medians lie 0.05 above those of the lowest converged learning rate
    of their row, and at most a quarter of the seeds died.

    Arguments:
        result: of the study large_lr, with rho or another axis swept beside lr; seeds are pooled.
        select: values of other swept axes, or lists that restrict one.

    Returns a Figure. Raises ValueError if lr or a second axis is not swept.

    Example:
        joint(result).savefig("joint.png")
    """
    return _draw(joint_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    by = table.attrs["by"]
    values, rates = table[by].unique().tolist(), np.sort(table["lr"].unique())
    x, y = np.arange(len(rates) + 1) - 0.5, np.arange(len(values) + 1) - 0.5
    body = 1.3 + 0.42 * len(values)
    title = "Where large learning rates give robustness and compressibility at once"
    figure = look.page(10.6, body, title, table.attrs["setting"], _caption(table), key="top")
    panels = figure.subplots(1, 2, sharey=True)
    cmap = matplotlib.colormaps["viridis"]
    for panel, (name, words) in zip(panels, SHOWN.items(), strict=True):
        rows = table[table["quantity"] == name]
        median = rows.pivot(index=by, columns="lr", values="median").reindex(values).to_numpy()
        low, high = np.nanmin(median), np.nanmax(median)
        span = high - low if high > low else 1.0
        colour = cmap((median - low) / span)[..., :3]
        colour[np.isnan(median)] = matplotlib.colors.to_rgb(look.DEAD)
        look.dress(panel)
        panel.set(xlabel="learning rate", title=words)
        panel.pcolormesh(x, y, colour)
        heatmap.numbers(panel, x, y, median, colour, (4.4, body - 0.9), "{:.2f}".format)
        counts = {
            column: rows.pivot(index=by, columns="lr", values=column).reindex(values).to_numpy()
            for column in ("died", "unfinished")
        }
        marks = heatmap.marks(panel, x, y, median, **counts)
        frames = rows.pivot(index=by, columns="lr", values="joint").reindex(values).to_numpy(bool)
        for i, j in np.argwhere(frames):
            size = x[j + 1] - x[j], 1.0
            panel.add_patch(Rectangle((x[j], y[i]), *size, fill=False, ec="white", lw=2.4))
            panel.add_patch(Rectangle((x[j], y[i]), *size, fill=False, ec=INK, lw=1.1))
        panel.set_xticks(range(len(rates)), labels=[f"{rate:g}" for rate in rates])
        panel.set_yticks(range(len(values)), labels=table.attrs["texts"])
    framed = Line2D([], [], ls="none", marker="s", mfc="none", mec=INK, ms=9)
    framed.set_label(f"both {MARGIN:g} above the lowest rate, and ≤ ¼ of the seeds died")
    look.page_key(figure, [framed, *marks])
    return figure


def _caption(table: pd.DataFrame) -> list[str]:
    by = table.attrs["by"]
    words = []
    rows = table[table["quantity"] == "compressibility"]
    for text, (_, own) in zip(table.attrs["texts"], rows.groupby(by, sort=False), strict=True):
        rates = own.loc[own["joint"], "lr"]
        span = f"{written(rates.min())} to {written(rates.max())}" if len(rates) else "nowhere"
        words.append(f"{text}: {span}")
    seeds = int(table["runs"].max())
    return [
        f"Medians of {seeds} seeds. Both at once: {'; '.join(words)}.",
        "Compared with the lowest rate at which all seeds reach the stop level.",
        over_lr.lost_words(table),
    ]


JOINT = FigureSpec(
    "joint",
    joint_table,
    _draw,
    "unbiased accuracy and compressibility over the learning rate and a second axis",
    applies,
    over_lr.NEEDS,
)
