"""Overlaps of word groups over m: whether structures disappear, and in which order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from superpos_jax.drawing import scalars
from superpos_jax.drawing import style as look
from superpos_jax.drawing.lines import crosses, line, lost_words, seed_key, seed_words
from superpos_jax.drawing.needs import Needs, missing
from superpos_jax.drawing.select import Result, narrow
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.drawing.style import PALETTE
from superpos_jax.studies.bows.figures.setting import tidy
from superpos_jax.studies.bows.labels import LABELS

NEEDS = Needs(swept=("m",))
NORMS = {
    "off_diagonal": "overlaps: off-diagonal norm of W$^T$W",
    "relative": "the same relative to the diagonal's",
}
PCA = "pca_"


def applies(dataset: xr.Dataset) -> str | None:
    """None if word groups are measured over m, else why not."""
    if lack := missing(dataset, "groups", (), NEEDS):
        return lack
    return None if groups_of(dataset) else "groups needs groups of words, of structure = text"


def groups_of(dataset: xr.Dataset) -> list[str]:
    """The groups of words of a result."""
    end = "_off_diagonal"
    names = [str(name) for name in dataset.data_vars if str(name).endswith(end)]
    return [name.removesuffix(end) for name in names if not name.startswith(PCA)]


def groups_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `groups`: one row per (norm, group, model, weight decay, m).

    Columns: norm ("off_diagonal" or "relative"), group, model ("trained" or "PCA"), weight_decay,
    m, runs, died, unfinished, mean, median, min, q25, q75, max over the surviving seeds, and the
    value of every other swept axis.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    keep = ("weight_decay", "m")
    dataset, taken = narrow(result.dataset, keep, select)
    frames = [
        scalars.summary(dataset, f"{prefix}{group}_{norm}", keep).assign(
            norm=norm, group=group, model=model
        )
        for norm in NORMS
        for group in groups_of(dataset)
        for model, prefix in (("trained", ""), ("PCA", PCA))
    ]
    return tidy(result, pd.concat(frames, ignore_index=True), taken)


def groups(result: Result, **select: Any) -> Figure:
    """Overlaps within groups of words against m, a row of panels for each weight decay.

    Where the words of a group become orthogonal their overlaps vanish, at another m in each group
    (the paper's figure of structures over m). The raw norm grows with the words' own norms as well;
    the relative one does not. Dashed: PCA. Lines are medians over seeds, bands as in `measures`.

    Arguments:
        result: of the study bows, on a text; it sweeps m.
        select: values of other swept axes, or lists that restrict m or weight_decay.

    Returns a Figure. Raises ValueError where m is not swept.

    Example:
        groups(result, weight_decay=[1]).savefig("groups.png")
    """
    return _draw(groups_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    decays = np.sort(table["weight_decay"].unique()).tolist()
    names = table["group"].unique().tolist()
    colours = dict(zip(names, PALETTE, strict=False))
    title = "Overlaps within groups of words against m"
    setting, caption = table.attrs["setting"], _caption(table)
    body, width = 2.3 * len(decays) + 0.4, 8.4 + look.SIDE
    figure = look.page(width, body, title, setting, caption, key="side")
    grid = figure.subplots(len(decays), len(NORMS), squeeze=False, sharex=True, sharey="col")
    ms = np.sort(table["m"].unique())
    for panels, decay in zip(grid, decays, strict=True):
        for axes, (norm, text) in zip(panels, NORMS.items(), strict=True):
            look.dress(axes, grid="y")
            own = table[(table["norm"] == norm) & (table["weight_decay"] == decay)]
            for name in names:
                rows = own[own["group"] == name]
                exact = rows[rows["model"] == "PCA"].sort_values("m")
                dashes: Any = {"color": colours[name], "lw": 1.0, "ls": (0, (4, 2))}
                axes.plot(exact["m"], exact["median"], **dashes)
                line(axes, "m", rows[rows["model"] == "trained"], color=colours[name])
            crosses(axes, "m", own)
            axes.set(xscale="log", yscale="log")
            look.log_ticks(axes.xaxis, ms, 3.6)
            if decay == decays[-1]:
                axes.set_xlabel("hidden dimensions m")
            if decay == decays[0]:
                axes.set_title(text, size=9)
        panels[0].set_ylabel(LABELS.describe({"weight_decay": decay}))
    for axes in grid[0]:
        look.log_ticks(axes.yaxis, look.round_steps(*axes.get_ylim()), 1.8)
    keys: list[Artist] = [
        Line2D([], [], color=colours[name], lw=1.5, marker="o", ms=2.8, label=name)
        for name in names
    ]
    keys.append(Line2D([], [], color=look.SOFT, lw=1.0, ls=(0, (4, 2)), label="PCA"))
    look.page_key(figure, [*keys, *seed_key(table)])
    return figure


def _caption(table: pd.DataFrame) -> list[str]:
    first = table[(table["norm"] == "off_diagonal") & (table["model"] == "trained")]
    raw = first.loc[first.groupby(["weight_decay", "group"])["median"].idxmax()]
    most = first["m"].max()
    places = []
    for decay, own in raw.groupby("weight_decay"):
        peaks = (
            f"{row['group']} {row['m']}{' or beyond' if row['m'] == most else ''}"
            for _, row in own.iterrows()
        )
        places.append(f"{LABELS.describe({'weight_decay': decay})}: {', '.join(peaks)}")
    return [
        seed_words(table),
        "Off-diagonal norm: root of the sum of squared overlaps within a group.",
        f"It is largest at m: {'; '.join(places)}.",
        lost_words(first[first["group"] == first["group"].iloc[0]]),
    ]


GROUPS = FigureSpec(
    "groups", groups_table, _draw, "overlaps within groups of words over m", applies, NEEDS
)
