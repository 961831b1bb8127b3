"""Conflicting samples early in training: their share of the loss, and how sure answers are (F7)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from superpos_jax.drawing import style as look
from superpos_jax.drawing.lines import line, seed_key, seed_words
from superpos_jax.drawing.panels import step_axis
from superpos_jax.drawing.scalars import spread
from superpos_jax.drawing.select import Result, narrow, tidy
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.results.runs import failed, runs
from superpos_jax.studies.large_lr.figures import over_lr
from superpos_jax.text import written

ALONG = {
    "train_phi": "share of the loss in\nconflicting samples φ",
    "train_confidence_conflicting": "confidence on misled\nconflicting samples",
}
AT_FIT = ("phi", "confidence_conflicting", "unbiased_accuracy")
FEWEST = 2
"""Seeds that are still training, for a median along training."""


def applies(dataset: xr.Dataset) -> str | None:
    """None if the figure can be drawn of a result, else why not."""
    return over_lr.lacks(dataset, "mechanism", (*(f"history_{name}" for name in ALONG), *AT_FIT))


def mechanism_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `mechanism`.

    Rows with part "along": lr, quantity, step and the median, min, q25, q75, max over seeds that
    train at that step. Rows with part "cell": lr, run, phi and confidence_conflicting at the first
    look with a train accuracy of rho, unbiased_accuracy of the trained network, converged.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    part, taken = narrow(result.dataset, ("lr",), select)
    lost = failed(part, ("lr",))
    steps, rows = part["step"].values, []
    for name in ALONG:
        values = runs(part[f"history_{name}"], ("lr",)).astype(float)
        for i, lr in enumerate(part["lr"].values.tolist()):
            for j, step in enumerate(steps.tolist()):
                now = values[i, ~lost[i], j]
                if np.isfinite(now).sum() >= min(FEWEST, len(now)) and step > 0:
                    counts = {"runs": int(lost.shape[1]), "died": 0, "unfinished": 0}
                    rows.append(
                        {"part": "along", "lr": lr, "quantity": name, "step": step}
                        | counts
                        | spread(now)
                    )
    cells = {name: runs(part[name], ("lr",)) for name in (*AT_FIT, "converged")}
    for i, lr in enumerate(part["lr"].values.tolist()):
        for run in np.flatnonzero(~lost[i]).tolist():
            own = {name: float(values[i, run]) for name, values in cells.items()}
            rows.append({"part": "cell", "lr": lr, "run": run, **own})
    table = tidy(result, pd.DataFrame(rows), taken)
    rates = part["lr"].values.tolist()
    table.attrs["lost"] = dict(zip(rates, lost.sum(axis=1).tolist(), strict=True))
    table.attrs["seeds"] = lost.shape[1]
    return table


def mechanism(result: Result, **select: Any) -> Figure:
    """Conflicting samples along training, a line per learning rate, and what came of it.

    Left and middle: phi, the share of the train loss that lies in conflicting samples, and the mean
    largest probability of conflicting samples that are wrong; lines end where fewer than two seeds
    train. Right: phi at the first look with a
    train accuracy of rho against the unbiased accuracy in the end, one dot per cell.

    Arguments:
        result: of the study large_lr; seeds are pooled.
        select: values of other swept axes (`rho=0.95`; the first by default), or lists that
            restrict lr or a seed axis.

    Returns a Figure. Raises ValueError if lr is not swept.

    Example:
        mechanism(result, rho=0.95).savefig("mechanism.png")
    """
    return _draw(mechanism_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    along, cells = (table[table["part"] == part] for part in ("along", "cell"))
    rates = np.sort(cells["lr"].unique())
    colours = dict(zip(rates.tolist(), look.shades(len(rates)), strict=True))
    room = look.side_room(["middle half"])
    title = "Misled with confidence: what large learning rates do early in training"
    setting = table.attrs["setting"]
    figure = look.page(10.6, 3.3, title, setting, _caption(table), key="side", room=room)
    panels = figure.subplots(1, 3)
    for panel, (name, words) in zip(panels, ALONG.items(), strict=False):
        look.dress(panel, grid="y")
        for lr, colour in colours.items():
            rows = along[(along["quantity"] == name) & (along["lr"] == lr)]
            line(panel, "step", rows, color=colour, alpha=0.08, gid=f"{name}:{lr:g}")
        step_axis(panel, along["step"].min(), along["step"].max())
        panel.set(xlabel="update", ylabel=words)
    look.dress(panels[2], grid="both")
    for lr, colour in colours.items():
        rows = cells[cells["lr"] == lr]
        for late, face in ((False, colour), (True, "white")):
            own = rows[(rows["converged"] == 0) == late]
            how: dict[str, Any] = {"ls": "none", "marker": "o", "ms": 4.5, "mec": colour}
            panels[2].plot(own["phi"], own["unbiased_accuracy"], mfc=face, **how)
    panels[2].set(xlabel="φ when first fitted", ylabel="unbiased accuracy in the end")
    keys: list[Artist] = [Line2D([], [], ls="none", label="learning rate")]
    keys += [
        Line2D([], [], color=colour, lw=1.5, marker="o", ms=4, label=f"{lr:g}")
        for lr, colour in colours.items()
    ]
    if (cells["converged"] == 0).any():
        how = {"ls": "none", "marker": "o", "mfc": "white", "mec": look.SOFT}
        keys.append(Line2D([], [], label="stop level\nnot reached", **how))
    look.page_key(figure, [*keys, *seed_key(along)])
    return figure


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation of the points where both are known.

    >>> correlation(np.array([1.0, 2.0, 3.0, np.nan]), np.array([1.0, 4.0, 9.0, 0.0]))
    1.0
    """
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < 3:
        return float("nan")
    ranks = [pd.Series(values[both]).rank().to_numpy() for values in (a, b)]
    return float(np.corrcoef(*ranks)[0, 1].round(12))


def _caption(table: pd.DataFrame) -> list[str]:
    along, cells = (table[table["part"] == part] for part in ("along", "cell"))
    middle = cells.groupby("lr")["phi"].median()
    rank = correlation(cells["phi"].to_numpy(), cells["unbiased_accuracy"].to_numpy())
    lost = [
        f"{gone} of {table.attrs['seeds']} seeds at {written(lr)}"
        for lr, gone in table.attrs["lost"].items()
        if gone
    ]
    return [
        seed_words(along),
        f"Diverged, left out: {'; '.join(lost)}." if lost else "",
        "Right: a dot per cell, φ at its first fit (train accuracy ρ, of ten labels ρ - 0.05).",
        f"Median φ there: {written(middle.iloc[0], '.2f')} at {written(middle.index[0])},"
        f" {written(middle.iloc[-1], '.2f')} at {written(middle.index[-1])}; rank correlation with"
        f" the unbiased accuracy over all cells {rank:.2f}.",
    ]


MECHANISM = FigureSpec(
    "mechanism",
    mechanism_table,
    _draw,
    "share of the loss in conflicting samples along training, and the accuracy it leads to",
    applies,
    over_lr.NEEDS,
)
