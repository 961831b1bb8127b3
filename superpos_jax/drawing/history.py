"""What was recorded along training, a line for each value of a swept axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from superpos_jax.drawing import scalars
from superpos_jax.drawing import style as look
from superpos_jax.drawing.curves import line_looks
from superpos_jax.drawing.lines import CROSS, band, drawn, seed_words
from superpos_jax.drawing.needs import missing
from superpos_jax.drawing.panels import fewer, step_axis
from superpos_jax.drawing.select import Result, narrow, tidy
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.engine.verdicts import NOT_ENDED
from superpos_jax.results.runs import axes as axes_of
from superpos_jax.results.runs import failed, runs, unfinished
from superpos_jax.text import counted, seed_axes

LINES, PANELS = 8, 6
"""Lines in a panel, and panels, at most; the lines are spread evenly over the values."""
ENDS: dict[str, Any] = {"ls": "none", "marker": "o", "ms": 6, "mfc": "none", "mec": look.SOFT}
"""Round the last point of a line that is not trained to its end."""


def applies(dataset: xr.Dataset) -> str | None:
    """None if numbers were recorded along training, else why not."""
    if lack := missing(dataset, "history", ("step",)):
        return lack
    for name in scalars.histories(dataset):
        if np.isfinite(dataset[f"history_{name}"].values).any():
            return None
    return "history needs numbers recorded along training, and there are none"


def history_table(
    result: Result, value: str | None = None, by: str | None = None, **select: Any
) -> pd.DataFrame:
    """The numbers of `history`: one row per step of a line, seeds summarised.

    Columns: quantity, the axis of the lines, if there are several, step, runs (those that have the
    number at this step), died (of which this or an earlier step is the last), unfinished, mean,
    median, min, q25, q75, max, and the value of every other swept axis. The first 6 quantities,
    losses first, unless one is named. A run that a rule stopped keeps its last number for as long
    as others of its line train; the line ends with the last of them.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    dataset = result.dataset
    names = scalars.histories(dataset)
    if value is not None and value not in names:
        raise ValueError(f"value = {value!r} is not recorded; allowed: {', '.join(names)}")
    seeds = seed_axes(axes_of(dataset))
    scalars.refuse_unknown(dataset, (by,), select, "value", "by")
    by = by or scalars.line_axis(dataset, select)
    keep = () if by is None else (by,)
    part, taken = narrow(dataset, keep, select, tuple(seed for seed in seeds if seed != by))
    part, some = fewer(part, by, LINES, select)
    quantities = [value] if value else list(names[:PANELS])
    frames = [_rows(part, name, keep) for name in quantities]
    frame = tidy(result, pd.concat(frames, ignore_index=True), taken)
    texts = scalars.named_values(dataset, by, scalars.distinct(frame, by)) if by else [""]
    words = {name: scalars.name_of(dataset, name) for name in (*keep, *names)}
    frame.attrs |= {
        "by": by,
        "quantities": quantities,
        "names": words,
        "texts": texts,
        "only": scalars.only(dataset, part, taken),
        "some": some,
    }
    frame.attrs["stops"] = "ended" in part and bool((part["ended"] != NOT_ENDED).any())
    return frame


def _rows(dataset: xr.Dataset, name: str, keep: tuple[str, ...]) -> pd.DataFrame:
    """The rows of one quantity."""
    histories = runs(dataset[f"history_{name}"], keep).astype(float)
    lost, training = failed(dataset, keep), unfinished(dataset, keep)
    last, final = _ends(dataset, name, keep)
    recorded = dataset["step"].values
    rows = []
    for index in np.ndindex(histories.shape[: len(keep)]):
        at = {axis: dataset[axis].values[i] for axis, i in zip(keep, index, strict=True)}
        steps, values = _to_the_end(recorded, histories[index], last[index], final[index])
        finite = np.isfinite(values)
        left = finite[:, ::-1].cumsum(axis=1)[:, ::-1]  # numbers from each step on
        for k, step in enumerate(steps.tolist()):
            if finite[:, k].any():
                row = {"quantity": name, **at, "step": step, "runs": int(finite[:, k].sum())}
                row["died"] = int((lost[index] & (left[:, k] <= finite[:, k])).sum())
                row["unfinished"] = int(training[index].sum())
                rows.append(row | scalars.spread(values[:, k]))
    columns = ["quantity", *keep, "step", "runs", "died", "unfinished", *scalars.spread(final[:0])]
    return pd.DataFrame(rows, columns=columns)


