"""Which knob gives the whole bundle: paths of the knobs, and their ranks (F8)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from superpos_jax.drawing import style as look
from superpos_jax.drawing.needs import Needs, missing
from superpos_jax.drawing.select import Result, narrow, tidy
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.results.registry import labels_of
from superpos_jax.results.runs import axes as axes_of
from superpos_jax.results.runs import failed, runs
from superpos_jax.text import seed_axes

NEEDS = Needs(swept=("arm",))
JUDGED = {
    "unbiased_accuracy": "accuracy",
    "prunability_validation": "pruning",
    "compressibility": "Comp(0.1)",
    "core_use": "core use",
    "class_separation": "R²(y)",
    "zero_activations": "zeros",
}
"""Numbers by which knobs are ranked: the more the better."""
CHOSEN_BY = {"oracle": "unbiased_accuracy", "validation": "validation_accuracy"}
"""How the value of a knob is chosen: by the accuracy that nobody has, or the one that is there."""
FIT = 0.99
"""Arms with a lower median train accuracy have not fitted: they are drawn, not chosen."""


def knobs(dataset: xr.Dataset) -> dict[str, str]:
    """The knob that each arm of a result turns: the first number that its table sets."""
    arms = json.loads(dataset.attrs.get("sweep", "{}")).get("arms", {})
    return {name: next(iter(values), "") for name, values in arms.items()}


def applies(dataset: xr.Dataset) -> str | None:
    """None if the figure can be drawn of a result, else why not."""
    names = (*JUDGED, "validation_accuracy", "train_accuracy", "converged")
    if reason := missing(dataset, "tandem", names, NEEDS):
        return reason
    if "lr" in axes_of(dataset):
        return "tandem needs arms that set the learning rate, not an axis lr"
    return None


def tandem_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `tandem`.

    Rows with part "arm": arm, knob, value, data (the value of the axis beside `arm`), runs, died,
    and the median over seeds of every judged number, of `train_accuracy` and `validation_accuracy`.
    Rows with part "rank": knob, choice ("oracle" or "validation"), data, arm (the chosen value),
    and the rank of the knob by every judged number, 1 is best, and `mean_rank`.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    beside = [
        a for a in axes_of(result.dataset) if a not in ("arm", *seed_axes(axes_of(result.dataset)))
    ]
    keep = (*beside[:1], "arm")
    part, taken = narrow(result.dataset, keep, select)
    arms = _arms(result.dataset, part, keep)
    table = pd.concat([arms, _ranks(arms)], ignore_index=True)
    table = tidy(result, table, taken)
    texts, table.attrs["over"] = {"": ""}, ""
    if beside:
        describe = labels_of(result.dataset).describe
        table.attrs["over"] = f", averaged over {labels_of(result.dataset).axis(beside[0])}"
        texts = {str(v): describe({beside[0]: v}) for v in part[beside[0]].values.tolist()}
    table.attrs["texts"] = texts
    first = {axis: result.dataset[axis].values[0].item() for axis in axes_of(result.dataset)}
    base = result.trained_cell(**first)
    names = arms["knob"].unique().tolist()
    table.attrs["base"] = {knob: getattr(base, knob) for knob in names}
    table.attrs["knobs"] = {knob: labels_of(result.dataset).axis(knob) for knob in names}
    return table


def _arms(dataset: xr.Dataset, part: xr.Dataset, keep: tuple[str, ...]) -> pd.DataFrame:
    names = (*JUDGED, "validation_accuracy", "train_accuracy")
    values = {name: runs(part[name], keep).astype(float) for name in names}
    lost, knob = failed(part, keep), knobs(dataset)
    settings = json.loads(dataset.attrs["sweep"])["arms"]
    rows = []
    for index in np.ndindex(lost.shape[:-1]):
        arm = str(part["arm"].values[index[-1]])
        alive = ~lost[index]
        medians = {
            n: float(np.median(v[index][alive])) if alive.any() else np.nan
            for n, v in values.items()
        }
        data = str(part[keep[0]].values[index[0]].item()) if len(keep) > 1 else ""
        counts = {"runs": len(alive), "died": int((~alive).sum())}
        value = settings[arm].get(knob[arm], np.nan)
        own = {"part": "arm", "arm": arm, "knob": knob[arm], "value": value, "data": data}
        rows.append(own | counts | medians)
    return pd.DataFrame(rows)


def _ranks(arms: pd.DataFrame) -> pd.DataFrame:
    """Ranks of the knobs at their chosen values; the first arm is the base, and no knob's."""
    base = arms["arm"].iloc[0]
    turned = arms[(arms["arm"] != base) & (arms["train_accuracy"] >= FIT) & (arms["died"] == 0)]
    parts = []
    for choice, by in CHOSEN_BY.items():
        for data, rows in turned.groupby("data", sort=False):
            best = rows.loc[rows.groupby("knob")[by].idxmax()]
            ranks = best[list(JUDGED)].rank(ascending=False, method="average")
            own = best[["arm", "knob"]].assign(part="rank", choice=choice, data=data)
            parts.append(pd.concat([own, ranks], axis=1).assign(mean_rank=ranks.mean(axis=1)))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def mean_ranks(table: pd.DataFrame, choice: str) -> pd.DataFrame:
    """Ranks averaged over data sets, one row per knob, the best first."""
    rows = table[(table["part"] == "rank") & (table["choice"] == choice)]
    return rows.groupby("knob")[[*JUDGED, "mean_rank"]].mean().sort_values("mean_rank")


