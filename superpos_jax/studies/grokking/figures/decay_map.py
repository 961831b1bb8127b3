"""When networks generalize over learning rate and weight decay, with and without perpGrad."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from superpos_jax.drawing import style as look
from superpos_jax.drawing.heatmap import edges, numbers
from superpos_jax.drawing.needs import Needs, missing
from superpos_jax.drawing.scalars import in_words
from superpos_jax.drawing.select import Result, narrow
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.results.runs import failed, runs, unfinished
from superpos_jax.studies.grokking.figures.along import tidy
from superpos_jax.text import counted, written

KEEP = ("depth", "perp", "lr", "weight_decay")
NEEDS = Needs(swept=("lr", "weight_decay"))
WORDS = {"none": "AdamW", "tensor": "perpGrad by tensor", "global": "perpGrad, global"}


def applies(dataset: xr.Dataset) -> str | None:
    """None if learning rates and weight decays were swept, else why not."""
    return missing(dataset, "decay_map", ("t_gen",), NEEDS)


def decay_map_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `decay_map`: one row per cell of a map.

    Columns: depth, perp, lr, weight_decay, runs, generalized (how many come to a test accuracy of
    0.95), t_gen (the median over seeds, one that never generalizes counting as infinite), min, max
    (of those that do), died, unfinished, and the values of other swept axes.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    dataset, taken = narrow(result.dataset, KEEP, select)
    times = runs(dataset["t_gen"], KEEP).astype(float)
    died, training = failed(dataset, KEEP), unfinished(dataset, KEEP)
    rows = []
    for index in np.ndindex(times.shape[:-1]):
        own = times[index]
        reached = own[np.isfinite(own)]
        median = float(np.median(np.where(np.isfinite(own), own, np.inf)))
        row = {axis: dataset[axis].values[i] for axis, i in zip(KEEP, index, strict=True)}
        row |= {"runs": len(own), "generalized": len(reached), "t_gen": median}
        row |= {"min": reached.min(initial=np.inf), "max": reached.max(initial=-np.inf)}
        rows.append(row | {"died": died[index].sum(), "unfinished": training[index].sum()})
    table = pd.DataFrame(rows).replace([np.inf, -np.inf], np.nan)
    return tidy(result, table, taken)


def decay_map(result: Result, **select: Any) -> Figure:
    """Step of generalization over learning rate and weight decay (figure 15 of the paper).

    A map for each kind of gradient and each depth. Colours and numbers are the median over seeds of
    the first step with a test accuracy of 0.95; grey where fewer than half of them come to it.

    Arguments:
        result: of the study grokking; it sweeps lr and weight_decay.
        select: values of other swept axes, or lists that restrict an axis.

    Returns a Figure. Raises ValueError without both axes.

    Example:
        decay_map(result, depth=[1, 2]).savefig("decay_map.png")
    """
    return _draw(decay_map_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    perps, depths = table["perp"].unique(), table["depth"].unique()
    lrs, decays = np.unique(table["lr"]), np.unique(table["weight_decay"])
    size = 0.52 * len(decays) + 0.5, 0.32 * len(lrs) + 0.75
    width = max(size[0] * len(perps) + 1.6, 6.8)
    title = "Step of generalization over learning rate and weight decay"
    setting = table.attrs["setting"]
    body = size[1] * len(depths) + 0.4
    figure = look.page(width, body, title, setting, _caption(table), key="top")
    grid = figure.subplots(len(depths), len(perps), squeeze=False, sharex=True, sharey=True)
    finite = table["t_gen"].dropna()
    ends = (finite.min(), finite.max() * 1.01) if len(finite) else (1.0, 10.0)
    norm = LogNorm(*ends)
    for i, depth in enumerate(depths):
        for j, perp in enumerate(perps):
            rows = table[(table["depth"] == depth) & (table["perp"] == perp)]
            cells = rows.pivot(index="lr", columns="weight_decay", values="t_gen").to_numpy()
            mesh = _map(grid[i, j], cells, norm, size)
            some = rows[rows["t_gen"].isna() & (rows["generalized"] > 0)]
            for _, row in some.iterrows():
                where = decays.searchsorted(row["weight_decay"]), lrs.searchsorted(row["lr"])
                text = f"{row['generalized']}/{row['runs']}"
                grid[i, j].text(*where, text, ha="center", va="center", size=6.5, color=look.INK)
            name = WORDS.get(str(perp), str(perp))
            heading = name if len(depths) == 1 else f"{name}, {counted(int(depth), 'hidden layer')}"
            grid[i, j].set_title(heading, loc="left", weight="bold")
            grid[i, j].set_xticks(range(len(decays)), labels=[in_words(d) for d in decays.tolist()])
            grid[i, j].set_yticks(range(len(lrs)), labels=[in_words(lr) for lr in lrs.tolist()])
        grid[i, 0].set_ylabel("learning rate")
    for panel in grid[-1]:
        panel.set_xlabel("weight decay")
    bar = figure.colorbar(mesh, ax=grid, pad=0.015, fraction=0.05, aspect=24)
    bar.ax.tick_params(labelsize=8.5)
    look.log_ticks(
        bar.ax.yaxis, look.round_steps(ends[0], ends[1], look.DENSE), size[1] * len(depths)
    )
    bar.outline.set_visible(False)
    bar.set_label("step of test accuracy ≥ 0.95")
    look.page_key(figure, [Patch(color=look.DEAD, label="fewer than half of the seeds generalize")])
    return figure


def _map(axes: Axes, cells: np.ndarray, norm: LogNorm, size: tuple[float, float]) -> Any:
    """One map, (lr, weight decay), with its numbers."""
    colours = matplotlib.colormaps["viridis_r"]
    look.dress(axes)
    axes.set_facecolor(look.DEAD)
    rows, columns = (edges(np.arange(count, dtype=float), log=False) for count in cells.shape)
    shown = np.ma.masked_invalid(cells)
    mesh = axes.pcolormesh(columns, rows, shown, norm=norm, cmap=colours)
    numbers(axes, columns, rows, cells, colours(norm(shown))[..., :3], size, written)
    return mesh


def _caption(table: pd.DataFrame) -> list[str]:
    sentences = [
        f"Median of {int(table['runs'].max())} seeds; a seed that never"
        " generalizes counts as infinity. On grey: how many of them do, if any."
    ]
    best = []
    for (depth, perp), rows in table.groupby(["depth", "perp"], sort=False):
        if rows["t_gen"].notna().any():
            fastest = rows[rows["t_gen"] == rows["t_gen"].min()]
            row = fastest.iloc[0]
            where = f"lr {row['lr']:g}, decay {row['weight_decay']:g}"
            ties = f" and {len(fastest) - 1} more" if len(fastest) > 1 else ""
            name = WORDS.get(str(perp), str(perp))
            best.append(f"{name}, {depth} hidden: {row['t_gen']:,.0f} at {where}{ties}")
    return [*sentences, f"Fastest: {'; '.join(best)}." if best else "None generalizes."]


DECAY_MAP = FigureSpec(
    "decay_map",
    decay_map_table,
    _draw,
    "step of generalization over learning rate and weight decay",
    applies,
    NEEDS,
)
