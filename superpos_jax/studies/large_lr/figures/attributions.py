"""What a network looks at on two digits, at a low and at a high learning rate (F6)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from superpos_jax.drawing import style as look
from superpos_jax.drawing.lines import seed_words
from superpos_jax.drawing.select import Result
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.results.runs import axes as axes_of
from superpos_jax.results.runs import values_of
from superpos_jax.studies.large_lr.figures import over_lr
from superpos_jax.studies.large_lr.report import mapped
from superpos_jax.text import seed_axes, written

SHARES = {"core_use": "the core, left digit", "cue_use": "the cue, right digit"}
SIDE = 8
"""Pixels of a side of a digit."""


def applies(dataset: xr.Dataset) -> str | None:
    """None if the figure can be drawn of a result, else why not."""
    if reason := over_lr.lacks(dataset, "attributions", (*SHARES, "attribution")):
        return reason
    tasks = values_of(dataset, "task")
    pairs = tasks in (["double_digits"], [4])
    return None if pairs else "attributions needs task = double_digits"


def attributions_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `attributions`.

    Rows with part "share": what `over_lr` gives of core_use and cue_use, by the axis beside lr.
    Rows with part "pixel": row, column, image (the input), low and high: the attributions of the
    true label at the lowest and the highest learning rate (low_lr, high_lr) at which all seeds
    converged, of the first conflicting test sample of the first seed and the first value of that
    axis.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    dataset = result.dataset
    by = over_lr.split_axis(dataset)
    shares = over_lr.over_lr(result, tuple(SHARES), by, select)
    point = {axis: dataset[axis].values[0].item() for axis in axes_of(dataset)}
    point |= {
        name: value for name, value in select.items() if name in point and np.ndim(value) == 0
    }
    point |= {axis: dataset[axis].values[0].item() for axis in seed_axes(axes_of(dataset))}
    own = shares if by is None else shares[shares[by] == point[by]]
    late = own.groupby("lr")["unconverged"].max()
    rates = [lr for lr in late.index if lr <= own["limit"].max()]
    fitted = [lr for lr in rates if late[lr] == 0] or rates
    low, high = fitted[0], fitted[-1]
    point["lr"] = low
    cell = result.trained_cell(**point)
    study = result.grid.study  # type: ignore[attr-defined]
    test = study.load(study.datasets(replace(cell))["test"])
    first = int(mapped(test)[0])
    maps = {
        name: np.asarray(result.cell(**{**point, "lr": lr})["attribution"])[0, : 2 * SIDE**2]
        for name, lr in (("low", low), ("high", high))
    }
    place = np.arange(2 * SIDE**2)
    digit, row, column = place // SIDE**2, place // SIDE % SIDE, place % SIDE
    pixels = pd.DataFrame({"part": "pixel", "row": row, "column": column + SIDE * digit})
    pixels = pixels.assign(image=test.x[first], **maps, low_lr=low, high_lr=high)
    pixels = pixels.assign(label=int(test.y[first]), cue=int(test.s[first]))
    table = pd.concat([shares.assign(part="share"), pixels], ignore_index=True)
    table.attrs = dict(shares.attrs)
    if by is not None:
        values = np.array(shares[by].unique().tolist())
        table.attrs["texts"] = over_lr.captions_of(result, by, values)
    return table


def attributions(result: Result, **select: Any) -> Figure:
    """Attribution maps of one pair of digits, and how much of the attribution lies on each digit.

    Arguments:
        result: of the study large_lr, task double_digits; seeds are pooled.
        select: values of other swept axes, or lists that restrict one.

    Returns a Figure. Raises ValueError for another task.

    Example:
        attributions(result).savefig("attributions.png")
    """
    return _draw(attributions_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    shares, pixels = (table[table["part"] == part] for part in ("share", "pixel"))
    by = table.attrs["by"]
    values = shares[by].unique().tolist() if by else [None]
    texts = table.attrs.get("texts", [""])
    colours = dict(zip(values, look.PALETTE, strict=False))
    title = "What a network looks at, by learning rate"
    room = look.side_room([*texts, "a seed did not reach"])
    setting, caption = table.attrs["setting"], _caption(table)
    figure = look.page(10.4, 3.9, title, setting, caption, key="side", room=room)
    grid = figure.add_gridspec(3, 3, width_ratios=[1.3, 2, 2])
    low, high = (written(float(pixels[name].iloc[0])) for name in ("low_lr", "high_lr"))
    words = {"image": "image", "low": f"learning rate {low}", "high": f"learning rate {high}"}
    for line, (name, word) in enumerate(words.items()):
        panel = figure.add_subplot(grid[line, 0])
        image = pixels.pivot(index="row", columns="column", values=name).to_numpy()
        if name == "image":
            panel.imshow(image, cmap="gray_r", vmin=0, vmax=1)
        else:
            most = float(np.abs(image).max()) or 1.0
            panel.imshow(image, cmap="RdBu_r", vmin=-most, vmax=most)
        panel.axvline(SIDE - 0.5, color=look.SOFT, lw=0.8)
        panel.set(xticks=[], yticks=[])
        panel.set_title(word, size=8.5, pad=3)
    limited = False
    for column, (name, word) in enumerate(SHARES.items(), start=1):
        panel = figure.add_subplot(grid[:, column])
        look.dress(panel, grid="y")
        rows = shares[shares["quantity"] == name]
        for value in values:
            own = rows[rows[by] == value] if by else rows
            over_lr.draw_line(panel, own, color=colours[value])
        limited |= over_lr.finish(panel, rows, 2.6)
        panel.set(xlabel="learning rate", title=f"attribution on {word}")
    keys = [
        Line2D([], [], color=colour, lw=1.5, marker="o", ms=2.8, label=text.replace("_", " "))
        for colour, text in zip(colours.values(), texts, strict=False)
        if text
    ]
    look.page_key(figure, [*keys, *over_lr.keys_of(shares, limited)])
    return figure


def _caption(table: pd.DataFrame) -> list[str]:
    shares, pixels = (table[table["part"] == part] for part in ("share", "pixel"))
    first = pixels.iloc[0]
    return [
        seed_words(shares),
        f"Maps: integrated gradients of the logit of the true label {first['label']:.0f}, the left"
        f" digit, of one test image whose cue speaks for {first['cue']:.0f}; first seed; red raises"
        " it, blue lowers it.",
        over_lr.lost_words(shares),
    ]


ATTRIBUTIONS = FigureSpec(
    "attributions",
    attributions_table,
    _draw,
    "attribution maps of a pair of digits, and the share on each digit by learning rate",
    applies,
    over_lr.NEEDS,
    arrays={"attribution": 0},
)
