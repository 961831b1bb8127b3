"""Figures that are panels of lines over the learning rate: which numbers, split how, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import offset_copy

from superpos_jax.drawing import style as look
from superpos_jax.drawing.curves import line_looks
from superpos_jax.drawing.lines import seed_words
from superpos_jax.drawing.select import Result
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.studies.large_lr.figures import over_lr

MOST = 5
"""Panels beside each other."""
BELOW = 58
"""Points from a panel to its ranges: room for the labels of its x axis."""


@dataclass(frozen=True)
class Panels:
    """One figure of this kind.

    Attributes:
        name, title, summary: of the figure.
        quantities: numbers of a result, and what the legend or the panel calls them.
        split: axes by which it is split, the first one that is swept; otherwise any other one.
        panel_of: whether a panel is a value of that axis, its lines the numbers; else the other way
            round.
        needs_split: whether it needs such an axis.
        ylabel: of the panels whose lines are numbers.
        xlabel: of all.
        limits: of the y axis that panels share.
        says: `says(table)` returns sentences of the caption.
        change: `change(table)` returns what is drawn instead, row by row.
    """

    name: str
    title: str
    summary: str
    quantities: Mapping[str, str]
    split: tuple[str, ...] = ()
    panel_of: bool = True
    needs_split: bool = False
    ylabel: str = "accuracy"
    xlabel: str = "learning rate"
    limits: tuple[float, float] | None = None
    says: Callable[[pd.DataFrame], list[str]] = lambda table: []
    change: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table

    def applies(self, dataset: xr.Dataset) -> str | None:
        """None if the figure can be drawn of a result, else why not."""
        if reason := over_lr.lacks(dataset, self.name, tuple(self.quantities)):
            return reason
        if self.needs_split and not self.axis(dataset):
            return f"{self.name} needs a swept axis {' or '.join(self.split)}"
        return None

    def axis(self, dataset: xr.Dataset) -> str | None:
        """The axis by which a result is split."""
        axis = over_lr.split_axis(dataset, self.split)
        return None if self.needs_split and axis not in self.split else axis

    def table(self, result: Result, **select: Any) -> pd.DataFrame:
        """The numbers that are drawn, seeds summarised; see `over_lr.over_lr`."""
        if (reason := self.applies(result.dataset)) is not None:
            raise ValueError(reason)
        by = self.axis(result.dataset)
        table = self.change(over_lr.over_lr(result, tuple(self.quantities), by, select))
        if by is not None:
            values = np.array(table[by].unique().tolist())
            table.attrs["texts"] = over_lr.captions_of(result, by, values)
        return table

    def draw(self, table: pd.DataFrame) -> Figure:
        """Draw its table."""
        return _draw(self, table)

    def spec(self) -> FigureSpec:
        """The figure as the study lists it."""
        return FigureSpec(
            self.name, self.table, self.draw, self.summary, self.applies, over_lr.NEEDS
        )


@look.style
def _draw(panels: Panels, table: pd.DataFrame) -> Figure:
    by = table.attrs["by"]
    values = table[by].unique().tolist() if by else [None]
    texts = dict(zip(values, table.attrs.get("texts", [""]), strict=True))
    table = table[table["quantity"].map(lambda name: name in _measured(table))]
    names = [name for name in panels.quantities if name in set(table["quantity"])]
    columns = values if panels.panel_of else names
    lines = names if panels.panel_of else values
    words = panels.quantities if panels.panel_of else texts
    looks = dict(zip(lines, line_looks(np.array(lines)), strict=True))
    across = min(MOST, len(columns))
    down = -(-len(columns) // across)
    labels = [words[line] for line in lines if line is not None]
    room = look.side_room([*labels, "a seed did not reach"])
    width = max(5.6, 1.0 + 2.5 * across) + room
    setting = table.attrs["setting"]
    caption = [seed_words(table), over_lr.lost_words(table), *panels.says(table)]
    body = (2.9 + (0.9 if "low" in table else 0.0)) * down
    figure = look.page(width, body, panels.title, setting, caption, key="side", room=room)
    grid = figure.subplots(down, across, squeeze=False, sharey=panels.panel_of)
    limited = False
    for panel, column in zip(grid.flat, columns, strict=False):
        look.dress(panel, grid="y")
        for line in lines:
            quantity, value = (line, column) if panels.panel_of else (column, line)
            rows = table[table["quantity"] == quantity]
            rows = rows[rows[by] == value] if by else rows
            over_lr.draw_line(panel, rows, gid=f"line:{line}", **looks[line])
        whole = table[table[by] == column] if panels.panel_of and by else table
        limited |= over_lr.finish(panel, whole, (width - room - 1.0) / across - 0.3)
        panel.set_title(texts[column] if panels.panel_of else panels.quantities[column])
        panel.set_xlabel(panels.xlabel)
        if "low" in whole:
            _ranges(panel, whole, looks)
    for panel in grid.flat[len(columns) :]:
        panel.set_visible(False)
    if panels.panel_of:
        for panel in grid[:, 0]:
            panel.set_ylabel(panels.ylabel)
        if panels.limits:
            grid[0, 0].set_ylim(*panels.limits)
    keys: list[Artist] = [
        Line2D([], [], label=words[line], **{"lw": 1.5, "marker": "o", "ms": 2.8, **looks[line]})
        for line in lines
        if line is not None
    ]
    look.page_key(figure, [*keys, *over_lr.keys_of(table, limited)])
    return figure


def _ranges(panel: Axes, rows: pd.DataFrame, looks: Mapping[str, dict[str, Any]]) -> None:
    """The range of every number of a panel, below it."""
    ends = rows.drop_duplicates("quantity").set_index("quantity")[["low", "high"]].dropna()
    keys = [
        Line2D([], [], lw=1.5, ms=2.8, label=f"{low:.2f} to {high:.2f}", **looks[str(name)])
        for name, (low, high) in ends.iterrows()
    ]
    figure = panel.get_figure(root=True)
    below = offset_copy(panel.transAxes, figure, y=-BELOW, units="points")
    where: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.0)}
    where |= {"bbox_transform": below, "columnspacing": 1.0, "handlelength": 1.5}
    panel.legend(handles=keys, ncols=2, fontsize=7.5, borderaxespad=0.0, **where)


def _measured(table: pd.DataFrame) -> set[str]:
    """Numbers that some cell has."""
    return {str(name) for name, rows in table.groupby("quantity") if rows["median"].notna().any()}
