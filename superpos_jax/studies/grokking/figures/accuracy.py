"""Train and test accuracy along training: does a network generalize, and how long after its fit?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from superpos_jax.drawing import style as look
from superpos_jax.drawing.curves import line_looks
from superpos_jax.drawing.lines import seed_key, seed_words
from superpos_jax.drawing.select import Result
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.studies.grokking.figures import along

QUANTITIES = ("train_accuracy", "test_accuracy")
TOLD = 4
"""Lines of which the caption tells the end, at most; of more, the lowest and the highest."""
LOOKS: dict[str, dict[str, Any]] = {
    "train_accuracy": {"color": look.SOFT, "ls": (0, (4, 2))},
    "test_accuracy": {"color": look.VERMILLION},
}


def applies(dataset: xr.Dataset) -> str | None:
    """None if accuracies were recorded, else why not."""
    return along.lacks(dataset, "accuracy", QUANTITIES)


def accuracy_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `accuracy`, as `along.along` has them; quantity is train or test accuracy."""
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    panels, lines = along.split(result.dataset, select)
    return along.along(result, QUANTITIES, panels, lines, select)


def accuracy(result: Result, **select: Any) -> Figure:
    """Accuracy along training, a panel for each value of an axis (figures 1 and 2 of the paper).

    Solid lines are test accuracy, dashed ones train accuracy: medians over seeds, with bands from
    the smallest to the largest, or of the middle half from 8 seeds on. After Prieto et al.,
    "Grokking at the Edge of Numerical Stability" (ICLR 2025).

    Arguments:
        result: of the study grokking. One swept axis makes panels; of two the other makes lines.
        select: values of other swept axes (`lr=1e-2`; the first by default), or lists.

    Returns a Figure. Raises ValueError where accuracies were not recorded.

    Example:
        accuracy(result, arm=["ce", "perp"]).savefig("accuracy.png")
    """
    return _draw(accuracy_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    (axis, _), (lines, texts) = table.attrs["panels"], table.attrs["lines"]
    headings = along.headings(table) or {None: ""}
    rows, columns = along.frame(len(headings))
    room = look.side_room([*texts.values(), "train accuracy"])
    width = max(2.7 * columns, 4.6) + room
    title = "Accuracy along training"
    body = 2.15 * rows + 0.35
    figure = look.page(
        width, body, title, table.attrs["setting"], _caption(table), key="side", room=room
    )
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    looks = line_looks(np.array(list(texts))) if texts else []
    for panel, (value, heading) in zip(grid.flat, headings.items(), strict=False):
        part = along.where(table, axis, value)
        _panel(panel, part, table, dict(zip(texts, looks, strict=True)))
        panel.set_title(heading, loc="left", weight="bold")
    for panel in list(grid.flat)[len(headings) :]:
        panel.set_visible(False)
    for column in range(columns):
        below = [panel for panel in grid[:, column] if panel.get_visible()][-1]
        below.set_xlabel("training step")
        below.tick_params(labelbottom=True)
    for panel in grid[:, 0]:
        panel.set_ylabel("accuracy")
    look.page_key(figure, _keys(table, lines, looks))
    return figure


def _panel(panel: Axes, part: pd.DataFrame, table: pd.DataFrame, looks: dict[Any, Any]) -> None:
    look.dress(panel, grid="y")
    along.steps(panel, table)
    panel.set_ylim(-0.04, 1.04)
    lines, _ = table.attrs["lines"]
    for quantity, how in LOOKS.items():
        rows = part[part["quantity"] == quantity]
        if lines is None:
            along.line(panel, rows, **how)
        widths = np.linspace(2.6, 1.2, len(looks))  # one line may lie on another
        for (value, own), width in zip(looks.items(), widths, strict=True):
            is_test = quantity == "test_accuracy"
            kind = {"lw": width} if is_test else {"ls": how["ls"], "lw": width / 2}
            along.line(
                panel,
                rows[rows[lines] == value],
                shade=0.16 if is_test else 0,
                color=own["color"],
                **kind,
            )


def _keys(table: pd.DataFrame, lines: str | None, looks: list[dict[str, Any]]) -> list[Artist]:
    keys = along.line_keys(table, looks) if lines is not None else []
    for quantity, how in LOOKS.items():
        shown = how | ({"color": look.INK} if lines is not None else {})
        keys.append(Line2D([], [], lw=1.4, label=quantity.replace("_", " "), **shown))
    return [*keys, *seed_key(table)]


def _caption(table: pd.DataFrame) -> list[str]:
    (panels, _), (lines, texts) = table.attrs["panels"], table.attrs["lines"]
    words = {panels: along.headings(table), lines: texts}
    test = table[table["quantity"] == "test_accuracy"]
    last = test[test["step"] == test["step"].max()].sort_values("median", kind="stable")
    few = last if len(last) <= TOLD else last.iloc[[0, -1]]
    ends = []
    for _, row in few.iterrows():
        where = ", ".join(words[axis][row[axis]] for axis in (panels, lines) if axis)
        range_ = f"{row['median']:.3f} ({row['min']:.3f} to {row['max']:.3f})"
        ends.append(f"{where}: {range_}" if where else range_)
    if len(few) < len(last):
        ends = [f"lowest {ends[0]}", f"highest {ends[1]}"]
    return [
        seed_words(table) + along.lost(table),
        f"Test accuracy at step {int(test['step'].max()):,}, median (range): {'; '.join(ends)}.",
    ]


ACCURACY = FigureSpec(
    "accuracy", accuracy_table, _draw, "train and test accuracy along training", applies
)
