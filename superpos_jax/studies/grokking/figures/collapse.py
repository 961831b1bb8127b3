"""Collapse along training: how many samples have lost their loss, and what becomes of the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from superpos_jax.drawing import style as look
from superpos_jax.drawing.curves import line_looks
from superpos_jax.drawing.lines import seed_key, seed_words
from superpos_jax.drawing.select import Result
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.studies.grokking.figures import along

QUANTITIES = {
    "train_collapsed": "share of samples collapsed",
    "train_loss": "train loss",
    "gradient_cosine_out": "cosine of output weights and −gradient",
    "test_accuracy": "test accuracy",
}


def applies(dataset: xr.Dataset) -> str | None:
    """None if collapse was recorded, else why not."""
    return along.lacks(dataset, "collapse", tuple(QUANTITIES))


def collapse_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `collapse`, as `along.along` has them; the axis of the panels has one value.

    Quantities: train_collapsed (of training samples, the share whose softmax sum is 1 at the bits
    of the cell), train_loss, gradient_cosine_out (of the output weights with the negative
    gradient), test_accuracy.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    panels, lines = along.split(result.dataset, select)
    if lines is None:
        panels, lines = None, panels
    elif panels is not None and panels not in select:
        select[panels] = along.shown(result.dataset, panels)
    return along.along(result, tuple(QUANTITIES), None, lines, select)


def collapse(result: Result, **select: Any) -> Figure:
    """Softmax collapse along training, a line for each precision or arm (figure 2 of the paper).

    A sample has collapsed where the sum of its softmax is 1 at the precision of its loss: its loss
    is 0, and so is its gradient at the right class. Lines are medians over seeds, bands as in
    `accuracy`. After Prieto et al., "Grokking at the Edge of Numerical Stability" (ICLR 2025).

    Arguments:
        result: of the study grokking.
        select: values of other swept axes (by default the largest fraction, the first value of
            others), or lists.

    Returns a Figure. Raises ValueError where collapse was not recorded.

    Example:
        collapse(result, fraction=0.7).savefig("collapse.png")
    """
    return _draw(collapse_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    lines, texts = table.attrs["lines"]
    room = look.side_room([*texts.values(), table.attrs["lines_name"]])
    title = "Softmax collapse along training"
    setting = table.attrs["setting"]
    figure = look.page(6.4 + room, 4.7, title, setting, _caption(table), key="side", room=room)
    grid = figure.subplots(2, 2, sharex=True)
    looks = line_looks(np.array(list(texts))) if texts else [{"color": look.VERMILLION}]
    for panel, (quantity, words) in zip(grid.flat, QUANTITIES.items(), strict=True):
        look.dress(panel, grid="y")
        along.steps(panel, table)
        part = table[table["quantity"] == quantity]
        widths = np.linspace(2.6, 1.2, len(looks))  # one line may lie on another
        for value, how, width in zip(texts or [None], looks, widths, strict=True):
            along.line(panel, along.where(part, lines, value), color=how["color"], lw=width)
        panel.set_title(words, loc="left")
        if quantity == "train_loss":
            panel.set_yscale("log")
            # A loss of 0 has no place there: it is at the foot, and leaves the axis to the others.
            positive = part.loc[part["median"] > 0, "median"]
            panel.set_ylim(max(positive.min(), 1e-36) / 3, positive.max() * 3)
        else:
            panel.set_ylim(-0.44 if "cosine" in quantity else -0.04, 1.04)
    for panel in grid[1]:
        panel.set_xlabel("training step")
    keys = along.line_keys(table, looks) if texts else []
    look.page_key(figure, [*keys, *seed_key(table)])
    return figure


def _caption(table: pd.DataFrame) -> list[str]:
    lines, texts = table.attrs["lines"]
    gone = table[table["quantity"] == "train_collapsed"]
    parts = []
    for value, text in (texts or {None: ""}).items():
        rows = along.where(gone, lines, value)
        half = rows.loc[rows["median"] >= 0.5, "step"]
        when = f"step {int(half.min()):,}" if len(half) else "never"
        parts.append(f"{text} {when}".strip())
    return [
        seed_words(table),
        "Collapsed: the softmax sum is 1 at the bits of the loss, and the loss 0.",
        f"Half of the samples have collapsed, by the median: {'; '.join(parts)}.",
    ]


COLLAPSE = FigureSpec(
    "collapse",
    collapse_table,
    _draw,
    "softmax collapse, loss and alignment along training",
    applies,
)
