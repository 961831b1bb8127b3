"""Accuracy after one-shot pruning, a line per learning rate (F4)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from superpos_jax.drawing import style as look
from superpos_jax.drawing.lines import line, lost_words, seed_key, seed_words
from superpos_jax.drawing.scalars import spread
from superpos_jax.drawing.select import Result, narrow, tidy
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.results.runs import failed, runs, unfinished
from superpos_jax.studies.large_lr.figures import over_lr
from superpos_jax.studies.large_lr.pruning import SHARES
from superpos_jax.text import written

ROWS = {"pruned": "weights", "unit_pruned": "units"}
COLUMNS = {"test": "unbiased data", "validation": "data as in training"}
NAMES = {f"{row}_{column}_accuracy": (row, column) for row in ROWS for column in COLUMNS}
TOLD = 0.9
"""The share that the caption tells of."""


def applies(dataset: xr.Dataset) -> str | None:
    """None if the figure can be drawn of a result, else why not."""
    return over_lr.lacks(dataset, "pruned", tuple(NAMES))


def pruned_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `pruned`: a row for what is removed, a data set, a learning rate, a share.

    Columns: removed ("weights" or "units"), data, lr, share, runs, died, unfinished, and the
    median, min, q25, q75, max over seeds of the accuracy that is left.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    part, taken = narrow(result.dataset, ("lr",), select)
    lost, training = failed(part, ("lr",)), unfinished(part, ("lr",))
    rows = []
    for name, (row, column) in NAMES.items():
        values = runs(part[name], ("lr",)).astype(float)
        for i, lr in enumerate(part["lr"].values.tolist()):
            counts = {"runs": lost.shape[1], "died": int(lost[i].sum())}
            counts["unfinished"] = int(training[i].sum())
            for j, share in enumerate(SHARES):
                what = {"removed": ROWS[row], "data": COLUMNS[column], "lr": lr, "share": share}
                rows.append(what | counts | spread(values[i, ~lost[i], j]))
    return tidy(result, pd.DataFrame(rows), taken)


def pruned(result: Result, **select: Any) -> Figure:
    """Accuracy when the smallest weights, or the weakest units, are removed after training.

    Above: weights of the hidden layers, by magnitude. Below: units, by the norm of their incoming
    weights and bias. Left: data whose cue says nothing; right: data as in training.

    Arguments:
        result: of the study large_lr; seeds are pooled.
        select: values of other swept axes (`rho=0.95`; the first by default), or lists that
            restrict lr or a seed axis.

    Returns a Figure. Raises ValueError if lr is not swept.

    Example:
        pruned(result, rho=0.95).savefig("pruned.png")
    """
    return _draw(pruned_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    rates = np.sort(table["lr"].unique())
    colours = dict(zip(rates.tolist(), look.shades(len(rates)), strict=True))
    title = "Accuracy that is left after pruning, by learning rate"
    room = look.side_room(["middle half"])
    figure = look.page(
        8.4, 5.4, title, table.attrs["setting"], _caption(table), key="side", room=room
    )
    grid = figure.subplots(2, 2, sharex=True, sharey=True)
    for row, removed in zip(grid, ROWS.values(), strict=True):
        for panel, data in zip(row, COLUMNS.values(), strict=True):
            look.dress(panel, grid="y")
            own = table[(table["removed"] == removed) & (table["data"] == data)]
            for lr, colour in colours.items():
                line(panel, "share", own[own["lr"] == lr], color=colour, alpha=0.08)
            panel.set_title(f"{removed} removed, {data}")
    for panel in grid[1]:
        panel.set_xlabel("removed share")
    for panel in grid[:, 0]:
        panel.set_ylabel("accuracy")
    keys: list[Artist] = [Line2D([], [], ls="none", label="learning rate")]
    keys += [
        Line2D([], [], color=colour, lw=1.5, marker="o", ms=2.8, label=f"{lr:g}")
        for lr, colour in colours.items()
    ]
    look.page_key(figure, [*keys, *seed_key(table.assign(died=0))])
    return figure


def _caption(table: pd.DataFrame) -> list[str]:
    whole = table[(table["share"] == 0) & (table["removed"] == "weights")]
    cells = whole[whole["data"] == COLUMNS["test"]]
    words = []
    for removed in ROWS.values():
        own = table[(table["removed"] == removed) & (table["data"] == COLUMNS["test"])]
        left = own[(own["share"] == TOLD) & own["median"].notna()].sort_values("lr")
        if len(left):
            first, last = left.iloc[0], left.loc[left["median"].idxmax()]
            words.append(
                f"{removed}: {written(first['median'], '.2f')} at {written(first['lr'])},"
                f" at most {written(last['median'], '.2f')} at {written(last['lr'])}"
            )
    gone = cells[cells["died"] > 0].groupby("lr")["died"].sum()
    died = (
        f"They had learning rate {', '.join(written(lr) for lr in gone.index)}."
        if len(gone)
        else ""
    )
    return [
        seed_words(table),
        f"Unbiased accuracy without {TOLD:.0%} of the {'; of the '.join(words)}.",
        f"{lost_words(cells).strip()} {died}".strip(),
        "The output layer is not pruned.",
    ]


PRUNED = FigureSpec(
    "pruned",
    pruned_table,
    _draw,
    "accuracy after one-shot pruning of weights and of units, by learning rate",
    applies,
    over_lr.NEEDS,
    {f"{kind}_{part}_accuracy": 0 for kind in ("pruned", "unit_pruned") for part in COLUMNS},
)
