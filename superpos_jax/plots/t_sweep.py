"""Train and test loss against data-set size, one line a hidden dimension."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator

from . import _style as look
from ._select import Result, dead, missing, narrow, runs, tidy, unfinished
from ._spec import FigureSpec
from ._style import DEAD, INK, SOFT, squash, unsquash

QUARTILES_FROM = 8
CROSS: Any = {"ls": "none", "marker": "X", "ms": 5, "color": DEAD, "mec": SOFT, "mew": 0.5}


def applies(dataset: xr.Dataset) -> str | None:
    """None if losses can be drawn against T, else why not."""
    return missing(dataset, "t_sweep", ("train_loss", "test_loss"), ("T",))


def t_sweep_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `t_sweep`: one row a (m, T, split), seeds summarised.

    Columns: m, T, split ("train" or "test"), runs, died, unfinished (seeds still training: their
    losses are those so far), median, mean, min, q25, q75, max over the surviving seeds (NaN where
    none), and the value of every other swept axis. Losses are in units where the zero predictor
    scores 1.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    dataset, taken = narrow(result.dataset, ("m", "T"), select)
    died, training = dead(dataset, ("m", "T")), unfinished(dataset, ("m", "T"))
    rows = []
    for split in ("test", "train"):
        loss = runs(dataset[f"{split}_loss"], ("m", "T"))
        for i, m in enumerate(dataset["m"].values):
            for j, T in enumerate(dataset["T"].values):
                alive = loss[i, j][~died[i, j] & np.isfinite(loss[i, j])].astype(float)
                row = {"m": m, "T": T, "split": split}
                row |= {"runs": died.shape[2], "died": int(died[i, j].sum())}
                row |= {"unfinished": int(training[i, j].sum())}
                points = np.percentile(alive, [0, 25, 50, 75, 100]) if len(alive) else [np.nan] * 5
                row |= dict(zip(("min", "q25", "median", "q75", "max"), points, strict=True))
                rows.append(row | {"mean": alive.mean() if len(alive) else np.nan})
    return tidy(result, pd.DataFrame(rows), taken)


def t_sweep(result: Result, **select: Any) -> Figure:
    """Train and test loss against T, a line per m (figure P3, top, of the study).

    Lines are medians over seeds; bands reach from the smallest to the largest seed, or over the
    middle half of them from 8 seeds on. The test loss is drawn on the scale
    asinh((loss - 1) / 0.01), linear within 1 % of the zero predictor and logarithmic beyond.

    Arguments:
        result: a result that sweeps T, and m or not; seed axes are pooled.
        select: values of other swept axes (`lr=3e-3`; the first by default), or lists that
            restrict T, m or a seed axis.

    Returns a Figure. Raises ValueError if T is not swept.

    Example:
        t_sweep(result, m=[2, 4]).savefig("t_sweep.png")
    """
    return _draw(t_sweep_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    ms = np.sort(table["m"].unique())
    colours = look.shades(len(ms)) if len(ms) > 1 else [INK]
    title = "Train and test loss against data-set size T"
    body = max(4.7, 0.195 * len(ms) + 1.0)
    figure = look.page(7.6, body, title, table.attrs["setting"], _caption(table), key="side")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    low, high = _span(table)
    top.set_yscale("function", functions=(squash, unsquash))
    for axes, split in ((top, "test"), (bottom, "train")):
        look.dress(axes, grid="y")
        axes.axhline(1.0, color=SOFT, lw=1.0, ls=(0, (4, 3)), zorder=1, gid="zero-predictor")
        for m, colour in zip(ms, colours, strict=True):
            rows = table[(table["m"] == m) & (table["split"] == split)].sort_values("T")
            _line(axes, rows, colour, f"m={m:g}")
        axes.set_ylabel(f"{split} loss")
    top.set_ylim(*unsquash(_padded(squash(low), squash(high))))
    ticks = look.loss_ticks(low, high, count=13)
    top.set_yticks(ticks, labels=[look.tick_text(t) for t in ticks])
    top.yaxis.set_minor_locator(NullLocator())
    train = table.loc[table["split"] == "train", ["min", "max"]].max().max()
    bottom.set_ylim(-0.04, max(1.08, 1.05 * train) if np.isfinite(train) else 1.08)
    T = np.sort(table["T"].unique())
    bottom.set(xscale="log", xlabel="training samples T")
    look.log_ticks(bottom.xaxis, T, 5.4)
    _dead(top, table)
    _legend(figure, table, ms, colours)
    figure.align_ylabels()
    return figure


def _band(table: pd.DataFrame) -> tuple[str, str] | None:
    count = int(table["runs"].max())
    return None if count < 2 else ("q25", "q75") if count >= QUARTILES_FROM else ("min", "max")


def _line(axes: Axes, rows: pd.DataFrame, colour: str, name: str) -> None:
    T = rows["T"].to_numpy(float)
    if (band := _band(rows)) is not None:
        axes.fill_between(T, rows[band[0]], rows[band[1]], color=colour, alpha=0.16, lw=0)
    axes.plot(T, rows["median"], color=colour, lw=1.5, marker="o", ms=2.8, label=name)


def _span(table: pd.DataFrame) -> tuple[float, float]:
    """Smallest and largest test loss drawn, always with 1 inside."""
    shown = ["median", *(_band(table) or ())]
    losses = table.loc[table["split"] == "test", shown].to_numpy(float)
    losses = np.append(losses[np.isfinite(losses)], [0.998, 1.002])
    return float(losses.min()), float(losses.max())


def _padded(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return np.array([low - 0.06 * (high - low), high + 0.06 * (high - low)])


def _dead(axes: Axes, table: pd.DataFrame) -> None:
    """A grey cross at the foot of every T at which a run died."""
    T = table.loc[(table["died"] > 0) & (table["split"] == "test"), "T"].unique()
    if len(T):
        foot = np.full(len(T), 0.03)
        axes.plot(T, foot, transform=axes.get_xaxis_transform(), gid="died", **CROSS)


def _legend(figure: Figure, table: pd.DataFrame, ms: np.ndarray, colours: list[str]) -> None:
    lines: list[Line2D | Patch] = [
        Line2D([], [], color=colour, lw=1.5, marker="o", ms=2.8, label=f"m = {m:g}")
        for m, colour in zip(ms[::-1], colours[::-1], strict=True)
    ]
    if (band := _band(table)) is not None:
        label = "all seeds" if band[0] == "min" else "middle half\nof the seeds"
        lines.append(Patch(color=INK, alpha=0.16, lw=0, label=label))
    lines.append(Line2D([], [], color=SOFT, lw=1.0, ls=(0, (4, 3)), label="predicting zero"))
    if (table["died"] > 0).any():
        lines.append(Line2D([], [], label="a seed died", **CROSS))
    look.page_key(figure, lines)


def _caption(table: pd.DataFrame) -> str:
    count = int(table["runs"].max())
    text = "One seed." if count == 1 else f"Lines: median of {count} seeds. "
    if (band := _band(table)) is not None:
        wide = (
            "from the smallest to the largest seed" if band[0] == "min" else "middle half of them"
        )
        text += f"Bands: {wide}."
    text += (
        " Where the train loss is near 0 the model memorizes. The test loss peaks where memorizing"
        " gives out, and falls below 1, the score of predicting zero, where the model generalizes."
        " The test-loss axis is linear within 1 % of 1 and logarithmic beyond."
    )
    died, training = table.loc[table["split"] == "test", ["died", "unfinished"]].sum()
    if training:
        text += f" {look.count(training, 'run')} not trained to the end: losses so far."
    return text + (f" {look.count(died, 'run')} became non-finite: left out." if died else "")


T_SWEEP = FigureSpec(
    "t_sweep", t_sweep, t_sweep_table, "train and test loss against T, a line per m", applies
)