def tandem(result: Result, **select: Any) -> Figure:
    """Unbiased accuracy against compressibility along each knob, and mean ranks of the knobs.

    A path joins the values of one knob, from the base where no knob is turned; the area of a dot
    is the use of the core. Hollow: the training set is not fitted. The table has the mean rank of
    each knob at its best value, over the data sets and by each number.

    Arguments:
        result: of a sweep of arms, the first of which is the base; each other one turns a knob.
        select: values of other swept axes, or lists that restrict one.

    Returns a Figure. Raises ValueError without arms.

    Example:
        tandem(result).savefig("tandem.png")
    """
    return _draw(tandem_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    arms = table[table["part"] == "arm"]
    base = arms["arm"].iloc[0]
    turned = arms[arms["arm"] != base]
    colours = dict(zip(turned["knob"].unique().tolist(), look.PALETTE, strict=False))
    data = arms["data"].unique().tolist()
    width = max(7.6, 3.0 * len(data) + 0.8)
    count = len(colours)
    title = "Which knob gives accuracy and compressibility at once"
    body = 3.2 + 0.24 * (count + 2)
    figure = look.page(width, body, title, table.attrs["setting"], _caption(table), key="top")
    grid = figure.add_gridspec(2, len(data), height_ratios=[3.2, 0.24 * (count + 2)])
    for column, name in enumerate(data):
        panel = figure.add_subplot(grid[0, column])
        look.dress(panel, grid="both")
        own = arms[arms["data"] == name]
        start = own[own["arm"] == base]
        for knob, colour in colours.items():
            at_base = start.assign(value=table.attrs["base"][knob])
            turned = own[own["knob"].eq(knob) & own["arm"].ne(base)]
            _path(panel, turned, at_base, colour)
        at = start["unbiased_accuracy"], start["compressibility"]
        panel.plot(*at, "X", color=look.INK, ms=8, zorder=4)
        panel.set_title(table.attrs["texts"].get(name, name))
        panel.set_xlabel("unbiased accuracy")
        if column == 0:
            panel.set_ylabel("compressibility Comp(0.1)")
    _print_ranks(figure.add_subplot(grid[1, :]), table, colours)
    keys = [
        Line2D([], [], color=colour, lw=1.5, marker="o", ms=5, label=table.attrs["knobs"][knob])
        for knob, colour in colours.items()
    ]
    keys.append(Line2D([], [], ls="none", marker="X", color=look.INK, ms=7, label="base"))
    look.page_key(figure, keys)
    return figure


def _path(axes: Axes, rows: pd.DataFrame, base: pd.DataFrame, colour: str) -> None:
    """One knob: a line through its values, dots as large as the use of the core."""
    rows = rows[rows["unbiased_accuracy"].notna()]
    every = pd.concat([base, rows]).sort_values("value")
    how: dict[str, Any] = {"color": colour, "lw": 1.2, "zorder": 2}
    axes.plot(every["unbiased_accuracy"], every["compressibility"], **how)
    x, y = rows["unbiased_accuracy"], rows["compressibility"]
    away = np.hypot(x - base["unbiased_accuracy"].iloc[0], y - base["compressibility"].iloc[0])
    if len(rows):
        far = rows.loc[away.idxmax()]
        point = far["unbiased_accuracy"], far["compressibility"]
        text: dict[str, Any] = {"textcoords": "offset points", "size": 7, "color": colour}
        axes.annotate(f"{far['value']:g}", point, (6, 4), zorder=5, **text)
    fitted = (rows["train_accuracy"] >= FIT) & (rows["died"] == 0)
    face = np.where(fitted, colour, "white")
    axes.scatter(x, y, s=160 * rows["core_use"], c=face, edgecolor=colour, lw=1.1, zorder=3)


def _print_ranks(axes: Axes, table: pd.DataFrame, colours: Mapping[str, str]) -> None:
    axes.axis("off")
    ranks = {choice: mean_ranks(table, choice) for choice in CHOSEN_BY}
    columns = ["mean rank", *JUDGED.values(), "mean rank, validation"]
    places = np.linspace(0.24, 0.93, len(columns))
    lines = len(ranks["oracle"]) + 1
    heights = 1 - (np.arange(lines) + 0.5) / lines
    for place, word in zip(places, columns, strict=True):
        axes.text(place, heights[0], word, size=8, ha="center", color=look.SOFT)
    for height, (knob, row) in zip(heights[1:], ranks["oracle"].iterrows(), strict=True):
        own = ranks["validation"]
        late = own.loc[knob, "mean_rank"] if knob in own.index else np.nan
        numbers = [row["mean_rank"], *(row[name] for name in JUDGED), late]
        axes.text(0.02, height, table.attrs["knobs"][str(knob)], size=8.5, color=colours[str(knob)])
        for place, number in zip(places, numbers, strict=True):
            axes.text(place, height, f"{number:.1f}", size=8.5, ha="center")


def _caption(table: pd.DataFrame) -> list[str]:
    arms = table[table["part"] == "arm"]
    lost = int(arms["died"].sum())
    return [
        f"Medians of {int(arms['runs'].max())} seeds; area of a dot: core use; numbers: values far"
        f" from the base; hollow: a seed diverged, or train accuracy below {FIT:g}.",
        f"Ranks (1 = best){table.attrs['over']}. Each knob is set to the value with"
        " the best unbiased accuracy; last column: the best accuracy on validation data with the"
        " training distribution.",
        f"{lost} runs died or diverged: left out." if lost else "",
    ]


TANDEM = FigureSpec(
    "tandem",
    tandem_table,
    _draw,
    "accuracy and compressibility along each knob, and mean ranks of the knobs",
    applies,
    NEEDS,
)
