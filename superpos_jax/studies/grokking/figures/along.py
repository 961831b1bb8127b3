"""What the figures of training have in common: which axes are panels and lines, and their table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from superpos_jax.drawing import select as selected
from superpos_jax.drawing.history import history_table
from superpos_jax.drawing.lines import band, lost_words
from superpos_jax.drawing.needs import missing
from superpos_jax.drawing.panels import step_axis
from superpos_jax.drawing.scalars import is_numeric, name_of, named_values, shown_axes
from superpos_jax.drawing.select import Result
from superpos_jax.results.registry import labels_of
from superpos_jax.results.runs import axes as axes_of
from superpos_jax.results.runs import fixed
from superpos_jax.text import seed_axes

PANELS, LINES = 6, 6
"""At most; of more values of an axis the first are drawn."""
ARMS = {
    "plain": "AdamW, no decay",
    "ce": "cross-entropy",
    "exact": "exact cross-entropy",
    "stablemax": "StableMax",
    "adamw": "AdamW",
    "decay": "weight decay",
    "perp": "perpGrad",
    "perp_adamw": "perpAdamW",
    "perp_sgd": "perpSGD",
    "float16": "11 bits (float16)",
    "float32": "24 bits (float32)",
    "float64": "53 bits (float64)",
    "induced": "24 bits (float32)",
}
"""What a reader calls the arms of the sweeps that come with the package."""
NAMED = ("task", "operation", "p", "fraction", "lr", "steps")
"""What the line above a figure always names, where all cells share it."""


def lacks(dataset: xr.Dataset, figure: str, quantities: Sequence[str]) -> str | None:
    """None if quantities were recorded along training, else why a figure cannot be drawn."""
    return missing(dataset, figure, ("step", *(f"history_{name}" for name in quantities)))


def split(dataset: xr.Dataset, select: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The axes of the panels and of the lines, seeds aside; None where there is none.

    Of two axes names (arms) are lines before numbers, else the bits t, else that of more values. A
    single axis makes panels. Further axes are taken at their first value.
    """
    swept = [
        axis for axis in shown_axes(dataset, select) if axis not in seed_axes(axes_of(dataset))
    ]
    if len(swept) < 2:
        return (swept[0] if swept else None), None

    def rank(axis: str) -> tuple[bool, bool, int]:
        return is_numeric(dataset, axis), axis != "t", -dataset.sizes[axis]

    lines, panels, *_ = sorted(swept, key=rank)
    return panels, lines


def along(
    result: Result,
    quantities: Sequence[str],
    panels: str | None,
    lines: str | None,
    select: Mapping[str, Any],
) -> pd.DataFrame:
    """Quantities along training, one row per step of a line, seeds summarised.

    Columns: the axes of panels and lines, quantity, step, runs, died, unfinished, mean, median,
    min, q25, q75, max, and the values of other swept axes. Attributes: `panels` and `lines`, each
    the axis and what a reader calls its values, and the setting.
    """
    dataset = result.dataset
    values = _values(dataset, panels, select, PANELS)
    frames = []
    for value in values if panels else [None]:
        chosen = {**select, **({panels: value} if panels else {})}
        if lines:
            chosen[lines] = _values(dataset, lines, select, LINES)
        for quantity in quantities:
            frame = history_table(result, quantity, by=lines or panels, **chosen)
            if len(frame):  # a network of one layer has no second one
                frames.append(frame.assign(**{panels: value}) if panels else frame)
    table = pd.concat(frames, ignore_index=True)
    first = [axis for axis in (panels, lines) if axis]
    table = table[[*first, *(column for column in table if column not in first)]]
    others = [a for a in axes_of(dataset) if a not in (*first, *seed_axes(axes_of(dataset)))]
    table = tidy(result, table, {axis: table[axis].iloc[0] for axis in others})
    for role, axis in (("panels", panels), ("lines", lines)):
        held = np.array(table[axis].unique().tolist()) if axis else np.array([])
        table.attrs[role] = axis, called(dataset, axis, held) if axis else {}
        table.attrs[f"{role}_name"] = name_of(dataset, axis) if axis else ""
    return table