def _ends(dataset: xr.Dataset, name: str, keep: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """(*keep, run): updates that were done at the end, and a quantity then.

    The quantity is NaN of runs that have no end, or whose end is a recorded step in any case.
    """
    no_end = failed(dataset, keep) | unfinished(dataset, keep)
    if "updates" not in dataset or name not in dataset:
        return np.zeros(no_end.shape, int), np.full(no_end.shape, np.nan)
    final = runs(dataset[name], keep).astype(float)
    return runs(dataset["updates"], keep), np.where(no_end, np.nan, final)


def _to_the_end(
    steps: np.ndarray, values: np.ndarray, last: np.ndarray, final: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Histories (runs, steps) of one line with the ends of its runs, which a rule may have set.

    Steps that no run has come to are left out. A run keeps its final number up to the last step.

    Arguments:
        steps: at which histories are recorded.
        values: (runs, steps), NaN where there is none.
        last: (runs,) updates at the end.
        final: (runs,) numbers then, NaN of runs without an end.

    Example:
        >>> nan = np.nan
        >>> values = np.array([[3.0, 2.0, nan], [3.0, nan, nan]])
        >>> _to_the_end(np.array([0, 10, 100]), values, np.array([15, 5]), np.array([1.0, 2.5]))
        (array([ 0, 10, 15]), array([[3. , 2. , 1. ],
               [3. , 2.5, 2.5]]))
    """
    has_end = np.isfinite(final)
    reached = steps[np.isfinite(values).any(axis=0)].max(initial=-1)
    end = last[has_end].max(initial=-1)
    values = values[:, steps <= max(reached, end)]
    steps = steps[steps <= max(reached, end)]
    if end > reached and end not in steps:
        steps = np.append(steps, end)
        values = np.pad(values, ((0, 0), (0, 1)), constant_values=np.nan)
    stopped = has_end[:, None] & (steps >= last[:, None]) & ~np.isfinite(values)
    return steps, np.where(stopped, final[:, None], values)


def history(
    result: Result, value: str | None = None, by: str | None = None, **select: Any
) -> Figure:
    """Losses and other numbers along training, a panel for each.

    Lines are medians over seeds; bands reach from the smallest to the largest seed, or over the
    middle half of them from 8 seeds on. Of more than 8 values of the axis of the lines, 8 are
    drawn, evenly spaced. A line ends where the last of its runs was stopped, by a rule or at its
    number of steps. The panels of one quantity, on training and on test data, share their range.

    Arguments:
        result: of any study.
        value: the one number, e.g. "train_loss"; by default the first 6, losses first.
        by: the axis of the lines; by default the first of names (arms, choices), else that of
            numbers that has most values.
        select: values of other swept axes (`lr=3e-3`; the first by default), or lists that
            restrict an axis.

    Returns a Figure. Raises ValueError for an unknown number, axis or value.

    Example:
        history(result, "train_loss", by="lr").savefig("history.png")
    """
    return _draw(history_table(result, value, by, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    by, names, texts = (table.attrs[key] for key in ("by", "names", "texts"))
    quantities = table.attrs["quantities"]
    columns = min(len(quantities), 2 if len(quantities) in (2, 4) else 3)
    lines = -(-len(quantities) // columns)
    title = "Along training" + (f", by {names[by]}" if by else "")
    room, setting = look.side_room(texts), table.attrs["setting"]
    width, body = max(3.1 * columns, 6.2) + room, (2.5 if columns > 1 else 3.6) * lines
    figure = look.page(width, body, title, setting, _caption(table), key="side", room=room)
    grid = figure.subplots(lines, columns, squeeze=False, sharex=True)
    held = scalars.distinct(table, by) if by else np.array([0])
    looks = line_looks(held) if by else [{"color": look.INK}]
    steps = table.loc[table["step"] > 0, "step"]
    ends = (float(steps.min()), float(steps.max())) if len(steps) else (1.0, 10.0)
    for index, panel in enumerate(grid.flat):
        panel.set_visible(index < len(quantities))
        if index >= len(quantities):
            continue
        rows = table[(table["quantity"] == quantities[index]) & (table["step"] > 0)]
        look.dress(panel, grid="y")
        step_axis(panel, *ends)
        for value, how in zip(held, looks, strict=True):
            _line(panel, rows[rows[by] == value] if by else rows, how)
        panel.set_title(names[quantities[index]], loc="left", weight="bold")
        if index + columns >= len(quantities):
            panel.set_xlabel("training step")
            panel.tick_params(labelbottom=True)
    _share(dict(zip(quantities, grid.flat, strict=False)), table[table["step"] > 0])
    keys: list[Artist] = [Line2D([], [], ls="none", label=names[by])] if by else []
    for text, how in zip(texts, looks, strict=True) if by else ():
        keys.append(Line2D([], [], lw=1.5, label=text, color=how["color"]))
    if table["died"].any():
        keys.append(Line2D([], [], label="a seed died", **CROSS))
    if table["unfinished"].any():
        keys.append(Line2D([], [], label="not trained\nto the end", **ENDS))
    if keys:
        look.page_key(figure, keys)
    return figure


def _share(panels: Mapping[str, Axes], table: pd.DataFrame) -> None:
    """Give the panels of one quantity, on whichever data, one scale and one range."""
    for what in {scalars.quantity(name): None for name in panels}:
        names = [name for name in panels if scalars.quantity(name) == what]
        first, *others = (panels[name] for name in names)
        for other in others:
            other.sharey(first)
        if scalars.is_log(drawn(table[table["quantity"].isin(names)])):
            first.set_yscale("log")
        first.autoscale_view()


def _line(panel: Any, rows: pd.DataFrame, how: dict[str, Any]) -> None:
    """One line with its band, crosses where seeds died, a ring where it is not at its end."""
    rows = rows.sort_values("step")
    if (limits := band(rows)) is not None:
        low, high = (rows[limit] for limit in limits)
        panel.fill_between(rows["step"], low, high, color=how["color"], alpha=0.16, lw=0)
    panel.plot(rows["step"], rows["median"], color=how["color"], lw=1.4, gid="line")
    deaths = rows[rows["died"].diff().fillna(rows["died"]) > 0]
    if len(deaths):
        panel.plot(deaths["step"], deaths["median"], gid="died", zorder=4, **CROSS)
    if len(rows) and rows["unfinished"].iloc[-1]:
        panel.plot(rows["step"].iloc[-1], rows["median"].iloc[-1], gid="unfinished", **ENDS)


def _caption(table: pd.DataFrame) -> list[str]:
    by = table.attrs["by"]
    if table.empty:
        return ["No finite number was recorded.", table.attrs["some"], table.attrs["only"]]
    each = table.groupby(by, sort=False) if by else [("", table)]
    died = sum(int(rows["died"].max()) for _, rows in each)
    training = sum(int(rows["unfinished"].max()) for _, rows in each)
    sentences = [seed_words(table)]
    if died:
        sentences.append(f"Crosses: {counted(died, 'run')} died or diverged after that step.")
    if training:
        sentences.append(f"Rings: {counted(training, 'run')} not trained to the end.")
    if table.attrs["stops"] and table["runs"].max() > 1:
        sentences.append("A run that has ended keeps its last number where others still train.")
    return [*sentences, table.attrs["some"], table.attrs["only"]]


HISTORY = FigureSpec(
    "history", history_table, _draw, "losses and other numbers along training", applies
)
