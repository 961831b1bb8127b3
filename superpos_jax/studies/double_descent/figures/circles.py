"""Hidden vectors of single seeds, from the best to the worst train loss, at small T and m = 2."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Patch
from matplotlib.ticker import MaxNLocator

from superpos_jax.drawing import style as look
from superpos_jax.drawing.needs import Needs, missing
from superpos_jax.drawing.panels import evenly, square
from superpos_jax.drawing.select import Result
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.drawing.style import GREEN, GRID, INK, SOFT
from superpos_jax.engine.verdicts import NON_FINITE, UNFINISHED
from superpos_jax.results.runs import axes, fixed, runs, seed_values
from superpos_jax.studies.double_descent.criteria import FAILED, INNER, NEAR, second_radius
from superpos_jax.studies.double_descent.figures.selection import SAMPLE, narrow, tidy
from superpos_jax.studies.double_descent.figures.vector_panels import ARRAYS, at_m2, lacks_weights
from superpos_jax.studies.double_descent.labels import SEEDS
from superpos_jax.text import counted

ROWS, COLUMNS = 8, 12
LOWEST = 1e-4
BINS = 4
"""Bins of the histogram in a decade of loss."""
COLOURS = {"solved": GREEN, "failed": INK}


NEEDS = Needs(holds={"m": 2}, one_of=SEEDS)


def applies(dataset: xr.Dataset) -> str | None:
    """None if the seeds of small T can be drawn side by side, else why not."""
    if fixed(dataset).get("online"):
        return "circles needs a training set; this result trains on new samples at every step"
    return lacks_weights(dataset, "circles", "H") or missing(dataset, "circles", (), NEEDS)


def circles_table(result: Result, **select: Any) -> pd.DataFrame:
    """The numbers of `circles`: one row per run, and one row per hidden vector that is drawn.

    Columns: T, the seed axes, kind ("run" or "hidden"), outcome ("solved", "failed", "died",
    "unfinished"), train_loss, rank (0 is the lowest train loss of its T, -1: not trained to the
    end), shown (True for the runs that have a panel), radius (of the ring: the median length of
    the hidden vectors, NaN without a panel), index (of the sample, -1 for a run), x, y, and the
    value of every other swept axis. A run has failed if its train loss is above 0.01, in units
    where the zero predictor scores 1.
    """
    if (reason := applies(result.dataset)) is not None:
        raise ValueError(reason)
    swept = axes(result.dataset)
    wanted = at_m2(result.dataset, "circles", select)
    dataset, taken = narrow(result.dataset, ("T",), wanted)
    if "T" not in select:
        dataset = dataset.isel(T=slice(ROWS))
    seeds = seed_values(dataset)
    loss, verdict = runs(dataset["train_loss"], ("T",)), runs(dataset["verdict"], ("T",))
    stored = runs(dataset["H" if "H" in dataset else "W"], ("T",))
    frames = []
    for i, T in enumerate(dataset["T"].values.tolist()):
        frame = pd.DataFrame(seeds).assign(T=T, kind="run", train_loss=loss[i].astype(float))
        frame["outcome"] = [_outcome(*pair) for pair in zip(verdict[i], loss[i], strict=True)]
        trained = frame["outcome"].isin(COLOURS).to_numpy()
        order = np.flatnonzero(trained)[np.argsort(loss[i][trained], kind="stable")]
        rank = np.full(len(frame), -1)
        rank[order] = np.arange(len(order))
        held = np.array([np.isfinite(stored[i, k]).any() for k in order], bool)
        drawn = order[held][evenly(held.sum(), COLUMNS)]
        frame["shown"] = np.isin(np.arange(len(frame)), drawn)
        frame = frame.assign(rank=rank, radius=np.nan, index=-1, x=np.nan, y=np.nan)
        for k in drawn:
            where = {**taken, "T": T, **seeds[k]}
            H = stored[i, k] if "H" in dataset else result.cell(**_point(swept, where)).H
            H = np.asarray(H[:T, :2], float)
            frame.loc[k, "radius"] = float(np.median(np.hypot(H[:, 0], H[:, 1])))
            vectors = pd.DataFrame({"index": np.arange(len(H)), "x": H[:, 0], "y": H[:, 1]})
            one = frame.loc[k].drop(["index", "x", "y"]).to_dict()
            frames.append(vectors.assign(**{**one, "kind": "hidden"}))
        frames.append(frame)
    table = pd.concat(frames, ignore_index=True)
    order_by = ["T", *seeds[0], "kind", "outcome", "train_loss", "rank", "shown", "radius"]
    return tidy(result, table[[*order_by, "index", "x", "y"]], taken)


def _point(swept: tuple[str, ...], where: dict[str, Any]) -> dict[str, Any]:
    return {axis: where[axis] for axis in swept}


def _outcome(verdict: int, loss: float) -> str:
    if verdict == UNFINISHED:
        return "unfinished"
    if verdict == NON_FINITE or not np.isfinite(loss):
        return "died"
    return "failed" if loss > FAILED else "solved"


def circles(result: Result, **select: Any) -> Figure:
    """Hidden vectors of many seeds at small T, m = 2, and all train losses (figure P8).

    A model with two hidden dimensions can put T samples on a circle, as a regular T-gon, and reach
    a train loss near 0; some solve it with samples on a second radius. Seeds that fail leave a
    sample at the origin, or have gaps between the angles.

    Arguments:
        result: a result with m = 2, stored weights and several seeds.
        select: `T=[5, 8, 12]` chooses the rows (the 8 smallest T by default); values of other
            swept axes (`lr=3e-3`; the first by default), or a list that restricts a seed axis.

    Returns a Figure: a row per T. Raises ValueError without m = 2, W or several seeds.

    Example:
        circles(result, T=[5, 6, 8]).savefig("circles.png")
    """
    return _draw(circles_table(result, **select))


@look.style
def _draw(table: pd.DataFrame) -> Figure:
    sizes = np.sort(table["T"].unique())
    every = table[table["kind"] == "run"]
    count = max(int(every.groupby("T")["shown"].sum().max()), 6)
    title = "Optimization failures: hidden vectors of single seeds at m = 2"
    width, body = 0.84 * count + 3.2, 1.0 * len(sizes) + 0.45
    figure = look.page(width, body, title, table.attrs["setting"], _caption(table), key="top")
    ratios = [1.0] * count + [2.8]
    grid = figure.subplots(len(sizes), count + 1, squeeze=False, width_ratios=ratios)
    losses = every.loc[every["outcome"].isin(COLOURS), "train_loss"]
    high = float(10.0 ** np.ceil(np.log10(max(losses.max(), 1.0)))) if len(losses) else 1.0
    for row, T in enumerate(sizes):
        here = every[every["T"] == T]
        panels = here[here["shown"]].sort_values("rank")
        vectors = table[(table["T"] == T) & (table["kind"] == "hidden")]
        for column, panel in enumerate(grid[row, :-1]):
            if column >= len(panels):
                square(panel, 1.0)
                panel.set_visible(column == 0)
                continue
            run = panels.iloc[column]
            _panel(panel, run, vectors.loc[vectors["rank"] == run["rank"], ["x", "y"]].to_numpy())
        name = {"rotation": 0, "ha": "right", "va": "center", "weight": "bold", "labelpad": 6}
        grid[row, 0].set_ylabel(f"T = {T:,.0f}", **name)
        if panels.empty:
            grid[row, 0].text(-0.9, 0, "no seed\nto draw", size=8, va="center")
        _histogram(grid[row, -1], here, high, last=row == len(sizes) - 1)
    solved = Patch(color=COLOURS["solved"], label=f"train loss at most {FAILED:g}")
    failed = Patch(color=COLOURS["failed"], label=f"train loss above {FAILED:g}")
    look.page_key(figure, [solved, failed])
    return figure


def _panel(panel: Axes, run: pd.Series, points: np.ndarray) -> None:
    """The hidden vectors of one seed, on their own scale, and its train loss."""
    length = np.hypot(points[:, 0], points[:, 1])
    square(panel, 1.15 * float(length.max(initial=0.0)))
    panel.add_patch(Circle((0, 0), run["radius"], fill=False, ec=GRID, lw=1.0, gid="ring"))
    panel.plot(0, 0, ls="none", marker="+", ms=4, mew=0.6, color=SOFT, zorder=1)
    size = float(np.clip(200 / max(len(points), 1), 3.0, 13.0))
    panel.scatter(
        points[:, 0], points[:, 1], s=size, color=SAMPLE, alpha=0.9, lw=0, zorder=3, gid="hidden"
    )
    weight = "bold" if run["outcome"] == "failed" else "normal"
    panel.set_title(
        f"{run['train_loss']:.3f}", size=8, pad=2.5, color=COLOURS[run["outcome"]], weight=weight
    )


def _histogram(panel: Axes, here: pd.DataFrame, high: float, last: bool) -> None:
    """Train losses of all seeds of one T."""
    look.dress(panel)
    count = round(BINS * np.log10(high / LOWEST))
    edges = np.geomspace(LOWEST, high, count + 1)
    panel.set(xscale="log", xlim=(0.8 * LOWEST, 1.1 * high))
    tallest = 1
    for outcome, colour in COLOURS.items():
        losses = here.loc[here["outcome"] == outcome, "train_loss"].clip(lower=LOWEST * 1.001)
        bars, _, _ = panel.hist(losses, edges.tolist(), color=colour, rwidth=0.88, gid=outcome)
        tallest = max(tallest, int(np.max(bars)))
    panel.axvline(FAILED, color=SOFT, lw=0.9, ls=(0, (3, 2)), zorder=0)
    panel.set_ylim(0, 1.12 * tallest)
    panel.yaxis.set_major_locator(MaxNLocator(2, integer=True, min_n_ticks=2))
    panel.set_ylabel("seeds", size=8)
    powers = np.arange(round(np.log10(LOWEST)), round(np.log10(high)) + 1)
    names = [f"≤$10^{{{powers[0]}}}$", *(f"$10^{{{power}}}$" for power in powers[1:])]
    panel.set_xticks(
        10.0**powers,
        labels=[name if power else "1" for name, power in zip(names, powers, strict=True)],
    )
    panel.minorticks_off()
    panel.tick_params(labelbottom=last, labelsize=8)
    trained = here["outcome"].isin(COLOURS).sum()
    panel.set_title(_share(here) if trained else "", size=8, pad=2.5, loc="right")
    if last:
        panel.set_xlabel("train loss")


def _share(here: pd.DataFrame) -> str:
    """`7 of 12 seeds above 0.01`."""
    trained, failed = here["outcome"].isin(COLOURS).sum(), (here["outcome"] == "failed").sum()
    return f"{failed} of {trained} above {FAILED:g}"


def _caption(table: pd.DataFrame) -> list[str]:
    every = table[table["kind"] == "run"]
    lost = [f"{(every['outcome'] == word).sum()} {word}" for word in ("died", "unfinished")]
    lost = [words for words in lost if not words.startswith("0 ")]
    return [
        "Small panels: hidden vectors h = W x of all T samples, one seed a panel, by rising train"
        " loss (above). Ring: their median length.",
        f"Left out: {' and '.join(lost)}." if lost else "",
        *(_radii(table, outcome) for outcome in COLOURS),
    ]


def _radii(table: pd.DataFrame, outcome: str) -> str:
    """How many of the drawn seeds of an outcome keep all samples on one circle."""
    hidden = table[(table["kind"] == "hidden") & (table["outcome"] == outcome)]
    if not len(hidden):
        return ""
    by = [hidden[key] for key in ("T", "rank")]
    length = np.hypot(hidden["x"], hidden["y"])
    panels = [panel.to_numpy() for _, panel in length.groupby(by)]
    one = np.array([(panel >= INNER * panel.max()).all() for panel in panels])
    near = np.array([(panel < NEAR * panel.max()).any() for panel in panels])
    second = np.array([second_radius(panel).any() for panel in panels])
    return (
        f"Of {counted(len(one), f'{outcome} run')} drawn {one.sum()} keep to one circle,"
        f" {second.sum()} show a second radius, {near.sum()} a sample near the origin."
    )


CIRCLES = FigureSpec(
    "circles",
    circles_table,
    _draw,
    "hidden vectors of many seeds at small T, and their train losses, m = 2",
    applies,
    NEEDS,
    {"H": 0, **ARRAYS},
)