def tidy(result: Result, table: pd.DataFrame, taken: Mapping[str, Any]) -> pd.DataFrame:
    """`drawing.select.tidy`, with the setting that this study names."""
    shared = fixed(result.dataset)
    names = [name for name in NAMED if name in shared]
    if shared.get("task") == "parity":
        names = [name for name in names if name not in ("operation", "p")]
    named = {name: shared[name] for name in names} | selected.unusual(result.dataset)
    named.pop("look_every", None)  # of first times alone
    table = selected.tidy(result, table, taken, named)
    if "arm" in table and (words := arms(result.dataset)):
        table.attrs["setting"] += f"; {words}"
    return table


def arms(dataset: xr.Dataset) -> str:
    """What the arms of a sweep set that set several numbers, in words; of others the name says."""
    settings = json.loads(dataset.attrs.get("sweep", "{}")).get("arms") or {}
    describe, parts = labels_of(dataset).describe, []
    for arm, own in settings.items():
        if len(own) > 1:
            parts.append(f"{ARMS.get(arm, arm.replace('_', ' '))}: {describe(own)}")
    return "; ".join(parts)


def lost(table: pd.DataFrame) -> str:
    """What became of runs that failed or are not trained to their end."""
    by = [axis for axis, _ in (table.attrs["panels"], table.attrs["lines"]) if axis]
    own = table[table["quantity"] == table["quantity"].iloc[0]]
    each = own.groupby(by)[["died", "unfinished"]].max() if by else own.iloc[-1:]
    return lost_words(each, "drawn up to the last recorded step")


def called(dataset: xr.Dataset, axis: str, values: np.ndarray) -> dict[Any, str]:
    """What a reader calls the values of an axis, by value."""
    texts = named_values(dataset, axis, values)
    if axis == "arm":
        texts = [ARMS.get(text, text.replace("_", " ")) for text in texts]
    return dict(zip(values.tolist(), texts, strict=True))


def line_keys(table: pd.DataFrame, looks: Sequence[Mapping[str, Any]]) -> list[Artist]:
    """What the legend says of the lines: the name of their axis, unless it is that of arms."""
    axis, texts = table.attrs["lines"]
    head = [] if axis == "arm" else [Line2D([], [], ls="none", label=table.attrs["lines_name"])]
    lines = [
        Line2D([], [], lw=1.5, color=how["color"], ls=how.get("ls", "-"), label=text)
        for text, how in zip(texts.values(), looks, strict=True)
    ]
    return [*head, *lines]


def shown(dataset: xr.Dataset, axis: str) -> Any:
    """The one value of an axis that is drawn: the largest training fraction, else the first value.

    From the smaller fractions networks hardly generalize, whatever their loss.
    """
    values = dataset[axis].values
    return (values.max() if axis == "fraction" else values[0]).item()


def _values(
    dataset: xr.Dataset, axis: str | None, select: Mapping[str, Any], most: int
) -> list[Any]:
    """The values of an axis that are drawn."""
    if axis is None:
        return []
    return list(np.atleast_1d(select.get(axis, dataset[axis].values)).tolist()[:most])


def where(table: pd.DataFrame, axis: str | None, value: Any) -> pd.DataFrame:
    """The rows of one value of an axis; all of them where there is no such axis."""
    return table if axis is None else table[table[axis] == value]


def headings(table: pd.DataFrame) -> dict[Any, str]:
    """What stands above each panel, by the value of their axis."""
    axis, texts = table.attrs["panels"]
    name = table.attrs["panels_name"]
    return {value: text if axis == "arm" else f"{name} = {text}" for value, text in texts.items()}


def line(panel: Axes, rows: pd.DataFrame, shade: float = 0.16, **how: Any) -> None:
    """One quantity along training: the median of the seeds, and their band."""
    rows = rows[rows["step"] > 0].sort_values("step")
    if shade and (limits := band(rows)) is not None:
        low, high = (rows[limit] for limit in limits)
        panel.fill_between(rows["step"], low, high, color=how["color"], alpha=shade, lw=0)
    panel.plot(rows["step"], rows["median"], **{"lw": 1.4, **how})


def steps(panel: Axes, table: pd.DataFrame) -> None:
    """The axis of training steps."""
    later = table.loc[table["step"] > 0, "step"]
    step_axis(panel, float(later.min()), float(later.max()))


def frame(count: int, most: int = 3) -> tuple[int, int]:
    """Rows and columns for so many panels.

    >>> frame(4), frame(3), frame(5)
    ((2, 2), (1, 3), (2, 3))
    """
    columns = 2 if count in (2, 4) else min(count, most)
    return -(-count // columns), columns
